"""Normalization layers: BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm, LayerNorm, RMSNorm."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from zoo.errors import ShapeError, SizeError
from zoo.layers.axis import least
from zoo.layers.layer import Sizes, agreed, axis_size, features, kind, require_float
from zoo.layers.namesake import Namesake
from zoo.shapes import Shape
from zoo.strict import Count, Field, Positive, Probability, model_validator


class ChannelNorm(Namesake):
    """What every layer has that normalises each channel, which are axis 1, by statistics of its numbers."""

    ranks: ClassVar[tuple[int, ...]] = ()
    """The ranks that the layer takes; none: any with channels."""
    wanted: ClassVar[str]
    """Those shapes, as a message writes them."""

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
    bias: bool = True
    """Learn the shift; only with affine."""

    @model_validator(mode="after")
    def _options_are_used(self) -> Self:
        if not self.track_running_stats and self.momentum != 0.1:
            raise ValueError("momentum says nothing without running statistics; remove one of the two options")
        if not (self.bias or self.affine):
            raise ValueError("bias says nothing without affine; remove one of the two options")
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `shape` has another rank, its numbers are not floats, `num_features` is not the size of axis 1,
                or a row alone has no statistics.
        """
        require_float(self, shape)
        if shape.rank not in self.ranks if self.ranks else shape.rank < 2:
            raise ShapeError(f"{kind(self)} needs {self.wanted}", self.remedy(shape))
        agreed(self, "num_features", self.num_features, axis_size(self, shape, 1), "features")
        self.require_statistics(shape)
        return shape

    def remedy(self, shape: Shape) -> str:
        """Return what to write where the rank is another."""
        family = kind(self).rstrip("123d")
        fitting = {3: "1d", 4: "2d", 5: "3d"}.get(shape.rank)
        return f"write {family}{fitting}" if fitting else "keep an axis in the layer above"

    def require_statistics(self, shape: Shape) -> None:
        """Refuse rows that have no statistics of their own where they are wanted."""

    def sizes(self, shape: Shape) -> dict[str, Any]:
        """Return the size of axis 1."""
        return {"num_features": axis_size(self, shape, 1)}

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the scale and the shift."""
        return scale_and_shift((axis_size(self, shape, 1),), self.affine, self.bias)


class BatchNorm(ChannelNorm):
    """What every layer has that normalises each channel over the batch."""

    def remedy(self, shape: Shape) -> str:
        """Return what to write where the rank is another."""
        return "write BatchNorm1d" if shape.rank == 2 else super().remedy(shape)

    def require_statistics(self, shape: Shape) -> None:
        """Refuse single numbers without running statistics, because a single row could not be predicted."""
        if not self.track_running_stats and least(shape.dims[2:]) == 1:
            message = f"{kind(self)} without running statistics needs several numbers for each feature of a row"
            raise ShapeError(
                message,
                "remove track_running_stats: a single row could not be predicted without them",
                "track_running_stats",
            )

    def smallest_training_batch(self, shape: Shape) -> int:
        """Return 2 where each feature is one number: a single number has no variance."""
        return 2 if least(shape.dims[2:]) == 1 else 1


class BatchNorm1d(BatchNorm):
    """Normalises each feature over the batch; in evaluation, with the running statistics.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
    """

    type: Literal["BatchNorm1d"]
    ranks: ClassVar[tuple[int, ...]] = (2, 3)
    wanted: ClassVar[str] = "(N, C) or (N, C, L)"

    def remedy(self, shape: Shape) -> str:
        """Return what to write where the rank is another."""
        other = super().remedy(shape)
        return f"{other}, or put a Flatten above it" if shape.rank > 3 else other


class BatchNorm2d(BatchNorm):
    """Normalises each channel of images over the batch and the pixels; in evaluation, with the running statistics.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
    """

    type: Literal["BatchNorm2d"]
    ranks: ClassVar[tuple[int, ...]] = (4,)
    wanted: ClassVar[str] = "images (N, C, H, W)"


class BatchNorm3d(BatchNorm):
    """Normalises each channel of volumes over the batch and the voxels; in evaluation, with the running statistics.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm3d.html
    """

    type: Literal["BatchNorm3d"]
    ranks: ClassVar[tuple[int, ...]] = (5,)
    wanted: ClassVar[str] = "volumes (N, C, D, H, W)"


class SyncBatchNorm(BatchNorm):
    """A BatchNorm for any number of axes whose batch is that of all processes; several processes need CUDA.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SyncBatchNorm.html
    """

    type: Literal["SyncBatchNorm"]
    wanted: ClassVar[str] = "channels (N, C, …)"


class RowNorm(Namesake):
    """What every layer has that normalises each row over its last axes."""

    normalized_shape: Annotated[tuple[Count, ...], Field(min_length=1, max_length=7)] | None = None
    """The last axes to normalise over; by default the last one. Checked when written."""
    elementwise_affine: bool = True
    """Learn a scale for each number, and in LayerNorm a shift."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: the numbers are not floats, or `normalized_shape` is not the end of `shape`.
        """
        last = features(self, shape)
        if self.normalized_shape is not None and shape.dims[1:][-len(self.normalized_shape) :] != self.normalized_shape:
            raise SizeError(
                f"{kind(self)} needs rows that end in {list(self.normalized_shape)}",
                f"write the last axes, such as [{last}], or remove normalized_shape",
                "normalized_shape",
            )
        return shape

    def sizes(self, shape: Shape) -> dict[str, Any]:
        """Return the last axes."""
        return {"normalized_shape": list(self.axes(shape))}

    def axes(self, shape: Shape) -> tuple[int, ...]:
        """Return the sizes of the last axes that are normalised over."""
        return self.normalized_shape or (features(self, shape),)


class LayerNorm(RowNorm):
    """Normalises each row over its last axes: mean 0, variance 1, then a learned scale and shift.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html
    """

    type: Literal["LayerNorm"]
    eps: Positive = 1e-5
    """Added to the variance."""
    bias: bool = True
    """Learn the shift; only with elementwise_affine."""

    @model_validator(mode="after")
    def _bias_is_used(self) -> Self:
        if not (self.bias or self.elementwise_affine):
            raise ValueError("bias says nothing without elementwise_affine; remove one of the two options")
        return self

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the scale and the shift."""
        return scale_and_shift(self.axes(shape), self.elementwise_affine, self.bias)


class RMSNorm(RowNorm):
    """Divides each row by the root of the mean of its squares over the last axes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html
    """

    type: Literal["RMSNorm"]
    eps: Positive | None = None
    """Added to the mean of the squares; null for the smallest step of float32 above 1."""

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the scale."""
        return {"weight": self.axes(shape)} if self.elementwise_affine else {}


def scale_and_shift(sizes: Sizes, scale: bool, shift: bool) -> dict[str, Sizes]:
    """Return the sizes of what a normalization layer learns; there is no shift without a scale."""
    return dict.fromkeys(("weight", "bias") if shift else ("weight",), sizes) if scale else {}
