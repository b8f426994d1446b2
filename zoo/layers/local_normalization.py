"""Normalization by parts of a row: GroupNorm, InstanceNorm1d, 2d, 3d, LocalResponseNorm, CrossMapLRN2d."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.axis import least
from zoo.layers.layer import Sizes, agreed, axis_size, kind, require_float
from zoo.layers.namesake import Namesake
from zoo.layers.normalization import ChannelNorm, scale_and_shift
from zoo.shapes import Shape
from zoo.strict import Count, Field, NonNegative, Number, Positive, Probability, model_validator


class GroupNorm(Namesake):
    """Normalises each row over groups of its channels, which are axis 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html
    """

    type: Literal["GroupNorm"]
    num_groups: Count
    """How many groups share the channels evenly."""
    num_channels: Count | None = None
    """Size of axis 1; follows from the layer above, and is checked when written."""
    eps: Positive = 1e-5
    """Added to the variance."""
    affine: bool = True
    """Learn a scale and a shift for each channel."""
    bias: bool = True
    """Learn the shift; only with affine."""

    @model_validator(mode="after")
    def _bias_is_used(self) -> Self:
        if not (self.bias or self.affine):
            raise ValueError("bias says nothing without affine; remove one of the two options")
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: there are no channels, the groups do not share them evenly, a group of a row is a single number,
                or the numbers are not floats.
        """
        require_float(self, shape)
        if shape.rank < 2:
            raise ShapeError("GroupNorm needs channels (N, C, …)", "keep an axis in the layer above")
        channels = axis_size(self, shape, 1)
        agreed(self, "num_channels", self.num_channels, channels, "channels")
        if channels % self.num_groups:
            fitting = [count for count in range(1, min(channels, self.num_groups) + 1) if channels % count == 0]
            message = f"GroupNorm needs num_groups to divide the {channels} channels"
            raise ShapeError(message, f"write {fitting[-1]}", "num_groups")
        if channels // self.num_groups * least(shape.dims[2:]) == 1:
            message = "GroupNorm needs several numbers in each group of a row"
            if self.num_groups == 1:
                raise ShapeError(message, "give it more features, or remove it")
            raise ShapeError(message, "write fewer groups", "num_groups")
        return shape

    def sizes(self, shape: Shape) -> dict[str, Any]:
        """Return the size of axis 1."""
        return {"num_channels": axis_size(self, shape, 1)}

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the scale and the shift."""
        return scale_and_shift((axis_size(self, shape, 1),), self.affine, self.bias)


class InstanceNorm(ChannelNorm):
    """What every layer has that normalises each channel of each row by itself."""

    momentum: Probability = 0.1
    """Weight of the newest batch in the running statistics."""
    affine: bool = False
    """Learn a scale and a shift for each channel."""
    track_running_stats: bool = False
    """Keep running statistics and normalise by them in evaluation."""

    def require_statistics(self, shape: Shape) -> None:
        """Refuse channels that are a single number in each row."""
        if least(shape.dims[2:]) == 1:
            raise ShapeError(
                f"{kind(self)} needs several numbers for each channel of a row",
                "put it above the pooling, or remove it",
            )


class InstanceNorm1d(InstanceNorm):
    """Normalises each channel of each sequence by itself.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm1d.html
    """

    type: Literal["InstanceNorm1d"]
    ranks: ClassVar[tuple[int, ...]] = (3,)
    wanted: ClassVar[str] = "sequences (N, C, L)"


class InstanceNorm2d(InstanceNorm):
    """Normalises each channel of each image by itself.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm2d.html
    """

    type: Literal["InstanceNorm2d"]
    ranks: ClassVar[tuple[int, ...]] = (4,)
    wanted: ClassVar[str] = "images (N, C, H, W)"


class InstanceNorm3d(InstanceNorm):
    """Normalises each channel of each volume by itself.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm3d.html
    """

    type: Literal["InstanceNorm3d"]
    ranks: ClassVar[tuple[int, ...]] = (5,)
    wanted: ClassVar[str] = "volumes (N, C, D, H, W)"


class ResponseNorm(Namesake):
    """What every layer has that divides each number by a sum over the channels beside it."""

    size: Count
    """How many channels beside one another count."""
    alpha: NonNegative = 0.0001
    """Weight of the mean of their squares."""
    beta: Number = 0.75
    """The power of the divisor."""
    k: NonNegative = 1.0
    """Added to the divisor."""


class LocalResponseNorm(ResponseNorm):
    """x / (k + alpha · mean of the squares of `size` channels) ** beta, as in AlexNet.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LocalResponseNorm.html
    """

    type: Literal["LocalResponseNorm"]

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: there is no axis after the channels, or the numbers are not floats.
        """
        require_float(self, shape)
        if shape.rank < 3:
            raise ShapeError("LocalResponseNorm needs channels (N, C, L, …)", "put it above the Flatten")
        return shape


class CrossMapLRN2d(ResponseNorm):
    """LocalResponseNorm over images alone, as Caffe computes it; torch cannot export it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossMapLRN2d.html
    """

    keeps_output: ClassVar[bool] = True
    type: Literal["CrossMapLRN2d"]
    size: Annotated[Count, Field(ge=2)]
    """How many channels beside one another count; torch fails to train a single one."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `shape` is not (N, C, H, W), or the numbers are not floats.
        """
        require_float(self, shape)
        if shape.rank != 4:
            raise ShapeError("CrossMapLRN2d needs images (N, C, H, W)", "write LocalResponseNorm")
        return shape
