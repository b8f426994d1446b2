"""Metrics of numbers: MeanAbsoluteError, MeanSquaredError, R2Score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from zoo.errors import ShapeError
from zoo.metrics.metric import Metric
from zoo.shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor


class _OfNumbers(Metric):
    """What the metrics of numbers share."""

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse shapes that differ.

        Raises:
            ShapeError: the output is not what the targets are.
        """
        if output != target:
            remedy = f"make the last layer give {target}"
            if target.dtype == "int64":
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
