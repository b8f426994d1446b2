"""Metrics: what a person reads of a model beside its loss. Each is a mean over the rows of a split."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor


class Metric(Strict):
    """What every metric has."""

    name: ClassVar[str]
    """The key in metrics.jsonl, after the split: "test_accuracy"."""

    @abstractmethod
    def require(self, output: Shape, target: Shape) -> None:
        """Refuse an output that this metric cannot judge.

        Raises:
            ShapeError: the shapes or dtypes do not fit.
        """

    @abstractmethod
    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return one float64 number for each row, (N,)."""


class Accuracy(Metric):
    """Share of the rows whose largest logit is the right class.

    Source: https://lightning.ai/docs/torchmetrics/stable/classification/accuracy.html
    """

    name = "accuracy"
    type: Literal["Accuracy"]

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse targets that are not class numbers.

        Raises:
            ShapeError: the targets are not int64, or the output is not (N, classes).
        """
        if target.dtype != "int64" or output.rank != 2 or target.rank != 1:
            remedy = 'use {"type": "MeanAbsoluteError"} for numbers'
            raise ShapeError(f"Accuracy judges logits (N, classes), but the model gives {output} for {target}", remedy)

    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return 1 where the largest logit is the right class, else 0."""
        return (output.argmax(1) == target).double()


class MeanAbsoluteError(Metric):
    """Mean distance between prediction and target.

    Source: https://lightning.ai/docs/torchmetrics/stable/regression/mean_absolute_error.html
    """

    name = "mean_absolute_error"
    type: Literal["MeanAbsoluteError"]

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse shapes that differ.

        Raises:
            ShapeError: the output is not what the targets are.
        """
        if output != target:
            remedy = 'use {"type": "Accuracy"} for class numbers'
            raise ShapeError(f"MeanAbsoluteError compares {output} of the model with targets {target}", remedy)

    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean distance of each row."""
        return (output.double() - target.double()).abs().reshape(len(output), -1).mean(1)


AnyMetric = Annotated[Accuracy | MeanAbsoluteError, Field(discriminator="type")]
