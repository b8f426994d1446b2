"""The rarer activations: RReLU, PReLU, SELU, CELU, Mish, Hardtanh, Threshold, Softplus, the shrinks, GLU."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.activation import Activation, InPlaceActivation
from zoo.layers.axis import Axis, apart
from zoo.layers.layer import Sizes, axis_size, require_float
from zoo.layers.namesake import Namesake
from zoo.shapes import Shape
from zoo.strict import AfterValidator, Count, Field, NonNegative, Number, model_validator


def _not_zero(number: float) -> float:
    if number == 0:
        raise ValueError("the function divides by it, so 0 has no meaning; write another number")
    return number


Divisor = Annotated[float, Field(ge=-1e30, le=1e30, json_schema_extra={"not": {"const": 0}}), AfterValidator(_not_zero)]


class RReLU(InPlaceActivation):
    """x where x is positive; elsewhere a · x, with a drawn for each number in training, and its mean in evaluation.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RReLU.html
    """

    keeps_output_in_place: ClassVar[bool] = True
    type: Literal["RReLU"]
    lower: Number = 1 / 8
    """The smallest slope below zero."""
    upper: Number = 1 / 3
    """The largest slope below zero."""

    @model_validator(mode="after")
    def _slopes_are_in_order(self) -> Self:
        if self.lower > self.upper:
            raise ValueError(f"lower ({self.lower}) is above upper ({self.upper}); exchange them")
        return self

    def falling(self) -> str | None:
        """Return "lower" where it is negative."""
        return "lower" if self.lower < 0 else None


class PReLU(Activation):
    """x where x is positive; elsewhere a · x, with a learned slope a.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PReLU.html
    """

    type: Literal["PReLU"]
    num_parameters: Count = 1
    """How many slopes are learned: 1, or one for each channel, which are axis 1."""
    init: Number = 0.25
    """The slope before training."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: there are neither 1 nor as many slopes as channels, or the numbers are not floats.
        """
        require_float(self, shape)
        if self.num_parameters != 1:
            channels = axis_size(self, shape, 1)
            if channels != self.num_parameters:
                message = f"PReLU expects {self.num_parameters} channels"
                raise ShapeError(message, f"write 1 or {channels}" if channels > 1 else "write 1", "num_parameters")
        return shape

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the slopes."""
        return {"weight": (self.num_parameters,)}


class SELU(InPlaceActivation):
    """An ELU whose constants keep mean 0 and variance 1 from layer to layer.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SELU.html
    """

    keeps_output_in_place: ClassVar[bool] = True
    type: Literal["SELU"]


class CELU(InPlaceActivation):
    """max(0, x) + min(0, alpha · (exp(x / alpha) - 1)).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CELU.html
    """

    keeps_output_in_place: ClassVar[bool] = True
    type: Literal["CELU"]
    alpha: Divisor = 1.0
    """What the function nears far below zero, negated; not 0."""

    def falling(self) -> str | None:
        """Return "alpha" where it is negative."""
        return "alpha" if self.alpha < 0 else None


class Mish(InPlaceActivation):
    """x · tanh(softplus(x)).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Mish.html
    """

    type: Literal["Mish"]


class Hardtanh(InPlaceActivation):
    """min(max(min_val, x), max_val).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html
    """

    type: Literal["Hardtanh"]
    min_val: Number = -1.0
    """The smallest number that comes out."""
    max_val: Number = 1.0
    """The largest number that comes out."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.min_val >= self.max_val:
            raise ValueError(f"min_val ({self.min_val}) is not below max_val ({self.max_val}); exchange them")
        return self


class Threshold(InPlaceActivation):
    """x where x is above the threshold, value elsewhere.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Threshold.html
    """

    type: Literal["Threshold"]
    threshold: Number
    """Numbers above it stay."""
    value: Number
    """What the others become."""


class Softplus(Activation):
    """log(1 + exp(beta · x)) / beta, a smooth ReLU.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softplus.html
    """

    type: Literal["Softplus"]
    beta: Divisor = 1.0
    """How sharp the bend at zero is; not 0."""
    threshold: Number = 20.0
    """Where beta · x is above it, x itself comes out, which is more exact."""


class Hardshrink(Activation):
    """x where x is above lambd or below -lambd, 0 elsewhere.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardshrink.html
    """

    type: Literal["Hardshrink"]
    lambd: Number = 0.5
    """Half the width of the stretch that becomes 0."""


class Softshrink(Activation):
    """x moved by lambd towards 0, and 0 where it would pass it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softshrink.html
    """

    type: Literal["Softshrink"]
    lambd: NonNegative = 0.5
    """Half the width of the stretch that becomes 0."""


class Tanhshrink(Activation):
    """x - tanh(x).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanhshrink.html
    """

    type: Literal["Tanhshrink"]


class Softsign(Activation):
    """x / (1 + |x|).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softsign.html
    """

    type: Literal["Softsign"]


class LogSigmoid(Activation):
    """log(1 / (1 + exp(-x))).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSigmoid.html
    """

    type: Literal["LogSigmoid"]


class GLU(Namesake):
    """a · sigmoid(b), with a and b the first and the second half of the input.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GLU.html
    """

    type: Literal["GLU"]
    any_axes: ClassVar[bool] = True
    dim: Axis = -1
    """The axis that is halved."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with half the size on the axis.

        Raises:
            ShapeError: the axis is the batch, is not there or has an odd size, or the numbers are not floats.
        """
        require_float(self, shape)
        axis = apart(self, "dim", self.dim, shape)
        size = axis_size(self, shape, axis)
        if size % 2:
            raise ShapeError(f"GLU needs an even size of axis {axis}", "give the layer above twice the features", "dim")
        return shape.with_dims(*shape.dims[:axis], size // 2, *shape.dims[axis + 1 :])
