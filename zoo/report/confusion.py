"""Confusion: how often each true class is taken for each other, and what follows from it class by class."""

from __future__ import annotations

from typing import Annotated, NamedTuple, Self

from zoo.strict import Field, Strict, model_validator

Tally = Annotated[int, Field(ge=0, lt=2**63)]


class ClassScore(NamedTuple):
    """How well one class is told from the others; 0 where a fraction would be 0 / 0."""

    name: str
    rows: int
    """Targets of this class."""
    precision: float
    recall: float
    f1: float

    def record(self) -> dict[str, object]:
        """Return the scores as JSON values."""
        return {"class": self.name, **{key: value for key, value in self._asdict().items() if key != "name"}}


class Pair(NamedTuple):
    """A class that is taken for another."""

    true: str
    predicted: str
    targets: int
    share: float
    """Of the targets of the true class."""


class Confusion(Strict):
    """Counts over the test split: `counts[true][predicted]`."""

    classes: tuple[str, ...]
    """Names, in the order of the class numbers."""
    counts: tuple[tuple[Tally, ...], ...]
    """One row a true class, one column a predicted one."""

    @model_validator(mode="after")
    def _one_row_and_column_a_class(self) -> Self:
        size = len(self.classes)
        if len(self.counts) != size or any(len(row) != size for row in self.counts):
            raise ValueError(f"there are {size} classes, and other counts than {size} × {size}")
        return self

    @property
    def total(self) -> int:
        """Return how many targets were judged."""
        return sum(map(sum, self.counts))

    @property
    def right(self) -> int:
        """Return how many of them were called what they are."""
        return sum(row[number] for number, row in enumerate(self.counts))

    def scores(self) -> list[ClassScore]:
        """Return precision, recall and F1 of each class that occurs or is predicted, in the order of the classes."""
        called = [sum(column) for column in zip(*self.counts, strict=True)]
        found = []
        for number, (name, row) in enumerate(zip(self.classes, self.counts, strict=True)):
            right, there = row[number], sum(row)
            if there or called[number]:
                f1 = 2 * right / (there + called[number])
                found.append(ClassScore(name, there, _share(right, called[number]), _share(right, there), f1))
        return found

    def pairs(self, most: int) -> list[Pair]:
        """Return the classes that are most often taken for others, the most frequent pair first."""
        wrong = [
            (count, true, predicted)
            for true, row in enumerate(self.counts)
            for predicted, count in enumerate(row)
            if count and true != predicted
        ]
        wrong.sort(key=lambda found: (-found[0], found[1], found[2]))
        return [
            Pair(self.classes[true], self.classes[predicted], count, count / sum(self.counts[true]))
            for count, true, predicted in wrong[:most]
        ]

    def record(self) -> dict[str, object]:
        """Return counts and scores as JSON values."""
        return {**self.document(), "per_class": [score.record() for score in self.scores()]}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
