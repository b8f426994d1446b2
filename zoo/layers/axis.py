"""Axes that a spec names: where they stand in a shape, and which of them a layer may work on."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Annotated

from zoo.errors import ShapeError
from zoo.layers.layer import Layer, kind
from zoo.shapes import Dimension, Shape
from zoo.strict import Field

Axis = Annotated[int, Field(ge=-8, le=7)]
"""An axis of a tensor, counted from 0, or from the end with -1."""
Axes = Axis | Annotated[tuple[Axis, ...], Field(min_length=1, max_length=8)]
"""An axis, or several."""


def position(layer: Layer, option: str, written: int, shape: Shape) -> int:
    """Return where an axis stands, counted from 0; it may be the batch.

    Raises:
        ShapeError: it is not there.
    """
    axis = written + shape.rank if written < 0 else written
    if not 0 <= axis < shape.rank:
        remedy = f"write an axis from 0 to {shape.rank - 1}, or from -1 to -{shape.rank}"
        raise ShapeError(f"{kind(layer)} needs {option} {written} to be an axis", remedy, option)
    return axis


def apart(layer: Layer, option: str, written: int, shape: Shape) -> int:
    """Return where an axis stands that is not the batch, whose rows stay apart.

    Raises:
        ShapeError: it is the batch, or not there.
    """
    others = [axis for axis, size in enumerate(shape.dims) if size != "N"]
    axis = written + shape.rank if written < 0 else written
    if axis in others:
        return axis
    if not others:
        raise ShapeError(f"{kind(layer)} needs an axis after the batch", f"remove the {kind(layer)}")
    if shape.batched:
        last = shape.rank - 1
        remedy = f"write an axis from 1 to {last}, or from -1 to -{last}"
        raise ShapeError(f"{kind(layer)} needs {option} {written} to be an axis after the batch", remedy, option)
    remedy = "write " + " or ".join(map(str, others))
    raise ShapeError(f"{kind(layer)} needs {option} {written} to be an axis beside the batch", remedy, option)


def apart_all(layer: Layer, option: str, written: Axes, shape: Shape) -> tuple[int, ...]:
    """Return where the axes stand, in order, none of them the batch.

    Raises:
        ShapeError: one is the batch, is not there, or is named twice.
    """
    named = (written,) if isinstance(written, int) else written
    axes = sorted(apart(layer, option, axis, shape) for axis in named)
    if len(set(axes)) < len(axes):
        raise ShapeError(f"{kind(layer)} needs {option} to name each axis once", "remove the second one", option)
    return tuple(axes)


def joined(sizes: Iterable[Dimension]) -> Dimension | None:
    """Return the size of several axes as one; None where a symbol would be multiplied."""
    sizes = tuple(sizes)
    symbols = [size for size in sizes if isinstance(size, str)]
    known = prod(size for size in sizes if isinstance(size, int))
    if not symbols:
        return known
    return symbols[0] if symbols == [symbols[0]] and known == 1 else None


def least(sizes: Iterable[Dimension]) -> int:
    """Return the fewest numbers that axes hold together: a sequence may be of length 1."""
    return prod(size for size in sizes if isinstance(size, int))
