"""Metrics: what a person reads of a model beside its loss. Each is a mean over the rows of a split."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from zoo.choice import Choice
from zoo.errors import ShapeError
from zoo.shapes import Shape, class_axis
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

    def arranged(self, output: Shape, target: Shape) -> Self:
        """Return the metric for a model of these shapes."""
        return self


class Accuracy(Metric):
    """Share of the targets whose largest logit is the right class: of rows, of tokens, of pixels.

    Source: https://lightning.ai/docs/torchmetrics/stable/classification/accuracy.html
    """

    name = "accuracy"
    type: Literal["Accuracy"]
    _axis: int = 1

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse targets that are not class numbers.

        Raises:
            ShapeError: the targets are not int64, or no axis of the output has one number for each class.
        """
        if target.dtype != "int64" or class_axis(output, target) is None:
            remedy = 'use {"type": "MeanAbsoluteError"} for numbers'
            raise ShapeError(f"Accuracy judges logits (N, classes), but the model gives {output} for {target}", remedy)

    def arranged(self, output: Shape, target: Shape) -> Self:
        """Return the metric that looks for the classes where these shapes have them."""
        placed = self.model_copy()
        placed._axis = class_axis(output, target) or 1
        return placed

    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the share of each row's targets whose largest logit is the right class."""
        return (output.argmax(self._axis) == target).double().reshape(len(target), -1).mean(1)


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


METRICS = Choice("metric", {"zoo.metrics": ("Accuracy", "MeanAbsoluteError")})
AnyMetric = Annotated[Metric, METRICS]
