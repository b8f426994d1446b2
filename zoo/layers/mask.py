"""What attention does not see: CausalMask."""

from __future__ import annotations

from typing import Any, Literal

from zoo.errors import ShapeError
from zoo.layers.layer import Emitter, Function, require_float
from zoo.shapes import Shape, Value
from zoo.strict import Count


class CausalMask(Function):
    """Sets to -inf what a step scores for later ones, so that a Softmax along the last axis gives them nothing.

    Scores are (N, …, T, T), as a MatMul of queries and keys gives them: a row for each step that looks.
    """

    type: Literal["CausalMask"]
    window: Count | None = None
    """How many steps each one sees at most, itself and those before it; without it, all before it."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: the last two axes are not the same sequence, the numbers are not floats, or the window hides
                nothing.
        """
        require_float(self, shape)
        if shape.rank < 3 or shape.dims[-1] != shape.dims[-2]:
            remedy = "put it between a MatMul of a sequence with itself and the Softmax"
            raise ShapeError("CausalMask needs scores (N, …, T, T)", remedy)
        longest = shape.longest if shape.dims[-1] == "T" else shape.dims[-1]
        if self.window is not None and isinstance(longest, int) and self.window >= longest:
            message = f"CausalMask needs a window that is shorter than the longest sequence, {longest}"
            raise ShapeError(message, "remove window, or write a smaller one", "window")
        return shape

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the scores, hidden above the diagonal, and below the window."""
        import torch

        (x,) = inputs
        everything = x.new_ones((x.size(-2), x.size(-1)), dtype=torch.bool)
        hidden = everything.triu(1)
        if self.window is not None:
            hidden = hidden | everything.tril(-self.window)
        return x.masked_fill(hidden, float("-inf"))
