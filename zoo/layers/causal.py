"""Convolutions in which no step sees a later one: CausalConv1d."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from zoo.layers.convolution import Convolution
from zoo.layers.layer import Emitter, Sizes, axis_size
from zoo.layers.spatial import Counts1, Window, positions, slid, spread
from zoo.shapes import Dimension, Shape, Value

if TYPE_CHECKING:
    from torch import nn


class CausalConv1d(Convolution):
    """A Conv1d over sequences (N, C, L), padded with zeros at their start alone: no step sees a later one.

    Source: van den Oord et al. 2016, https://arxiv.org/abs/1609.03499, section 2.1
    """

    axes: ClassVar[int] = 1
    functional: ClassVar[bool] = True

    type: Literal["CausalConv1d"]
    kernel_size: Counts1
    stride: Counts1 = 1
    dilation: Counts1 = 1

    @property
    def window(self) -> Window:
        """Return the kernel, padded so that its last number lies on the first step."""
        ((kernel,), (stride,), (gap,)) = (spread(o, 1) for o in (self.kernel_size, self.stride, self.dilation))
        return Window(kernel, stride, before=gap * (kernel - 1), dilation=gap)

    def new_sides(self, shape: Shape) -> tuple[Dimension, ...]:
        """Return floor((length - 1) / stride) + 1."""
        return slid(self, shape.dims[2:], (self.window,))

    def weight_sizes(self, channels: int) -> Sizes:
        """Return (out_channels, channels / groups, kernel)."""
        return int(self.out_channels), channels // self.groups, self.window.kernel

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.Conv1d, without padding."""
        from torch import nn

        module = nn.Conv1d(**(self._options() | self.sizes(shape)))
        return module if self.parametrization is None else self.parametrization.apply(module)

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return what the convolution makes of the padded sequence."""
        from torch.nn import functional

        (shape,), (x,) = values, inputs
        assert isinstance(shape, Shape)  # infer has judged it
        before = self.window.before
        return emitter.module(self.build(shape))(functional.pad(x, (before, 0)) if before else x)

    def multiply_adds(self, shape: Shape) -> int:
        """Return the numbers of the weight, once for each place of the kernel."""
        return prod(self.weight_sizes(axis_size(self, shape, 1))) * positions(self.output_shape(shape))
