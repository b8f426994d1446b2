"""Comparison: several runs on one page, their curves over each other and what differs between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo import __version__
from zoo.difference import ABSENT, compare, in_words
from zoo.errors import UsageError
from zoo.report.curves import Line, drawing
from zoo.report.markup import number, section, table, words
from zoo.report.page import page
from zoo.report.record import Record, split_of
from zoo.report.run_page import duration

COLOURS = 8
OF_ITS_OWN = ("started", "spec_sha256")
"""What every run has otherwise."""


@dataclass(frozen=True)
class Comparison:
    """Runs that have a measurement in common."""

    records: tuple[Record, ...]
    common: tuple[str, ...]
    """The measurements that all of them made, and that mean the same in all."""

    @property
    def labels(self) -> list[str]:
        """Return what the runs are called."""
        return [record.label for record in self.records]

    def differing_options(self) -> dict[str, list[Any]]:
        """Return for each option that differs its value in each run; ABSENT where it has none."""
        # Any: JSON values, or ABSENT.
        first, *others = self.records
        found = [{change.name: change for change in _changes(first, other)} for other in others]
        values: dict[str, list[Any]] = {}
        for name in dict.fromkeys(name for changes in found for name in changes):
            base = next(changes[name].first for changes in found if name in changes)
            values[name] = [base, *(changes[name].second if name in changes else base for changes in found)]
        return values

    def differing_environment(self) -> dict[str, list[Any]]:
        """Return for each part of the environments that differs its value in each run."""
        # Any: texts and numbers of environment.json, or ABSENT.
        names = dict.fromkeys(name for record in self.records for name in record.environment if name not in OF_ITS_OWN)
        values = {name: [record.environment.get(name, ABSENT) for record in self.records] for name in names}
        return {name: found for name, found in values.items() if any(value != found[0] for value in found)}

    def document(self) -> dict[str, object]:
        """Return the comparison as JSON values; a value that a run does not have is null."""
        return {
            "runs": [record.document() for record in self.records],
            "common": list(self.common),
            "options": _plain(self.differing_options()),
            "environment": _plain(self.differing_environment()),
        }


# Any: JSON values, or ABSENT.
def _plain(values: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [None if value is ABSENT else value for value in found] for name, found in values.items()}


def _changes(first: Record, other: Record) -> tuple[Any, ...]:
    # Any: zoo.difference.Change.
    found = compare(first.checked, other.checked)
    return tuple(change for change in (*found.changes, *found.whereabouts) if change.path != ("name",))


def comparison_of(records: Sequence[Record]) -> Comparison:
    """Return the comparison of two runs or more.

    Raises:
        UsageError: one of them measured nothing, or they have no measurement in common.
    """
    for record in records:
        if not record.rows:
            remedy = "leave it out, or train it first"
            raise UsageError(f"{record.label} has no measurements yet", remedy)
    losses = {type(record.checked.spec.loss).__name__ for record in records}
    common = [
        name
        for name in records[0].names()
        if all(name in record.names() for record in records) and (len(losses) == 1 or split_of(name)[1] != "loss")
    ]
    if not common:
        made = "; ".join(f"{record.label} has {', '.join(_compared(record))}" for record in records)
        message = f"the runs have no measurement in common: {made}"
        raise UsageError(message, "compare runs with the same loss, or with a metric in common")
    return Comparison(tuple(records), tuple(common))


def _compared(record: Record) -> list[str]:
    loss = type(record.checked.spec.loss).__name__
    return [f"{name} ({loss})" if split_of(name)[1] == "loss" else name for name in record.names()]


def comparison_page(found: Comparison) -> str:
    """Return the comparison as one HTML file."""
    title = " · ".join(dict.fromkeys(record.checked.spec.name for record in found.records))
    lead = f'<p class="lead">{len(found.records)} runs compared</p>'
    same = "These runs have the same spec." if not found.differing_options() else ""
    parts = [
        section("Final metrics", _metrics(found)),
        section("Curves", _curves(found)),
        section("What their specs mean differently", same or _values(found, found.differing_options(), in_words)),
        section("Environments", _values(found, found.differing_environment(), str) or "They are the same."),
    ]
    return page(title, lead, "\n".join(parts), __version__)


def _metrics(found: Comparison) -> str:
    names = list(dict.fromkeys(name for record in found.records for name in record.kept if name in record.names()))
    rows = []
    for record in found.records:
        measured = [number(float(record.kept[name])) if name in record.kept else "–" for name in names]
        state = "" if record.ended else " (not ended)"
        unit = number(int(record.kept.get(record.unit, 0)))
        rows.append((record.label + state, *measured, f"{record.unit} {unit}", duration(record.seconds)))
    return table(("run", *map(words, names), "weights of", "time"), rows)


def _curves(found: Comparison) -> str:
    figures = []
    unit = "step" if all(record.unit == "step" for record in found.records) else "epoch"
    for name in (*found.common, "lr"):
        lines = [
            Line(record.label, f"run{index % COLOURS}", points)
            for index, record in enumerate(found.records)
            if (points := record.points(name, unit))
        ]
        if lines:
            figures.append(
                drawing(
                    "learning rate" if name == "lr" else words(name),
                    unit,
                    lines,
                    name == "lr" or split_of(name)[1].endswith("loss"),
                )
            )
    return f'<div class="charts">{"".join(figures)}</div>'


# Any: JSON values, or ABSENT.
def _values(found: Comparison, values: Mapping[str, Sequence[Any]], shown: Callable[[Any], str]) -> str:
    rows = [(name, *map(shown, row)) for name, row in values.items()]
    return table(("what", *found.labels), rows) if rows else ""
