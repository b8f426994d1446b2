"""Activations: ReLU, LeakyReLU, GELU, SiLU, Sigmoid, Tanh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from zoo.layers.layer import Elementwise
from zoo.shapes import Shape
from zoo.strict import Number

if TYPE_CHECKING:
    from torch import nn


class ReLU(Elementwise):
    """max(0, x).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
    """

    type: Literal["ReLU"]
    inplace: bool = False
    """Overwrite the input; saves memory."""

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.ReLU."""
        from torch import nn

        return nn.ReLU(inplace=self.inplace)


class LeakyReLU(Elementwise):
    """x where x is positive, negative_slope · x elsewhere.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html
    """

    type: Literal["LeakyReLU"]
    negative_slope: Number = 0.01
    """The slope below zero."""
    inplace: bool = False
    """Overwrite the input; saves memory."""

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.LeakyReLU."""
        from torch import nn

        return nn.LeakyReLU(self.negative_slope, inplace=self.inplace)


class GELU(Elementwise):
    """x · Φ(x), with Φ the normal distribution function.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html
    """

    type: Literal["GELU"]
    approximate: Literal["none", "tanh"] = "none"
    """"tanh" replaces Φ by its tanh approximation."""

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.GELU."""
        from torch import nn

        return nn.GELU(approximate=self.approximate)


class SiLU(Elementwise):
    """x · sigmoid(x), also known as swish.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SiLU.html
    """

    type: Literal["SiLU"]
    inplace: bool = False
    """Overwrite the input; saves memory."""

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.SiLU."""
        from torch import nn

        return nn.SiLU(inplace=self.inplace)


class Sigmoid(Elementwise):
    """1 / (1 + exp(-x)).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html
    """

    type: Literal["Sigmoid"]

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.Sigmoid."""
        from torch import nn

        return nn.Sigmoid()


class Tanh(Elementwise):
    """The hyperbolic tangent.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanh.html
    """

    type: Literal["Tanh"]

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.Tanh."""
        from torch import nn

        return nn.Tanh()
