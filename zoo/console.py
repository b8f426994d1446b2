"""What a person reads on stdout: records as tables, or as JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zoo.visible import visible

if TYPE_CHECKING:
    from zoo.checked import CheckedSpec
    from zoo.costs import Costs
    from zoo.difference import Difference
    from zoo.origins import Origin
    from zoo.prediction import Prediction
    from zoo.report.confusion import Confusion
    from zoo.reproduction import Reproduction
    from zoo.run import Run
    from zoo.survey import Survey
    from zoo.training.evaluation import Recovered
    from zoo.tuning import Found

MATRIX_CLASSES = 12  # whose counts fit beside each other on a terminal
SHOWN_CLASSES = 30
MOST_TRIALS = 10  # of a search that are shown
PIPED_WIDTH = 1000  # columns; a pipe has no edge to wrap at


def print_json(value: object) -> None:
    """Print a record for machines; with JSON's own escapes where stdout has not every letter."""
    narrow = not (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=narrow, allow_nan=False))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; without colours and without wrapping when piped, or where only a verifier's packages are."""
    header, rows = [visible(name) for name in header], [[visible(cell) for cell in row] for row in rows]
    columns = [[row[index] for row in rows if row[index]] for index in range(len(header))]
    numbers = [bool(cells) and all(map(_is_number, cells)) for cells in columns]
    try:
        lines = _drawn(header, rows, numbers)
    except ModuleNotFoundError:  # who verifies a bundle needs no rich
        lines = _plain(header, rows, numbers)
    print("\n".join([*([title] if title else []), *lines, ""]))


