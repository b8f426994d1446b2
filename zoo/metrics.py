"""Metrics: what a person reads of a model beside its loss.

Each row gives some numbers, which are averaged over the split in float64; a metric follows from these means alone. So
the batches do not matter, and every metric is exact over the whole split.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from zoo.choice import Choice
from zoo.errors import ShapeError
from zoo.shapes import Shape, class_axis
from zoo.strict import Count, Strict

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-300  # in the place of 0 below a fraction whose top is 0 too


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

    def arranged(self, output: Shape, target: Shape) -> Self:
        """Return the metric for a model of these shapes."""
        return self


class _OfClasses(Metric):
    """What the metrics of class numbers share."""

    _axis: int = 1
    _classes: int = 0

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse targets that are not class numbers.

        Raises:
            ShapeError: the targets are not int64, or no axis of the output has one number for each class.
        """
        axis = class_axis(output, target)
        if target.dtype != "int64" or axis is None or not isinstance(output.dims[axis], int):
            remedy = 'use {"type": "MeanAbsoluteError"} for numbers'
            name = type(self).__name__
            raise ShapeError(f"{name} judges logits (N, classes), but the model gives {output} for {target}", remedy)

    def arranged(self, output: Shape, target: Shape) -> Self:
        """Return the metric that looks for the classes where these shapes have them."""
        placed = self.model_copy()
        placed._axis = class_axis(output, target) or 1
        placed._classes = int(output.dims[placed._axis])
        return placed


class Accuracy(_OfClasses):
    """Share of the targets whose class is among the largest logits: of rows, of tokens, of pixels.

    Source: https://lightning.ai/docs/torchmetrics/stable/classification/accuracy.html
    """

    key = "accuracy"
    better = "max"
    type: Literal["Accuracy"]
    top_k: Count = 1
    """How many of the largest logits count."""

    @property
    def name(self) -> str:
        """Return "accuracy", or "accuracy_top5"."""
        return self.key if self.top_k == 1 else f"{self.key}_top{self.top_k}"

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse targets that are not class numbers, and a top_k that is always right.

        Raises:
            ShapeError: as said.
        """
        super().require(output, target)
        classes = output.dims[class_axis(output, target) or 1]
        if isinstance(classes, int) and self.top_k > 1 and self.top_k >= classes:
            message = f"Accuracy with top_k {self.top_k} of {classes} classes is always 1"
            raise ShapeError(message, "write a smaller top_k", "top_k")

    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the share of each row's targets that are right, (N,)."""
        if self.top_k == 1:
            right = output.argmax(self._axis) == target
        else:
            largest = output.topk(self.top_k, self._axis).indices
            right = (largest == target.unsqueeze(self._axis)).any(self._axis)
        return right.double().reshape(len(target), -1).mean(1)


class _OfEachClass(_OfClasses):
    """What the metrics share that are taken class by class."""

    average: Literal["macro", "micro", "weighted"] = "macro"
    """The mean over the classes that occur, over all targets, or over classes by how often they occur."""

    @property
    def name(self) -> str:
        """Return "f1_score", or "f1_score_micro"."""
        return self.key if self.average == "macro" else f"{self.key}_{self.average}"

    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return how many targets of each class are found, are called so, and are there: (N, 3 · classes)."""
        import torch
        from torch.nn.functional import one_hot

        rows = len(target)
        called = one_hot(output.argmax(self._axis), self._classes).reshape(rows, -1, self._classes).double()
        there = one_hot(target, self._classes).reshape(rows, -1, self._classes).double()
        return torch.cat([(called * there).sum(1), called.sum(1), there.sum(1)], 1)

    def finished(self, means: Tensor) -> float:
        """Return the metric from the means of what is found, called and there."""
        found, called, there = means.reshape(3, self._classes)
        if self.average == "micro":
            return float(self.score(found.sum(), called.sum(), there.sum()))
        scores = self.score(found, called, there)
        weights = there if self.average == "weighted" else ((there + called) > 0).double()
        return float((scores * weights).sum() / weights.sum())

    @abstractmethod
    def score(self, found: Tensor, called: Tensor, there: Tensor) -> Tensor:
        """Return the score of each class; 0 where it would be 0 / 0."""


class Precision(_OfEachClass):
    """Of the targets that the model calls a class, the share that are.

    Source: https://lightning.ai/docs/torchmetrics/stable/classification/precision.html
    """

    key = "precision"
    better = "max"
    type: Literal["Precision"]

    def score(self, found: Tensor, called: Tensor, there: Tensor) -> Tensor:
        """Return found / called."""
        return found / called.clamp(min=TINY)


class Recall(_OfEachClass):
    """Of the targets that are of a class, the share that the model finds.

    Source: https://lightning.ai/docs/torchmetrics/stable/classification/recall.html
    """

    key = "recall"
    better = "max"
    type: Literal["Recall"]

    def score(self, found: Tensor, called: Tensor, there: Tensor) -> Tensor:
        """Return found / there."""
        return found / there.clamp(min=TINY)


class F1Score(_OfEachClass):
    """The harmonic mean of precision and recall.

    Source: https://lightning.ai/docs/torchmetrics/stable/classification/f1_score.html
    """

    key = "f1_score"
    better = "max"
    type: Literal["F1Score"]

    def score(self, found: Tensor, called: Tensor, there: Tensor) -> Tensor:
        """Return 2 · found / (called + there)."""
        return 2 * found / (called + there).clamp(min=TINY)


class Perplexity(_OfClasses):
    """The exponential of the mean negative log-probability of the right class: of how many tokens it is like guessing.

    Source: https://lightning.ai/docs/torchmetrics/stable/text/perplexity.html
    """

    key = "perplexity"
    better = "min"
    type: Literal["Perplexity"]

    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean negative log-probability of each row's targets, (N,)."""
        logs = output.double().log_softmax(self._axis)
        return -logs.gather(self._axis, target.unsqueeze(self._axis)).reshape(len(target), -1).mean(1)

    def finished(self, means: Tensor) -> float:
        """Return the exponential of the mean."""
        return float(means[0].exp())


