"""The usual activations: ReLU, ReLU6, LeakyReLU, ELU, GELU, SiLU, Hardswish, Hardsigmoid, Sigmoid, Tanh."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from zoo.layers.layer import Elementwise
from zoo.layers.namesake import Namesake
from zoo.strict import Number, model_validator


class Activation(Elementwise, Namesake):
    """What every activation has that works on each number alone."""


class InPlaceActivation(Activation):
    """What every activation has that can overwrite its input."""

    inplace: bool = False
    """Overwrite the input; saves memory."""

    def falling(self) -> str | None:
        """Return the option whose value makes the function fall below zero; None where it does not."""
        return None

    @model_validator(mode="after")
    def _can_be_undone(self) -> Self:
        option = self.falling()
        if self.inplace and option:
            raise ValueError(f"torch cannot train in place with a negative {option}; remove inplace")
        return self


class ReLU(InPlaceActivation):
    """max(0, x).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
    """

    keeps_output: ClassVar[bool] = True
    type: Literal["ReLU"]


class ReLU6(InPlaceActivation):
    """min(max(0, x), 6).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU6.html
    """

    type: Literal["ReLU6"]


class LeakyReLU(InPlaceActivation):
    """x where x is positive, negative_slope · x elsewhere.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html
    """

    keeps_output_in_place: ClassVar[bool] = True
    type: Literal["LeakyReLU"]
    negative_slope: Number = 0.01
    """The slope below zero."""

    def falling(self) -> str | None:
        """Return "negative_slope" where it is negative."""
        return "negative_slope" if self.negative_slope < 0 else None


class ELU(InPlaceActivation):
    """x where x is positive, alpha · (exp(x) - 1) elsewhere.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ELU.html
    """

    keeps_output_in_place: ClassVar[bool] = True
    type: Literal["ELU"]
    alpha: Number = 1.0
    """What the function nears far below zero, negated."""

    def falling(self) -> str | None:
        """Return "alpha" where it is negative."""
        return "alpha" if self.alpha < 0 else None


class GELU(Activation):
    """x · Φ(x), with Φ the normal distribution function.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html
    """

    type: Literal["GELU"]
    approximate: Literal["none", "tanh"] = "none"
    """"tanh" replaces Φ by its tanh approximation."""


class SiLU(InPlaceActivation):
    """x · sigmoid(x), also known as swish.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SiLU.html
    """

    type: Literal["SiLU"]


class Hardswish(InPlaceActivation):
    """x · min(max(0, x + 3), 6) / 6, an approximation of SiLU.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardswish.html
    """

    type: Literal["Hardswish"]


class Hardsigmoid(InPlaceActivation):
    """min(max(0, x + 3), 6) / 6, an approximation of Sigmoid.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardsigmoid.html
    """

    type: Literal["Hardsigmoid"]


class Sigmoid(Activation):
    """1 / (1 + exp(-x)).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html
    """

    keeps_output: ClassVar[bool] = True
    type: Literal["Sigmoid"]


class Tanh(Activation):
    """The hyperbolic tangent.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanh.html
    """

    keeps_output: ClassVar[bool] = True
    type: Literal["Tanh"]
