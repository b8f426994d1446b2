"""Linear layers: Linear, Identity."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from zoo.errors import SizeError
from zoo.layers.axis import least
from zoo.layers.layer import Sizes, Tied, agreed, features
from zoo.layers.namesake import Namesake
from zoo.layers.parametrization import Parametrized
from zoo.shapes import Shape
from zoo.strict import Count, Size

IMAGES = 4  # axes, with that of the rows; so many are seldom meant to meet a Linear


class Linear(Parametrized, Tied):
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
            ShapeError: the numbers are not floats, `in_features` is not the size of the last axis, or the weight cannot
                have the parametrization.
        """
        size = features(self, shape)
        if shape.rank >= IMAGES and self.in_features not in (None, size):
            remedy = 'put {"type": "Flatten"} above it, and remove in_features'
            remedy += f"; to work along the last axis alone, write {size}"
            raise SizeError(f"Linear expects {self.in_features} features", remedy, "in_features")
        agreed(self, "in_features", self.in_features, size, "features")
        if isinstance(self.out_features, int):
            self.require_weight((self.out_features, size))
        return shape.with_dims(*shape.dims[:-1], self.out_features)

    def sizes(self, shape: Shape) -> dict[str, Any]:
        """Return the size of the last axis."""
        return {"in_features": features(self, shape)}

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the weight and the bias."""
        size = int(self.out_features)
        return self.learned((size, features(self, shape)), {"bias": (size,)} if self.bias else {})

    def multiply_adds(self, shape: Shape) -> int:
        """Return in_features · out_features at each position; the longest sequence, or 1 step where none is known."""
        positions = least(shape.longest or 1 if size == "T" else size for size in shape.dims[1:-1])
        return features(self, shape) * int(self.out_features) * positions


class Identity(Namesake):
    """The input, unchanged.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Identity.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Identity"]
    any_axes: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`."""
        return shape
