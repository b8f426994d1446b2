"""Indices: where max pooling took its numbers from, as unpooling needs to know it."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.shapes import Dimension, Shape


@dataclass(frozen=True, init=False, eq=False)
class Indices(Shape):
    """The shape of places in other axes, counted through all of them."""

    counted: tuple[Dimension, ...]
    """The axes that the places are in."""

    def __init__(self, shape: Shape, counted: tuple[Dimension, ...]) -> None:
        super().__init__(*shape.dims, dtype="int64", longest=shape.longest)
        object.__setattr__(self, "counted", counted)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and (self.dims, self.dtype) == (other.dims, other.dtype)

    __hash__ = Shape.__hash__
