"""Initializers that draw from a distribution as it is written: uniform_, normal_, trunc_normal_, sparse_."""
# ruff: noqa: N801 - the types are torch's functions, by torch's names

from __future__ import annotations

from typing import ClassVar, Literal, Self

from zoo.initializers.initializer import Filling
from zoo.strict import NonNegative, Number, Positive, Probability, model_validator


class uniform_(Filling):
    """Draws evenly between a and b.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.uniform_
    """

    type: Literal["uniform_"]
    a: Number = 0.0
    """The least number."""
    b: Number = 1.0
    """The largest number."""

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.a > self.b:
            raise ValueError("a is above b; write the smaller number in a")
        return self


class normal_(Filling):
    """Draws from a normal distribution.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.normal_
    """

    type: Literal["normal_"]
    mean: Number = 0.0
    """Mean."""
    std: NonNegative = 1.0
    """Standard deviation."""


class trunc_normal_(Filling):
    """Draws from a normal distribution, and again where a number is not between a and b.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.trunc_normal_
    """

    type: Literal["trunc_normal_"]
    mean: Number = 0.0
    """Mean."""
    std: Positive = 1.0
    """Standard deviation."""
    a: Number = -2.0
    """The least number; it is not counted in standard deviations."""
    b: Number = 2.0
    """The largest number."""

    @model_validator(mode="after")
    def _bounds_hold_the_mean(self) -> Self:
        if self.a >= self.b:
            raise ValueError("a is not below b; write the smaller number in a")
        if not self.a - 2 * self.std <= self.mean <= self.b + 2 * self.std:
            raise ValueError(
                "mean is more than 2 std outside of a and b, where torch draws wrongly; write another mean or bound"
            )
        return self


class sparse_(Filling):
    """Draws a matrix from a normal distribution, with a share of zeros in each column.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.sparse_
    """

    ranks: ClassVar[range] = range(2, 3)

    type: Literal["sparse_"]
    sparsity: Probability
    """Share of zeros in each column."""
    std: NonNegative = 0.01
    """Standard deviation of the others."""
