"""Initializers that look at the sizes of the tensor: Xavier, Kaiming, orthogonal."""
# ruff: noqa: N801 - the types are torch's functions, by torch's names

from __future__ import annotations

from typing import ClassVar, Literal, Self

from zoo.initializers.initializer import Filling
from zoo.strict import NonNegative, Number, model_validator

Nonlinearity = Literal[
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "selu",
]


class _Xavier(Filling):
    ranks: ClassVar[range] = range(2, 65)

    gain: NonNegative = 1.0
    """Factor of the standard deviation."""


class xavier_uniform_(_Xavier):
    """Draws evenly, with the variance 2 gain² / (inputs + outputs) (Glorot & Bengio 2010).

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.xavier_uniform_
    """

    type: Literal["xavier_uniform_"]


class xavier_normal_(_Xavier):
    """Draws from a normal distribution with the variance 2 gain² / (inputs + outputs) (Glorot & Bengio 2010).

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.xavier_normal_
    """

    type: Literal["xavier_normal_"]


class _Kaiming(Filling):
    ranks: ClassVar[range] = range(2, 65)

    a: Number = 0.0
    """Slope of the leaky ReLU that follows, below 0; only with leaky_relu."""
    mode: Literal["fan_in", "fan_out"] = "fan_in"
    """Keep the variance of what goes forward (fan_in), or of the gradients (fan_out)."""
    nonlinearity: Nonlinearity = "leaky_relu"
    """What follows the layer."""

    @model_validator(mode="after")
    def _slope_is_used(self) -> Self:
        if self.a != 0 and self.nonlinearity != "leaky_relu":
            raise ValueError(f"a says nothing for {self.nonlinearity}; remove a, or write leaky_relu")
        return self


class kaiming_uniform_(_Kaiming):
    """Draws evenly, with the variance gain² / inputs or outputs (He et al. 2015).

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.kaiming_uniform_
    """

    type: Literal["kaiming_uniform_"]


class kaiming_normal_(_Kaiming):
    """Draws from a normal distribution with the variance gain² / inputs or outputs (He et al. 2015).

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.kaiming_normal_
    """

    type: Literal["kaiming_normal_"]


class orthogonal_(Filling):
    """Draws a (half) orthogonal matrix; axes after the first are taken as one (Saxe et al. 2014).

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.orthogonal_
    """

    ranks: ClassVar[range] = range(2, 65)

    type: Literal["orthogonal_"]
    gain: Number = 1.0
    """Factor."""
