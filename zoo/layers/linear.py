"""Linear layers: Linear, Identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from zoo.layers.layer import Layer, agreed, features
from zoo.shapes import Shape
from zoo.strict import Count, Size

if TYPE_CHECKING:
    from torch import nn


class Linear(Layer):
    """y = x Aᵀ + b on the last axis.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html
    """

    type: Literal["Linear"]
    in_features: Count | None = None
    """Size of each input row; follows from the layer above, and is checked when written."""
    out_features: Size
    """Size of each output row, or "classes"."""
    bias: bool = True
    """Learn an additive bias."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with `out_features` on the last axis.

        Raises:
            ShapeError: the numbers are not floats, or `in_features` is not the size of the last axis.
        """
        agreed(self, "in_features", self.in_features, features(self, shape), "features")
        return shape.with_dims(*shape.dims[:-1], self.out_features)

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.Linear."""
        from torch import nn

        return nn.Linear(shape.row[-1], int(self.out_features), bias=self.bias)


class Identity(Layer):
    """The input, unchanged.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Identity.html
    """

    type: Literal["Identity"]

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`."""
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.Identity."""
        from torch import nn

        return nn.Identity()
