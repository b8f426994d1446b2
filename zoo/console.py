"""What a person reads on stdout: records as tables, or as JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.check import CheckedSpec
    from zoo.prediction import Prediction
    from zoo.run import Run
    from zoo.training.evaluation import Recovered

PIPED_WIDTH = 1000  # columns; a pipe has no edge to wrap at


def print_json(value: object) -> None:
    """Print a record for machines; with JSON's own escapes where stdout has not every letter."""
    narrow = not (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=narrow, allow_nan=False))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; without colours and without wrapping when piped."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.show_header = any(header)
    for index, name in enumerate(header):
        number = bool(rows) and all(_is_number(row[index]) for row in rows)
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as drawn:
        console.print(table)
    lines = [line.rstrip() for line in drawn.get().splitlines() if line.strip()]
    print("\n".join([*([title] if title else []), *lines, ""]))


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def short(value: float) -> str:
    """Return a number with six digits."""
    return f"{value:.6g}"


def print_spec(checked: CheckedSpec, counts: Mapping[str, int], as_json: bool) -> None:
    """Print a spec with the shapes and the parameters of its layers."""
    document = checked.spec.document()
    layers = [(placed.name, type(placed.layer).__name__, str(placed.output)) for placed in checked.layers]
    if as_json:
        keys = ("name", "type", "output")
        described = [dict(zip(keys, layer, strict=True)) | {"parameters": counts[layer[0]]} for layer in layers]
        print_json({"spec": document, "layers": described})
        return
    print(f"{checked.spec.name}: {checked.spec.summary}")
    table = [("", "input", str(checked.input), "0"), *((*layer, f"{counts[layer[0]]:,}") for layer in layers)]
    print_table("", ("layer", "type", "output", "parameters"), table)
    parts = {key: value for key, value in document.items() if key not in ("$schema", "name", "summary")}
    parts["model"] = f"{len(layers)} layers, {sum(counts.values()):,} parameters"
    print_table("", ("", ""), [(key, _in_words(value)) for key, value in parts.items()])


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        options = ", ".join(f"{key} {_in_words(part)}" for key, part in value.items() if key != "type")
        return f"{value['type']}({options})" if "type" in value else options
    if isinstance(value, list):
        return "[" + ", ".join(map(_in_words, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def print_run(run: Run, recovered: Sequence[Recovered], as_json: bool) -> None:
    """Print what a training came to, and the files it wrote."""
    metrics = run.rows()[-1]
    files = [path for path in sorted(run.path.rglob("*")) if path.is_file()]
    if as_json:
        record = {"run": str(run.path), "metrics": metrics, "files": [str(path) for path in files]}
        print_json(record | ({"recovered": [vars(pair) for pair in recovered]} if recovered else {}))
        return
    print_metrics(metrics, recovered)
    print_table("written", ("file", "bytes"), [(str(path), f"{path.stat().st_size:,}") for path in files])


def print_metrics(metrics: Mapping[str, float], recovered: Sequence[Recovered]) -> None:
    """Print measurements, and the learned parameters beside the true ones where those are known."""
    print_table("metrics", ("metric", "value"), [(name.replace("_", " "), short(v)) for name, v in metrics.items()])
    if recovered:
        header = ("parameter", "true", "learned", "difference")
        pairs = [(p.name, short(p.true), f"{p.learned:.6f}", f"{p.learned - p.true:+.1e}") for p in recovered]
        print_table("learned beside true", header, pairs)


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
