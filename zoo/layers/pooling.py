"""Pooling layers: the largest numbers, averages and power averages under a window that slides, and unpooling."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.indices import Indices
from zoo.layers.layer import kind, require_float
from zoo.layers.spatial import (
    Counts1,
    Counts2,
    Counts3,
    Margins1,
    Margins2,
    Margins3,
    Spatial,
    Window,
    holdable,
    slid,
    spread,
)
from zoo.shapes import Shape, Value
from zoo.strict import Count, Integer, Number, model_validator


class Pool(Spatial):
    """What every layer has that pools the numbers under a window."""

    whole_windows: ClassVar[bool] = False
    """Whether torch refuses axes shorter than the window, even where padding or ceil_mode would make up for it."""

    kernel_size: Count | tuple[Count, ...]
    """Sides of the window."""
    stride: Count | tuple[Count, ...] | None = None
    """Steps from one place of the window to the next; by default as many as the window has."""
    ceil_mode: bool = False
    """The last window may reach beyond the end."""

    @property
    def windows(self) -> tuple[Window, ...]:
        """Return the window along each axis."""
        kernels, margins, gaps = (
            spread(option, self.axes)
            for option in (self.kernel_size, getattr(self, "padding", 0), getattr(self, "dilation", 1))
        )
        strides = kernels if self.stride is None else spread(self.stride, self.axes)
        return tuple(
            Window(kernel, stride, margin, margin, gap, self.ceil_mode)
            for kernel, stride, margin, gap in zip(kernels, strides, margins, gaps, strict=True)
        )

    @model_validator(mode="after")
    def _padding_is_small(self) -> Self:
        if any(2 * window.before > window.kernel for window in self.windows):
            raise ValueError(
                "padding must be at most half of kernel_size; write a smaller one, or a padding layer above"
            )
        return self

    def pooled(self, shape: Shape) -> Shape:
        """Return (N, C, ...) with the places of the window along each axis.

        Raises:
            ShapeError: `shape` has not the right axes or no floats, or the window is larger than the padded input.
        """
        require_float(self, shape)
        sides = self.sides(shape)
        for axis, (side, window) in enumerate(zip(sides, self.windows, strict=True), start=2):
            if self.whole_windows and isinstance(side, int) and side < window.kernel:
                message = f"{kind(self)} needs axis {axis} to be {window.kernel:,} or longer, without its padding"
                raise ShapeError(message, "write a smaller kernel_size", "kernel_size")
        return holdable(self, shape.with_dims(*shape.dims[:2], *slid(self, sides, self.windows)))

    def output_shape(self, shape: Shape) -> Value:
        """Return (N, C, ...) with floor((size + 2 * padding - kernel_size) / stride) + 1 along each axis."""
        return self.pooled(shape)


class MaxPool(Pool):
    """What every layer has that gives the largest number under a window."""

    padding: int | tuple[int, ...] = 0
    """Padding at both ends of each axis, with numbers less than all others; at most half of kernel_size."""
    dilation: Count | tuple[Count, ...] = 1
    """Steps from one number under the window to the next."""
    return_indices: bool = False
    """Give (numbers, where each stood); MaxUnpool needs it, and Select takes one of the two."""

    def output_shape(self, shape: Shape) -> Value:
        """Return floor((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1 along each axis."""
        pooled = self.pooled(shape)
        for axis, (side, window) in enumerate(zip(shape.dims[2:], self.windows, strict=True), start=2):
            # The first window starts in the padding. Where its dilation steps over the axis, torch gives -inf, and
            # writes its gradient outside of the tensor.
            if -window.before % window.dilation >= (1 if isinstance(side, str) else side):
                message = f"{kind(self)} needs a longer axis {axis}: a window on it would hold nothing but padding"
                raise ShapeError(message, "write a smaller dilation, or another padding", "dilation")
        return (pooled, Indices(pooled, shape.dims[2:])) if self.return_indices else pooled


class AvgPool(Pool):
    """What every layer has that gives the average under a window."""

    padding: int | tuple[int, ...] = 0
    """Zeros at both ends of each axis; at most half of kernel_size."""
    count_include_pad: bool = True
    """Count the zeros of the padding in the average."""

    @model_validator(mode="after")
    def _counting_means_something(self) -> Self:
        if not self.count_include_pad and not any(window.before for window in self.windows):
            raise ValueError("count_include_pad says nothing without padding; remove it, or write a padding")
        return self


class DividedAvgPool(AvgPool):
    """What AvgPool2d and AvgPool3d have."""

    divisor_override: Integer | None = None
    """Divide the sum by this number; by default by how many numbers the window holds."""

    @model_validator(mode="after")
    def _divisor_divides(self) -> Self:
        if self.divisor_override == 0:
            raise ValueError("divisor_override must not be 0; write another number, or remove it")
        if self.divisor_override is not None and not self.count_include_pad:
            raise ValueError("count_include_pad says nothing beside divisor_override; remove one of the two options")
        return self


class LPPool(Pool):
    """What every layer has that gives (sum of x^p)^(1/p) under a window."""

    norm_type: Number
    """p; not 0. 1 gives sums."""

    @model_validator(mode="after")
    def _norm_is_a_power(self) -> Self:
        if self.norm_type == 0:
            raise ValueError("norm_type must not be 0; write 1 for sums, 2 for lengths")
        return self


class MaxPool1d(MaxPool):
    """The largest number under a window that slides over sequences (N, C, L).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["MaxPool1d"]
    kernel_size: Counts1
    stride: Counts1 | None = None
    padding: Margins1 = 0
    dilation: Counts1 = 1


class MaxPool2d(MaxPool):
    """The largest number under a window that slides over images (N, C, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["MaxPool2d"]
    kernel_size: Counts2
    stride: Counts2 | None = None
    padding: Margins2 = 0
    dilation: Counts2 = 1


class MaxPool3d(MaxPool):
    """The largest number under a window that slides over volumes (N, C, D, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool3d.html
    """

    axes: ClassVar[int] = 3

    type: Literal["MaxPool3d"]
    kernel_size: Counts3
    stride: Counts3 | None = None
    padding: Margins3 = 0
    dilation: Counts3 = 1


class AvgPool1d(AvgPool):
    """The average under a window that slides over sequences (N, C, L).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["AvgPool1d"]
    kernel_size: Counts1
    stride: Counts1 | None = None
    padding: Margins1 = 0


class AvgPool2d(DividedAvgPool):
    """The average under a window that slides over images (N, C, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["AvgPool2d"]
    kernel_size: Counts2
    stride: Counts2 | None = None
    padding: Margins2 = 0


class AvgPool3d(DividedAvgPool):
    """The average under a window that slides over volumes (N, C, D, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool3d.html
    """

    axes: ClassVar[int] = 3
    whole_windows: ClassVar[bool] = True

    type: Literal["AvgPool3d"]
    kernel_size: Counts3
    stride: Counts3 | None = None
    padding: Margins3 = 0


class LPPool1d(LPPool):
    """(sum of x^norm_type)^(1 / norm_type) under a window that slides over sequences (N, C, L).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["LPPool1d"]
    kernel_size: Count
    stride: Counts1 | None = None


class LPPool2d(LPPool):
    """(sum of x^norm_type)^(1 / norm_type) under a window that slides over images (N, C, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["LPPool2d"]
    kernel_size: Counts2
    stride: Counts2 | None = None


class LPPool3d(LPPool):
    """(sum of x^norm_type)^(1 / norm_type) under a window that slides over volumes (N, C, D, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LPPool3d.html
    """

    axes: ClassVar[int] = 3
    whole_windows: ClassVar[bool] = True

    type: Literal["LPPool3d"]
    kernel_size: Counts3
    stride: Counts3 | None = None
