"""Convolutions: Conv1d, Conv2d, Conv3d, and their transposes.

The sizes follow relations 6 and 14 of Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning".
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from math import prod
from typing import Any, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.layer import Sizes, agreed, axis_size, kind, require_float
from zoo.layers.parametrization import Parametrized
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
    positions,
    require_paddable,
    resized,
    slid,
    spread,
)
from zoo.shapes import Dimension, Shape
from zoo.strict import Count, Size, model_validator


class Convolution(Parametrized, Spatial):
    """What every convolution has, transposed or not."""

    in_channels: Count | None = None
    """Size of axis 1; follows from the layer above, and is checked when written."""
    out_channels: Size
    """Channels that come out, or "classes"."""
    kernel_size: Count | tuple[Count, ...]
    """Sides of the kernel."""
    stride: Count | tuple[Count, ...] = 1
    """Steps from one place of the kernel to the next; in a transposed convolution, in what comes out."""
    dilation: Count | tuple[Count, ...] = 1
    """Steps from one number of the kernel to the next."""
    groups: Count = 1
    """Channels are divided into this many groups, each convolved by itself."""
    bias: bool = True
    """Learn an additive bias."""

    @abstractmethod
    def new_sides(self, shape: Shape) -> tuple[Dimension, ...]:
        """Return the sizes of the axes after the channels of what comes out."""

    @abstractmethod
    def weight_sizes(self, channels: int) -> Sizes:
        """Return the sizes of the weight for inputs of so many channels."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return (N, out_channels, ...).

        Raises:
            ShapeError: `shape` has not the right axes or no floats; channels do not agree, or do not divide into
                groups; the kernel is larger than the padded input.
        """
        require_float(self, shape)
        self.sides(shape)
        channels = agreed(self, "in_channels", self.in_channels, axis_size(self, shape, 1), "channels")
        for name, size in (("in_channels", channels), ("out_channels", int(self.out_channels))):
            if size % self.groups:
                message = f"{kind(self)} needs {name} ({size}) to be a multiple of groups ({self.groups})"
                raise ShapeError(message, f"write groups that divide {size}", "groups")
        weight = self.weight_sizes(channels)
        self.require_weight(weight)
        holdable(self, shape.with_dims(*weight))
        return holdable(self, shape.with_dims("N", int(self.out_channels), *self.new_sides(shape)))

    # Any: torch's own argument types.
    def sizes(self, shape: Shape) -> dict[str, Any]:
        """Return the channels that go in."""
        return {"in_channels": shape.dims[1]}

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of weight and bias, or of what the parametrisation learns."""
        others: dict[str, Sizes] = {"bias": (int(self.out_channels),)} if self.bias else {}
        return self.learned(self.weight_sizes(axis_size(self, shape, 1)), others)


