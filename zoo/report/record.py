"""Record: what the files of a run say, which is all that a report needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from zoo.check import CheckedSpec
from zoo.report.curves import Points
from zoo.report.evaluation import Evaluation, read_evaluation
from zoo.run import Run
from zoo.training.watching import Row

SPLITS = ("train", "validation", "test")
BESIDE = ("epoch", "step", "lr", "seconds", "error")
"""What a row of metrics.jsonl holds beside measurements."""


@dataclass(frozen=True)
class Record:
    """The files of a run, read."""

    label: str
    """What a person calls the run."""
    checked: CheckedSpec
    environment: Mapping[str, str | int]
    rows: Sequence[Row]
    """Of metrics.jsonl, without those of errors."""
    kept: Row
    """That of the weights which the run kept; empty where there is none."""
    evaluation: Evaluation | None = None
    error: str = ""
    """What ended the training before its time."""
    ended: bool = True
    """Whether the training came to its end."""

    @cached_property
    def unit(self) -> str:
        """Return what the curves count along: "step" where rows carry one, "epoch" elsewhere."""
        return "step" if any("step" in row for row in self.rows) else "epoch"

    @property
    def seconds(self) -> float:
        """Return how long the epochs took, with their evaluation."""
        return sum(float(row.get("seconds", 0)) for row in self.rows)

    def names(self) -> list[str]:
        """Return the names of all measurements, in the order of their first rows."""
        return list(dict.fromkeys(name for row in self.rows for name in row if name not in BESIDE))

    def points(self, name: str, unit: str = "") -> Points:
        """Return a measurement along the unit, by default the record's own, where it was made."""
        along = unit or self.unit
        found = {float(row[along]): float(row[name]) for row in self.rows if name in row and along in row}
        return sorted(found.items())

    def mark(self) -> float | None:
        """Return where the kept weights stand, unless they are the last ones."""
        if not self.kept or not self.rows or self.kept == self.rows[-1] or self.unit not in self.kept:
            return None
        return float(self.kept[self.unit])

    def document(self) -> dict[str, object]:
        """Return the record as JSON values."""
        return {
            "run": self.label,
            "name": self.checked.spec.name,
            "ended": self.ended,
            "metrics": dict(self.kept),
            "seconds": round(self.seconds, 4),
            "environment": dict(self.environment),
        }


def split_of(name: str) -> tuple[str, str]:
    """Return the split and the measure of "test_accuracy"; an empty split where the name has none."""
    split, _, measure = name.partition("_")
    return (split, measure) if split in SPLITS and measure else ("", name)


def read_record(run: Run, ended: bool | None = None, evaluation: Evaluation | None = None) -> Record:
    """Return what the files of a run say.

    Args:
        run: a directory.
        ended: whether the training came to its end; by default, whether its weights are there.
        evaluation: what evaluation.json says, where that is known; by default it is read.

    Raises:
        RunError: a file is absent or damaged.
        SpecError: spec.json is.
    """
    rows = run.rows()
    errors = [str(row["error"]) for row in rows if "error" in row]
    return Record(
        str(run.path),
        run.checked,
        run.environment(),
        [row for row in rows if "error" not in row],
        run.kept_of(rows),
        evaluation if evaluation is not None else read_evaluation(run.evaluation_file),
        errors[-1] if errors else "",
        run.weights_file.is_file() if ended is None else ended,
    )
