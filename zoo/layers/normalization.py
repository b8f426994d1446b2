"""Normalization layers: BatchNorm1d, LayerNorm."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from zoo.errors import ShapeError
from zoo.layers.layer import Layer, agreed, features, require_float
from zoo.shapes import Shape
from zoo.strict import Count, Positive, Probability

if TYPE_CHECKING:
    from torch import nn


class BatchNorm1d(Layer):
    """Normalises each feature over the batch; in evaluation, with the running statistics.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
    """

    type: Literal["BatchNorm1d"]
    num_features: Count | None = None
    """Size of axis 1; follows from the layer above, and is checked when written."""
    eps: Positive = 1e-5
    """Added to the variance."""
    momentum: Probability | None = 0.1
    """Weight of the newest batch in the running statistics; null for a cumulative average."""
    affine: bool = True
    """Learn a scale and a shift for each feature."""
    track_running_stats: bool = True
    """Keep running statistics; false uses the batch's own in evaluation too."""

    @model_validator(mode="after")
    def _momentum_is_used(self) -> Self:
        if not self.track_running_stats and self.momentum != 0.1:
            raise ValueError("momentum says nothing without running statistics; remove one of the two options")
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `shape` is neither (N, C) nor (N, C, L), its numbers are not floats, or a row alone has no
                statistics.
        """
        require_float(self, shape)
        if shape.rank not in (2, 3):
            raise ShapeError("BatchNorm1d needs (N, C) or (N, C, L)", "put a Flatten above it")
        agreed(self, "num_features", self.num_features, shape.row[0], "features")
        if not self.track_running_stats and prod(shape.row[1:]) == 1:
            message = "BatchNorm1d without running statistics needs several numbers for each feature of a row"
            raise ShapeError(
                message,
                "remove track_running_stats: a single row could not be predicted without them",
                "track_running_stats",
            )
        return shape

    def smallest_training_batch(self, shape: Shape) -> int:
        """Return 2 where each feature is one number: a single number has no variance."""
        return 2 if prod(shape.row[1:]) == 1 else 1

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.BatchNorm1d."""
        from torch import nn

        return nn.BatchNorm1d(shape.row[0], self.eps, self.momentum, self.affine, self.track_running_stats)


class LayerNorm(Layer):
    """Normalises each row over its last axes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html
    """

    type: Literal["LayerNorm"]
    normalized_shape: Annotated[tuple[Count, ...], Field(min_length=1, max_length=7)] | None = None
    """The last axes to normalise over; by default the last one. Checked when written."""
    eps: Positive = 1e-5
    """Added to the variance."""
    elementwise_affine: bool = True
    """Learn a scale and a shift for each number."""
    bias: bool = True
    """Learn the shift; only with elementwise_affine."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `normalized_shape` is not the end of `shape`, or the numbers are not floats.
        """
        features(self, shape)
        expected = self._axes(shape)
        if shape.row[-len(expected) :] != expected:
            raise ShapeError(
                f"LayerNorm needs rows that end in {list(expected)}",
                f"write the last axes, such as [{shape.row[-1]}], or remove normalized_shape",
                "normalized_shape",
            )
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.LayerNorm."""
        from torch import nn

        return nn.LayerNorm(list(self._axes(shape)), self.eps, self.elementwise_affine, self.bias)

    def _axes(self, shape: Shape) -> tuple[int, ...]:
        return self.normalized_shape if self.normalized_shape is not None else shape.row[-1:]