class Forward(Convolution):
    """What every convolution has that is not transposed."""

    padding: int | tuple[int, ...] | Literal["same", "valid"] = 0
    """Padding at both ends of each axis; "same" keeps the sizes, "valid" is no padding."""
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"
    """What the padding holds."""

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        if self.padding == "same" and set(spread(self.stride, self.axes)) != {1}:
            raise ValueError('padding "same" has no meaning with a stride; write the padding as a number')
        if self.padding_mode != "zeros" and not any(window.before or window.after for window in self.windows):
            raise ValueError("padding_mode says nothing without padding; remove it, or write a padding")
        return self

    @property
    def windows(self) -> tuple[Window, ...]:
        """Return the kernel along each axis."""
        kernels, strides, gaps = (
            spread(option, self.axes) for option in (self.kernel_size, self.stride, self.dilation)
        )
        if self.padding == "same":
            around = [gap * (kernel - 1) for kernel, gap in zip(kernels, gaps, strict=True)]
            margins = [(both // 2, both - both // 2) for both in around]
        else:
            numbers = 0 if isinstance(self.padding, str) else self.padding
            margins = [(margin, margin) for margin in spread(numbers, self.axes)]
        return tuple(
            Window(kernel, stride, *margin, dilation=gap)
            for kernel, stride, margin, gap in zip(kernels, strides, margins, gaps, strict=True)
        )

    def new_sides(self, shape: Shape) -> tuple[Dimension, ...]:
        """Return floor((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1 along each axis."""
        for axis, (side, window) in enumerate(zip(shape.dims[2:], self.windows, strict=True), start=2):
            require_paddable(self, self.padding_mode, axis, side, (window.before, window.after))
        return slid(self, shape.dims[2:], self.windows)

    def weight_sizes(self, channels: int) -> Sizes:
        """Return (out_channels, channels / groups, kernel ...)."""
        return int(self.out_channels), channels // self.groups, *spread(self.kernel_size, self.axes)

    def multiply_adds(self, shape: Shape) -> int:
        """Return the numbers of the weight, once for each place of the kernel."""
        return prod(self.weight_sizes(axis_size(self, shape, 1))) * positions(self.output_shape(shape))


class Transposed(Convolution):
    """What every transposed convolution has."""

    padding: int | tuple[int, ...] = 0
    """How far both ends of each axis are cut off what comes out."""
    output_padding: int | tuple[int, ...] = 0
    """How far the end of each axis is lengthened; smaller than stride or dilation."""
    padding_mode: Literal["zeros"] = "zeros"
    """What the padding holds."""

    @model_validator(mode="after")
    def _output_padding_is_small(self) -> Self:
        options = (spread(option, self.axes) for option in (self.output_padding, self.stride, self.dilation))
        if any(extra >= max(stride, gap) for extra, stride, gap in zip(*options, strict=True)):
            raise ValueError("output_padding must be smaller than stride or dilation; write a smaller one")
        return self

    def new_sides(self, shape: Shape) -> tuple[Dimension, ...]:
        """Return (size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1 on each axis."""
        kernels, strides, margins, gaps, extras = (
            spread(option, self.axes)
            for option in (self.kernel_size, self.stride, self.padding, self.dilation, self.output_padding)
        )
        sides: list[Dimension] = []
        for axis, (side, stride) in enumerate(zip(shape.dims[2:], strides, strict=True)):
            more = gaps[axis] * (kernels[axis] - 1) + extras[axis] + 1 - 2 * margins[axis]
            rule = partial(_spread_out, stride, more)
            sides.append(resized(self, axis + 2, side, rule, keeps=stride == 1 and more == 1))
        return tuple(sides)

    def weight_sizes(self, channels: int) -> Sizes:
        """Return (channels, out_channels / groups, kernel ...)."""
        return channels, int(self.out_channels) // self.groups, *spread(self.kernel_size, self.axes)

    def multiply_adds(self, shape: Shape) -> int:
        """Return the numbers of the weight, once for each place of the input."""
        return prod(self.weight_sizes(axis_size(self, shape, 1))) * positions(shape)


def _spread_out(stride: int, more: int, size: int) -> int:
    return (size - 1) * stride + more


class Conv1d(Forward):
    """Slides learned kernels over sequences (N, C, L).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["Conv1d"]
    kernel_size: Counts1
    stride: Counts1 = 1
    padding: Margins1 | Literal["same", "valid"] = 0
    dilation: Counts1 = 1


class Conv2d(Forward):
    """Slides learned kernels over images (N, C, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["Conv2d"]
    kernel_size: Counts2
    stride: Counts2 = 1
    padding: Margins2 | Literal["same", "valid"] = 0
    dilation: Counts2 = 1


class Conv3d(Forward):
    """Slides learned kernels over volumes (N, C, D, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv3d.html
    """

    axes: ClassVar[int] = 3

    type: Literal["Conv3d"]
    kernel_size: Counts3
    stride: Counts3 = 1
    padding: Margins3 | Literal["same", "valid"] = 0
    dilation: Counts3 = 1


class ConvTranspose1d(Transposed):
    """The gradient of Conv1d with respect to its input, as a layer: it enlarges sequences (N, C, L).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["ConvTranspose1d"]
    kernel_size: Counts1
    stride: Counts1 = 1
    padding: Margins1 = 0
    output_padding: Margins1 = 0
    dilation: Counts1 = 1


class ConvTranspose2d(Transposed):
    """The gradient of Conv2d with respect to its input, as a layer: it enlarges images (N, C, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["ConvTranspose2d"]
    kernel_size: Counts2
    stride: Counts2 = 1
    padding: Margins2 = 0
    output_padding: Margins2 = 0
    dilation: Counts2 = 1


class ConvTranspose3d(Transposed):
    """The gradient of Conv3d with respect to its input, as a layer: it enlarges volumes (N, C, D, H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose3d.html
    """

    axes: ClassVar[int] = 3

    type: Literal["ConvTranspose3d"]
    kernel_size: Counts3
    stride: Counts3 = 1
    padding: Margins3 = 0
    output_padding: Margins3 = 0
    dilation: Counts3 = 1
