"""Metrics of class numbers: Accuracy, Precision, Recall, F1Score, Perplexity.

Where the loss leaves targets out (its ignore_index), they do not count here either: then the mean is over all targets
that count, and not over the rows' means.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, Self

from zoo.errors import ShapeError
from zoo.metrics.metric import Metric
from zoo.shapes import Shape, class_axis
from zoo.strict import Count

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-300  # in the place of 0 below a fraction whose top is 0 too


class _OfClasses(Metric):
    """What the metrics of class numbers share."""

    _axis: int = 1
    _classes: int = 0
    _ignored: int | None = None

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

    def arranged(self, output: Shape, target: Shape, ignored: int | None = None) -> Self:
        """Return the metric that looks for the classes where these shapes have them."""
        placed = self.model_copy()
        placed._axis = class_axis(output, target) or 1
        placed._classes = int(output.dims[placed._axis])
        placed._ignored = ignored
        return placed

    def _each(self, values: Tensor, target: Tensor) -> Tensor:
        """Return the mean of each row's numbers, one for each target, (N,).

        Where some targets do not count: the sum of the others' numbers, and how many these are, (N, 2).
        """
        import torch

        rows = len(target)
        if self._ignored is None:
            return values.double().reshape(rows, -1).mean(1)
        counted = target != self._ignored
        sums = torch.where(counted, values.double(), 0.0).reshape(rows, -1).sum(1)
        return torch.stack([sums, counted.double().reshape(rows, -1).sum(1)], 1)

    def _known(self, target: Tensor) -> Tensor:
        """Return the targets with class 0 for those that do not count, whose number may be none of a class."""
        return target if self._ignored is None else target.masked_fill(target == self._ignored, 0)

    def finished(self, means: Tensor) -> float:
        """Return the mean over all targets that count."""
        return float(means[0] if len(means) == 1 else means[0] / means[1])


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
        """Return the share of each row's targets that are right, (N,); or how many, and of how many, (N, 2)."""
        if self.top_k == 1:
            right = output.argmax(self._axis) == target
        else:
            largest = output.topk(self.top_k, self._axis).indices
            right = (largest == target.unsqueeze(self._axis)).any(self._axis)
        return self._each(right, target)


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
        there = one_hot(self._known(target), self._classes).reshape(rows, -1, self._classes).double()
        if self._ignored is not None:
            counted = (target != self._ignored).reshape(rows, -1, 1)
            called, there = called * counted, there * counted
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
        """Return the mean negative log-probability of each row's targets, (N,); or the sum, and of how many, (N, 2)."""
        logs = output.double().log_softmax(self._axis)
        right = logs.gather(self._axis, self._known(target).unsqueeze(self._axis)).squeeze(self._axis)
        return self._each(-right, target)

    def finished(self, means: Tensor) -> float:
        """Return the exponential of the mean."""
        return float((means[0] if len(means) == 1 else means[0] / means[1]).exp())
