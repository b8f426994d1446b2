"""Layers that move numbers without changing them: Flatten."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zoo.errors import ShapeError
from zoo.layers.layer import Layer
from zoo.shapes import Shape

if TYPE_CHECKING:
    from torch import nn

Axis = Annotated[int, Field(ge=-8, le=7)]


class Flatten(Layer):
    """Joins the axes from start_dim to end_dim into one.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html
    """

    type: Literal["Flatten"]
    start_dim: Axis = 1
    """First axis to join; 0 is the batch and stays apart."""
    end_dim: Axis = -1
    """Last axis to join."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the joined axes as one.

        Raises:
            ShapeError: an axis is not there, is the batch, or the two are out of order.
        """
        start = self._axis("start_dim", self.start_dim, shape)
        end = self._axis("end_dim", self.end_dim, shape)
        if start > end:
            raise ShapeError(
                f"Flatten needs a start_dim ({self.start_dim}) at or before its end_dim ({self.end_dim})",
                "exchange them",
                "start_dim",
            )
        joined = prod(shape.row[start - 1 : end])
        return shape.with_dims(*shape.dims[:start], joined, *shape.dims[end + 1 :])

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.Flatten."""
        from torch import nn

        return nn.Flatten(self.start_dim, self.end_dim)

    def _axis(self, option: str, written: int, shape: Shape) -> int:
        if shape.rank == 1:
            raise ShapeError("Flatten needs an axis after the batch", "remove the Flatten")
        axis = written + shape.rank if written < 0 else written
        if not 1 <= axis < shape.rank:
            remedy = f"write an axis from 1 to {shape.rank - 1}, or from -1 to -{shape.rank - 1}"
            raise ShapeError(f"Flatten needs {option} {written} to be an axis after the batch", remedy, option)
        return axis
