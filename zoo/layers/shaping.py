"""Layers that give a row other axes: Flatten, Unflatten, Reshape, Squeeze, Unsqueeze."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.axis import Axes, Axis, apart, apart_all, joined
from zoo.layers.layer import Emitter, Function, Layer, kind
from zoo.layers.namesake import Namesake
from zoo.shapes import Dimension, Shape, Value
from zoo.strict import Count, Field, model_validator

Parts = Annotated[tuple[Count | Literal[-1], ...], Field(min_length=1, max_length=7)]
"""The sizes of axes; one of them may be -1, which follows from the others."""


def _one_follows(option: str, parts: tuple[int, ...]) -> None:
    if parts.count(-1) > 1:
        raise ValueError(f"{option} has -1 more than once; write the sizes of all axes but one")


def _filled(layer: Layer, option: str, parts: tuple[int, ...], sizes: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    """Return `parts` with -1 replaced by the size that follows from `sizes`, the axes they are made of.

    Raises:
        ShapeError: they do not hold as many numbers.
    """
    symbols = [size for size in sizes if isinstance(size, str)]
    given = prod(size for size in sizes if isinstance(size, int))
    written = prod(part for part in parts if part != -1)
    follows: Dimension | None = None
    if len(symbols) == 1:
        follows = symbols[0] if -1 in parts and written == given else None
    elif not symbols and given % written == 0:
        follows = given // written
    if follows is None or (-1 not in parts and follows != 1):
        held = " · ".join([*symbols, *([str(given)] if given != 1 or not symbols else [])])
        remedy = "write sizes whose product is that" + (", with -1 in the place of T" if symbols else ", or one as -1")
        raise ShapeError(f"{kind(layer)} needs {option} to hold {held} numbers", remedy, option)
    return tuple(follows if part == -1 else part for part in parts)


class Flatten(Namesake):
    """Joins the axes from start_dim to end_dim into one.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Flatten"]
    start_dim: Axis = 1
    """First axis to join; 0 is the batch and stays apart."""
    end_dim: Axis = -1
    """Last axis to join."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the joined axes as one.

        Raises:
            ShapeError: an axis is not there, is the batch or of any length, or the two are out of order.
        """
        start = apart(self, "start_dim", self.start_dim, shape)
        end = apart(self, "end_dim", self.end_dim, shape)
        if start > end:
            raise ShapeError(
                f"Flatten needs a start_dim ({self.start_dim}) at or before its end_dim ({self.end_dim})",
                "exchange them",
                "start_dim",
            )
        size = joined(shape.dims[start : end + 1])
        if size is None:
            raise ShapeError("Flatten needs axes of known sizes", "leave the sequence apart, or give it one length")
        return shape.with_dims(*shape.dims[:start], size, *shape.dims[end + 1 :])


class Unflatten(Namesake):
    """Parts one axis into several.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Unflatten.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Unflatten"]
    dim: Axis
    """The axis that is parted; 0 is the batch and stays whole."""
    unflattened_size: Parts
    """The sizes of the parts; one of them may be -1."""

    @model_validator(mode="after")
    def _one_follows(self) -> Self:
        _one_follows("unflattened_size", self.unflattened_size)
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the axis parted.

        Raises:
            ShapeError: the axis is not there or is the batch, or the parts hold another number of numbers.
        """
        axis = apart(self, "dim", self.dim, shape)
        parts = _filled(self, "unflattened_size", self.unflattened_size, shape.dims[axis : axis + 1])
        return shape.with_dims(*shape.dims[:axis], *parts, *shape.dims[axis + 1 :])


class Reshape(Function):
    """Gives each row other axes; the order of its numbers stays.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.reshape.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Reshape"]
    shape: Parts
    """The sizes of the axes after the batch; one of them may be -1."""

    @model_validator(mode="after")
    def _one_follows(self) -> Self:
        _one_follows("shape", self.shape)
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return the batch with the written axes; -1 may stand for a sequence of any length.

        Raises:
            ShapeError: the written axes hold another number of numbers.
        """
        return shape.with_dims(shape.dims[0], *_filled(self, "shape", self.shape, shape.dims[1:]))

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.reshape of the input."""
        import torch

        return torch.reshape(inputs[0], (inputs[0].size(0), *self.shape))


class Squeeze(Function):
    """Removes axes of size 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.squeeze.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Squeeze"]
    any_axes: ClassVar[bool] = True
    dim: Axes
    """The axis, or the axes, that are removed."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` without the axes.

        Raises:
            ShapeError: an axis is not there, is the batch, or has not size 1.
        """
        axes = apart_all(self, "dim", self.dim, shape)
        wide = [axis for axis in axes if shape.dims[axis] != 1]
        if wide:
            raise ShapeError(f"Squeeze needs axis {wide[0]} to have size 1", "write another dim", "dim")
        return shape.with_dims(*(size for axis, size in enumerate(shape.dims) if axis not in axes))

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.squeeze of the input."""
        import torch

        return torch.squeeze(inputs[0], self.dim)


class Unsqueeze(Function):
    """Adds an axis of size 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.unsqueeze.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Unsqueeze"]
    any_axes: ClassVar[bool] = True
    dim: Axis
    """Where the axis stands afterwards."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the axis.

        Raises:
            ShapeError: there is no such place.
        """
        place = self.dim + shape.rank + 1 if self.dim < 0 else self.dim
        if not 0 <= place <= shape.rank:
            remedy = f"write a place from 0 to {shape.rank}, or from -1 to -{shape.rank + 1}"
            raise ShapeError(f"Unsqueeze needs dim {self.dim} to be a place for an axis", remedy, "dim")
        return shape.with_dims(*shape.dims[:place], 1, *shape.dims[place:])

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.unsqueeze of the input."""
        import torch

        return torch.unsqueeze(inputs[0], self.dim)
