"""Metric: what a person reads of a model beside its loss.

Each row gives some numbers, which are averaged over the split in float64; a metric follows from these means alone. So
the batches do not matter, and every metric is exact over the whole split.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from zoo.shapes import Shape
from zoo.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor


class Metric(Strict):
    """What every metric has."""

    key: ClassVar[str]
    """Its name in small letters."""
    better: ClassVar[Literal["min", "max"]]
    """Whether less or more of it is better."""

    @property
    def name(self) -> str:
        """Return the key in metrics.jsonl, after the split: "test_accuracy"."""
        return self.key

    @abstractmethod
    def require(self, output: Shape, target: Shape) -> None:
        """Refuse an output that this metric cannot judge.

        Raises:
            ShapeError: the shapes or dtypes do not fit.
        """

    @abstractmethod
    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the float64 numbers of each row, (N,) or (N, K)."""

    def finished(self, means: Tensor) -> float:
        """Return the metric from the means over all rows of what `values` gives, (K,)."""
        return float(means[0])

    def arranged(self, output: Shape, target: Shape, ignored: int | None = None) -> Self:
        """Return the metric for a model of these shapes; `ignored` is the class number of targets that do not count."""
        return self
