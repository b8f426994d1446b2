"""Searched: a spec with searches whose trials can be trained and compared, before any is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.check import check
from zoo.checked import CheckedSpec
from zoo.errors import Path, Problem, SpecError, UsageError
from zoo.nearest import suggestion
from zoo.search import Spaces, find, points
from zoo.source import Source

Pruner = Literal["median", "hyperband", "none"]
"""How trials are ended before their epochs are over."""
SPLIT = "validation"
REMEDY = """--set optimizer.lr='{"search": "log_uniform", "low": 1e-5, "high": 0.1}'"""


@dataclass(frozen=True)
class Goal:
    """What the best trial is best at."""

    metric: str
    """A key of metrics.jsonl: "validation_loss"."""
    direction: Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Searched:
    """A document with searches, and what it says with their extremes."""

    source: Source
    spaces: Spaces
    points: tuple[CheckedSpec, ...]

    @property
    def name(self) -> str:
        """Return the spec's name, which no search changes."""
        return self.points[0].spec.name


def check_searched(source: Source) -> Searched:
    """Return a document whose searches are right, and which is a spec with each of their extremes.

    Raises:
        SpecError: it has problems; all that can be told at once.
    """
    spaces = find(source)
    found: list[CheckedSpec] = []
    problems: list[Problem] = []
    for point in points(source, spaces):
        try:
            found.append(check(point))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(tuple(problems))
    return Searched(source, spaces, tuple(found))


def goal_of(searched: Searched, metric: str) -> Goal:
    """Return what the trials are compared by.

    Raises:
        UsageError: there is nothing to search, or the metric is of no validation split.
        SpecError: the trials cannot be compared.
    """
    if not searched.spaces:
        raise UsageError("the spec has no search", f"write one, for example {REMEDY}; or use zoo train")
    source = searched.source
    if any(SPLIT not in point.spec.data.splits for point in searched.points):
        message = "a search compares its trials on a validation split, never on the test split, but the data has none"
        problem = source.problem(("data", "type"), message, 'write "validation": 0.1 in data')
        raise SpecError((problem,))
    measured = [_directions(point) for point in searched.points]
    known = [name for name in measured[0] if all(name in several for several in measured)]
    if metric not in known:
        said = "is measured on rows that no search may look at" if metric.startswith("test_") else "is not measured"
        raise UsageError(f"--metric {metric} {said}", suggestion(metric.replace("test_", f"{SPLIT}_"), known))
    if metric == f"{SPLIT}_loss":
        _require_one_loss(source, searched.spaces)
    return Goal(metric, "minimize" if measured[0][metric] == "min" else "maximize")


def _directions(checked: CheckedSpec) -> dict[str, Literal["min", "max"]]:
    """Return the measurements of the validation split, each with whether less or more is better."""
    better: dict[str, Literal["min", "max"]] = {metric.name: metric.better for metric in checked.spec.metrics}
    return {f"{SPLIT}_{name}": way for name, way in {"loss": "min", **better}.items()}


def _require_one_loss(source: Source, spaces: Spaces) -> None:
    """Refuse to compare trials by losses that are computed in several ways.

    Raises:
        SpecError: the loss is searched.
    """
    losses: list[Path] = [path for path in spaces if path[0] == "loss"]
    message = "trials with several losses cannot be compared by their loss"
    remedy = "write one loss, or compare by another metric, such as --metric validation_accuracy"
    if losses:
        raise SpecError(tuple(source.problem(path, message, remedy) for path in losses))
