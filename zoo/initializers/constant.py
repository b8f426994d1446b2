"""Initializers without chance: constant_, ones_, zeros_, eye_, dirac_."""
# ruff: noqa: N801 - the types are torch's functions, by torch's names

from __future__ import annotations

from typing import ClassVar, Literal

from zoo.errors import ShapeError
from zoo.initializers.initializer import Filling
from zoo.strict import Count, Number


class constant_(Filling):
    """Fills with one number.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.constant_
    """

    type: Literal["constant_"]
    val: Number
    """The number."""


class ones_(Filling):
    """Fills with 1.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.ones_
    """

    type: Literal["ones_"]


class zeros_(Filling):
    """Fills with 0.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.zeros_
    """

    type: Literal["zeros_"]


class eye_(Filling):
    """Fills a matrix with the identity: a Linear then keeps as many inputs as it can.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.eye_
    """

    ranks: ClassVar[range] = range(2, 3)

    type: Literal["eye_"]


class dirac_(Filling):
    """Fills the kernels of a convolution so that it keeps as many of its input channels as it can.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.dirac_
    """

    ranks: ClassVar[range] = range(3, 6)

    type: Literal["dirac_"]
    groups: Count = 1
    """The groups of the convolution."""

    def require(self, name: str, sizes: tuple[int, ...]) -> None:
        """Refuse what is no convolution's weight, and groups that do not divide its output channels.

        Raises:
            ShapeError: with what does not fit.
        """
        super().require(name, sizes)
        if sizes[0] % self.groups:
            message = f"dirac_ has {self.groups} groups, but {name} has {sizes[0]} output channels"
            raise ShapeError(message, "write the groups of the convolution", "groups")