class _OfNumbers(Metric):
    """What the metrics of numbers share."""

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse shapes that differ.

        Raises:
            ShapeError: the output is not what the targets are.
        """
        if output != target:
            remedy = 'use {"type": "Accuracy"} for class numbers'
            name = type(self).__name__
            raise ShapeError(f"{name} compares {output} of the model with targets {target}", remedy)


class MeanAbsoluteError(_OfNumbers):
    """Mean distance between prediction and target.

    Source: https://lightning.ai/docs/torchmetrics/stable/regression/mean_absolute_error.html
    """

    key = "mean_absolute_error"
    better = "min"
    type: Literal["MeanAbsoluteError"]

    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean distance of each row."""
        return (output.double() - target.double()).abs().reshape(len(output), -1).mean(1)


class MeanSquaredError(_OfNumbers):
    """Mean squared distance between prediction and target; or its root, the RMSE.

    Source: https://lightning.ai/docs/torchmetrics/stable/regression/mean_squared_error.html
    """

    key = "mean_squared_error"
    better = "min"
    type: Literal["MeanSquaredError"]
    squared: bool = True
    """False for the root: in the units of the targets."""

    @property
    def name(self) -> str:
        """Return "mean_squared_error", or "root_mean_squared_error"."""
        return self.key if self.squared else f"root_{self.key}"

    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared distance of each row."""
        return (output.double() - target.double()).square().reshape(len(output), -1).mean(1)

    def finished(self, means: Tensor) -> float:
        """Return the mean, or its root."""
        return float(means[0] if self.squared else means[0].sqrt())


class R2Score(_OfNumbers):
    """The share of the targets' variance that the model explains, over all numbers of a row together.

    Source: https://lightning.ai/docs/torchmetrics/stable/regression/r2_score.html
    """

    key = "r2_score"
    better = "max"
    type: Literal["R2Score"]

    def values(self, output: Tensor, target: Tensor) -> Tensor:
        """Return squared errors, targets and squared targets of each row, averaged: (N, 3)."""
        import torch

        given, wanted = output.double().reshape(len(output), -1), target.double().reshape(len(target), -1)
        return torch.stack([(given - wanted).square().mean(1), wanted.mean(1), wanted.square().mean(1)], 1)

    def finished(self, means: Tensor) -> float:
        """Return 1 - errors / variance; 0 where the targets are all alike."""
        error, mean, square = means.tolist()
        variance = square - mean**2
        return float(1 - error / variance) if variance > 0 else 0.0


METRICS = Choice(
    "metric",
    {
        "zoo.metrics": (
            "Accuracy",
            "F1Score",
            "MeanAbsoluteError",
            "MeanSquaredError",
            "Perplexity",
            "Precision",
            "R2Score",
            "Recall",
        )
    },
)
AnyMetric = Annotated[Metric, METRICS]
