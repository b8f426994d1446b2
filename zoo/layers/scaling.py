"""Layers that scale numbers: LayerScale by learned ones, Normalize by their norm, Pow by themselves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from zoo.layers.axis import Axis, apart
from zoo.layers.layer import Elementwise, Emitter, Function, Sizes, axis_size, require_float
from zoo.shapes import Shape, Value
from zoo.strict import Field, Number, Positive


class LayerScale(Function):
    """Multiplies each channel by a learned number, which begins near zero, at the end of a Residual's layers.

    Source: Touvron et al. 2021, https://arxiv.org/abs/2103.17239, section 2
    """

    type: Literal["LayerScale"]
    dim: Axis
    """The axis of the channels: 1 in images (N, C, H, W), -1 in sequences (N, T, C)."""
    value: Number = 1e-6
    """What the learned numbers begin with."""
    bias: bool = False
    """Learn also what is added to each channel; it begins with 0."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: the axis is the batch, not there or of any length, or the numbers are not floats.
        """
        require_float(self, shape)
        axis_size(self, shape, apart(self, "dim", self.dim, shape))
        return shape

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the product, and with a bias the sum."""
        import torch

        (shape,), (x,) = values, inputs
        assert isinstance(shape, Shape)  # infer has judged it
        sizes = self._sizes(shape)
        scaled = x * emitter.parameter("weight", torch.full(sizes, self.value))
        return scaled + emitter.parameter("bias", torch.zeros(sizes)) if self.bias else scaled

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of the numbers, with an axis of size 1 for each one behind the channels."""
        return dict.fromkeys(("weight", "bias") if self.bias else ("weight",), self._sizes(shape))

    def _sizes(self, shape: Shape) -> Sizes:
        axis = apart(self, "dim", self.dim, shape)
        return axis_size(self, shape, axis), *(1,) * (shape.rank - 1 - axis)


class Normalize(Function):
    """Divides the numbers along an axis by their p-norm, so that they are a vector of length 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.normalize.html
    """

    type: Literal["Normalize"]
    p: Annotated[float, Field(ge=1, le=1e30)] = 2.0
    """The p of the norm."""
    dim: Axis = 1
    """The axis of the vectors; never the batch."""
    eps: Positive = 1e-12
    """The least norm to divide by."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: the axis is the batch or not there, or the numbers are not floats.
        """
        require_float(self, shape)
        apart(self, "dim", self.dim, shape)
        return shape

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.nn.functional.normalize of the input."""
        from torch.nn import functional

        return functional.normalize(inputs[0], self.p, self.dim, self.eps)


class Pow(Elementwise, Function):
    """Each number to the power of a constant: 2 for squares, 0.5 for roots, -1 to divide by it in a Multiply.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.pow.html
    """

    type: Literal["Pow"]
    exponent: Number
    """The constant; a negative number to the power of a fraction is none."""

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.pow of the input."""
        import torch

        return torch.pow(inputs[0], self.exponent)
