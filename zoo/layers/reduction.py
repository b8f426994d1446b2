"""Simple functions of numbers: Mean, Sum and Max along axes, Scale."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from zoo.layers.axis import Axes, apart_all
from zoo.layers.layer import Elementwise, Emitter, Function, require_float
from zoo.shapes import Shape, Value
from zoo.strict import Number


class Reduction(Function):
    """What every layer has that makes one number of all along axes."""

    any_axes: ClassVar[bool] = True
    dim: Axes
    """The axis, or the axes, that go away; never the batch."""
    keepdim: bool = False
    """Keep them, with size 1."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` without the axes, or with size 1 there.

        Raises:
            ShapeError: an axis is not there, is the batch, or is named twice; or the numbers are not floats.
        """
        require_float(self, shape)
        axes = apart_all(self, "dim", self.dim, shape)
        kept = [1 if axis in axes else size for axis, size in enumerate(shape.dims) if self.keepdim or axis not in axes]
        return shape.with_dims(*kept)


class Mean(Reduction):
    """The mean along axes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.mean.html
    """

    type: Literal["Mean"]

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.mean of the input."""
        import torch

        return torch.mean(inputs[0], self.dim, self.keepdim)


class Sum(Reduction):
    """The sum along axes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.sum.html
    """

    type: Literal["Sum"]

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.sum of the input."""
        import torch

        return torch.sum(inputs[0], self.dim, self.keepdim)


class Max(Reduction):
    """The largest number along axes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.amax.html
    """

    keeps_output: ClassVar[bool] = True
    type: Literal["Max"]

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.amax of the input."""
        import torch

        return torch.amax(inputs[0], self.dim, self.keepdim)


class Scale(Elementwise, Function):
    """Each number times a constant.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.mul.html
    """

    type: Literal["Scale"]
    factor: Number
    """The constant."""

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the product."""
        return inputs[0] * self.factor
