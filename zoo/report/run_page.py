"""The page of one run: what was measured, how it came to be, and what the model was made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import median

from zoo import __version__
from zoo.costs import MIB, costs, tables
from zoo.report.confusion_section import confusion_section, mistakes_section
from zoo.report.curves import Line, drawing
from zoo.report.evaluation import Parameter
from zoo.report.markup import folded, number, paragraph, safe, section, table, typeset, words
from zoo.report.page import page
from zoo.report.record import BESIDE, Record, split_of
from zoo.report.scatter import scatter_drawing


def run_page(record: Record) -> str:
    """Return the report of a run as one HTML file."""
    spec, found = record.checked.spec, record.evaluation
    parts = [
        curves_section(record),
        *([confusion_section(found.confusion)] if found and found.confusion else []),
        *([mistakes_section(found.mistakes)] if found else []),
        *(
            [section("Predictions on the test split", scatter_drawing(found.scatter))]
            if found and found.scatter
            else []
        ),
        *([_parameters(found.parameters)] if found else []),
        _model(record),
        section("Spec", folded("The spec, every default written out", _spec(record))),
        _environment(record),
    ]
    summary = f'<p class="lead">{safe(spec.summary)}</p>' if spec.summary else ""
    return page(spec.name, summary + _warnings(record) + _tiles(record), "\n".join(filter(None, parts)), __version__)


def _warnings(record: Record) -> str:
    told = []
    if record.error:
        told.append(f"The training broke off: {record.error}.")
    elif not record.ended:
        told.append(f"The training has not ended: {len(record.rows):,} rows of measurements are there.")
    elif record.evaluation is None:
        told.append("There is no evaluation.json, so this page says nothing of single classes and predictions.")
    return "".join(paragraph(text, "warning") for text in told)


def _tiles(record: Record) -> str:
    """Return the numbers of the kept weights, those of the test split first."""
    measured = {name: float(value) for name, value in record.kept.items() if name not in BESIDE}
    first = sorted(measured, key=lambda name: split_of(name)[0] != "test")
    tiles = [(words(name), number(measured[name])) for name in first]
    if record.kept:
        tiles.append((f"{record.unit} of these weights", number(int(record.kept.get(record.unit, 0)))))
        tiles.append(("training time", duration(record.seconds)))
    items = "".join(f"<li><b>{safe(value)}</b><span>{safe(name)}</span></li>" for name, value in tiles)
    return f'<ul class="tiles">{items}</ul>' if items else ""


def duration(seconds: float) -> str:
    """Return a time as a person reads it."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def curves_section(record: Record) -> str:
    """Return a drawing of each measure, with a line a split, and one of the learning rate."""
    if len(record.rows) < 2:
        return ""
    groups: dict[str, list[Line]] = {}
    for name in record.names():
        split, measure = split_of(name)
        points = record.points(name)
        if points:
            groups.setdefault(measure, []).append(Line(split or words(name), split or "other", points))
    figures = [
        drawing(words(measure), record.unit, lines, measure.endswith("loss"), record.mark())
        for measure, lines in groups.items()
    ]
    rates = record.points("lr")
    if rates:
        figures.append(drawing("learning rate", record.unit, [Line("learning rate", "other", rates)], True))
    return section("Curves", f'<div class="charts">{"".join(figures)}</div>')


def _parameters(parameters: Sequence[Parameter]) -> str:
    rows = [
        (p.name, number(p.true), typeset(f"{p.learned:.6f}"), typeset(f"{p.learned - p.true:+.1e}")) for p in parameters
    ]
    return section("Weights beside truth", table(("parameter", "true", "learned", "difference"), rows)) if rows else ""


def _model(record: Record) -> str:
    """Return what the model is and costs, and where the time went."""
    found = costs(record.checked)
    layers, memory = tables(found)
    facts = [
        ("parameters", f"{found.parameters:,}"),
        ("of them trained", f"{found.trainable:,}"),
        ("multiply-adds of a row", f"{found.multiply_adds:,}"),
    ]
    if found.memory.total is not None:
        facts.append(("memory in training, estimated", f"{found.memory.total / MIB:,.1f} MiB"))
    seconds = [float(row["seconds"]) for row in record.rows if "seconds" in row]
    if seconds:
        each = "row of measurements" if record.unit == "step" else "epoch"
        facts.append(("training time, evaluation included", duration(record.seconds)))
        facts.append((f"median of an {each}" if each == "epoch" else f"median of a {each}", duration(median(seconds))))
    steps = table(("layer", "type", "output", "parameters", "multiply-adds"), layers)
    shares = table(("part", "MiB"), memory, "Memory in training, estimated.")
    return section("Model and costs", table(("", ""), facts), folded("Layers and memory", steps + shares))


def _spec(record: Record) -> str:
    text = json.dumps(record.checked.spec.document(), indent=2, ensure_ascii=False, allow_nan=False)
    return f"<pre>{safe(text)}</pre>"


def _environment(record: Record) -> str:
    rows = [(words(name), str(value)) for name, value in record.environment.items()]
    return section("Environment", table(("", ""), rows))