def _drawn(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool]) -> list[str]:
    """Return the lines of a table that wraps where a terminal ends."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.show_header = any(header)
    for name, number in zip(header, numbers, strict=True):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as drawn:
        console.print(table)
    return [line.rstrip() for line in drawn.get().splitlines() if line.strip()]


def _plain(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool]) -> list[str]:
    """Return the same lines without rich; none of them wraps."""
    shown = [header, *rows] if any(header) else list(rows)
    widths = [max(len(row[index]) for row in shown) for index in range(len(header))] if shown else []
    lines = [
        "   ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        )
        for row in shown
    ]
    if any(header):
        lines.insert(1, "─" * len(lines[0]))
    return [f" {line}".rstrip() for line in lines if line.strip()]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def short(value: float) -> str:
    """Return a number with six digits."""
    return f"{value:.6g}"


def print_spec(checked: CheckedSpec, found: Costs, as_json: bool) -> None:
    """Print a spec: its layers with their shapes and costs, the memory of its training, and how it is trained."""
    document = checked.spec.document()
    if as_json:
        print_json({"spec": document, **found.record()})
        return
    from zoo.costs import tables
    from zoo.survey import counted

    print(f"{checked.spec.name}: {checked.spec.summary}")
    layers, memory = tables(found)
    print_table("", ("layer", "type", "output", "parameters", "multiply-adds"), layers)
    print_table("memory in training, estimated", ("part", "MiB"), memory)
    parts = {key: value for key, value in document.items() if key not in ("$schema", "name", "summary")}
    frozen = found.parameters - found.trainable
    parts["model"] = f"{counted(len(found.layers), 'layer')}, {counted(found.parameters, 'parameter')}"
    parts["model"] += f", {frozen:,} of them frozen" if frozen else ""
    print_table("", ("", ""), [(key, _in_words(value)) for key, value in parts.items()])


def print_origins(found: Sequence[Origin], as_json: bool) -> None:
    """Print every value of a resolved spec with where it came from."""
    if as_json:
        print_json([origin.record() for origin in found])
    else:
        from zoo.difference import in_words
        from zoo.origins import dotted

        rows = [(dotted(origin.path), in_words(origin.value), origin.origin) for origin in found]
        print_table("", ("path", "value", "origin"), rows)


def print_difference(found: Difference, as_json: bool) -> None:
    """Print what differs between two specs, and the verdict."""
    if as_json:
        print_json(found.record())
        return
    from zoo.difference import in_words

    changes = (*found.changes, *found.whereabouts)
    rows = [(change.name, in_words(change.first), in_words(change.second)) for change in changes]
    if rows:
        print_table("", ("path", "first", "second"), rows)
    print(found.verdict())


def print_survey(found: Survey, form: str) -> None:
    """Print the problems of specs; what is well, what is not there and the summary go to stderr."""
    for name in found.clean:
        print(f"{name}: ok", file=sys.stderr)
    for note in found.notes:
        print(note.as_note(), file=sys.stderr)
    for name in found.passed_over:
        print(f"{name}: passed over, it is the JSON Schema", file=sys.stderr)
    for error in found.absent:
        print(error, file=sys.stderr)
    if form == "json":
        print_json([problem.record() for problem in found.problems])
    elif form == "sarif":
        from zoo.sarif import sarif

        print_json(sarif(found.problems, found.absent))
    elif found.problems:
        from zoo.terminal import coloured, painted

        show = painted if coloured(sys.stdout) else str
        print("\n".join(map(show, found.problems)))
    if found.problems or len(found.clean) > 1:
        print(found.summary(), file=sys.stderr)


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        options = ", ".join(f"{key} {_in_words(part)}" for key, part in value.items() if key != "type")
        return f"{value['type']}({options})" if "type" in value else options
    if isinstance(value, list):
        return "[" + ", ".join(map(_in_words, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def print_run(run: Run, recovered: Sequence[Recovered], as_json: bool) -> None:
    """Print what a training came to, and the files it wrote."""
    metrics = run.measurements()
    files = [path for path in sorted(run.path.rglob("*")) if path.is_file()]
    if as_json:
        record = {"run": str(run.path), "metrics": metrics, "files": [str(path) for path in files]}
        print_json(record | ({"recovered": [vars(pair) for pair in recovered]} if recovered else {}))
        return
    print_metrics(metrics, recovered)
    print_table("written", ("file", "bytes"), [(str(path), f"{path.stat().st_size:,}") for path in files])


def print_reproduction(made: Reproduction, as_json: bool) -> None:
    """Print whether a run came out the same once more, where not, and what is another now."""
    if as_json:
        print_json(made.record())
        return
    print(made)
    if made.environment:
        rows = [(change.name, change.then, change.now) for change in made.environment]
        print_table("what is another now", ("what", "then", "now"), rows)


def print_metrics(metrics: Mapping[str, float], recovered: Sequence[Recovered]) -> None:
    """Print measurements, and the learned parameters beside the true ones where those are known."""
    print_table("metrics", ("metric", "value"), [(name.replace("_", " "), short(v)) for name, v in metrics.items()])
    if recovered:
        header = ("parameter", "true", "learned", "difference")
        pairs = [(p.name, short(p.true), f"{p.learned:.6f}", f"{p.learned - p.true:+.1e}") for p in recovered]
        print_table("learned beside true", header, pairs)


def print_confusion(found: Confusion) -> None:
    """Print the confusion matrix, or the most frequent confusions of many classes, and the scores of the classes."""
    if len(found.classes) <= MATRIX_CLASSES:
        rows = [(name, *map(str, row)) for name, row in zip(found.classes, found.counts, strict=True)]
        print_table("confusion: rows are true classes, columns predicted ones", ("", *found.classes), rows)
    elif pairs := found.pairs(SHOWN_CLASSES):
        rows = [(pair.true, pair.predicted, f"{pair.targets:,}", f"{pair.share:.1%}") for pair in pairs]
        print_table("the most frequent confusions", ("true", "predicted", "targets", "of the true class"), rows)
    scores = found.scores()
    worst = scores if len(scores) <= SHOWN_CLASSES else sorted(scores, key=lambda score: score.f1)[:SHOWN_CLASSES]
    title = "classes" if worst is scores else f"the {SHOWN_CLASSES} classes of {len(scores)} with the lowest F1"
    lines = [(s.name, f"{s.rows:,}", f"{s.precision:.4f}", f"{s.recall:.4f}", f"{s.f1:.4f}") for s in worst]
    print_table(title, ("class", "targets", "precision", "recall", "F1"), lines)


def print_predictions(predictions: Sequence[Prediction], as_json: bool) -> None:
    """Print numbers, or class names with probabilities."""
    if as_json:
        print_json([prediction.record() for prediction in predictions])
    elif predictions[0].probabilities is None:
        rows = [(prediction.input, ", ".join(map(short, prediction.values))) for prediction in predictions]
        print_table("", ("input", "prediction"), rows)
    else:
        likeliest = [(p.input, *next(iter((p.probabilities or {}).items()))) for p in predictions]
        print_table("", ("input", "class", "probability"), [(name, kind, f"{p:.4f}") for name, kind, p in likeliest])


def print_found(found: Found, as_json: bool) -> None:
    """Print the best trials of a search, and where the best spec is."""
    if as_json:
        print_json(found.record())
        return
    from zoo.tuning import shown

    ranked, written = found.ranked(), found.tuning.best_file
    names = list(dict.fromkeys(name for trial in ranked for name in trial.parameters))
    rows = []
    for trial in ranked[:MOST_TRIALS]:
        values = [shown(trial.parameters[name]) if name in trial.parameters else "" for name in names]
        rows.append((f"{trial.number:04}", shown(trial.value), *values))
    print_table(found.counts(), ("trial", found.tuning.goal.metric.replace("_", " "), *names), rows)
    print_table("written", ("file", "bytes"), [(str(written), f"{written.stat().st_size:,}")])
