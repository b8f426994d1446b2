"""Dropout layers: Dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from zoo.layers.layer import Elementwise
from zoo.shapes import Shape
from zoo.strict import Probability

if TYPE_CHECKING:
    from torch import nn


class Dropout(Elementwise):
    """In training, sets each number to zero with probability p and scales the others by 1 / (1 - p).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
    """

    type: Literal["Dropout"]
    p: Probability = 0.5
    """Probability of a zero."""
    inplace: bool = False
    """Overwrite the input; saves memory."""

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.Dropout."""
        from torch import nn

        return nn.Dropout(self.p, inplace=self.inplace)
