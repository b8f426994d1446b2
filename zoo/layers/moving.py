"""Layers that reorder axes or take a part of a tensor: Permute, Transpose, Chunk, Select, Index, Narrow."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from zoo.errors import ShapeError
from zoo.layers.axis import Axis, apart, position
from zoo.layers.layer import Emitter, Function, axis_size, kind
from zoo.shapes import Shape, Value
from zoo.strict import Count, Field, Integer

Output = Annotated[int, Field(ge=0, le=63)]
"""The number of one of several tensors, counted from 0."""


class Permute(Function):
    """Puts the axes into another order; the batch may move as well.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.permute.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Permute"]
    any_axes: ClassVar[bool] = True
    dims: Annotated[tuple[Axis, ...], Field(min_length=1, max_length=8)]
    """All axes in their new order: [0, 2, 3, 1] makes (N, H, W, C) of (N, C, H, W)."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the axes in the new order.

        Raises:
            ShapeError: an axis is not there, is absent, or is named twice.
        """
        order = [position(self, "dims", axis, shape) for axis in self.dims]
        if sorted(order) != list(range(shape.rank)):
            remedy = f"write the numbers from 0 to {shape.rank - 1} in the order you want"
            raise ShapeError(f"Permute needs dims to name each of the {shape.rank} axes once", remedy, "dims")
        return shape.with_dims(*(shape.dims[axis] for axis in order))

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.permute of the input."""
        import torch

        return torch.permute(inputs[0], self.dims)


class Transpose(Function):
    """Exchanges two axes; one of them may be the batch.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.transpose.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Transpose"]
    any_axes: ClassVar[bool] = True
    dim0: Axis
    """The one axis."""
    dim1: Axis
    """The other."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the two axes exchanged.

        Raises:
            ShapeError: an axis is not there.
        """
        one, other = position(self, "dim0", self.dim0, shape), position(self, "dim1", self.dim1, shape)
        dims = list(shape.dims)
        dims[one], dims[other] = dims[other], dims[one]
        return shape.with_dims(*dims)

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.transpose of the input."""
        import torch

        return torch.transpose(inputs[0], self.dim0, self.dim1)


class Chunk(Function):
    """Cuts a tensor into equal parts along an axis; Select takes one of them, in each branch of a Parallel another.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.chunk.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Chunk"]
    any_axes: ClassVar[bool] = True
    chunks: Annotated[int, Field(ge=2, le=64)]
    """How many parts."""
    dim: Axis = 1
    """The axis that is cut; never the batch. 1 are the channels of images."""

    def output_shape(self, shape: Shape) -> Value:
        """Return the shapes of the parts.

        Raises:
            ShapeError: the axis is not there, is the batch or of any length, or cannot be cut into so many equal parts.
        """
        axis = apart(self, "dim", self.dim, shape)
        size = axis_size(self, shape, axis)
        if size % self.chunks:
            remedy = "write chunks that divide it, or a Narrow for each part"
            message = f"Chunk needs the {size} places of axis {axis} to be a multiple of {self.chunks}"
            raise ShapeError(message, remedy, "chunks")
        part = shape.with_dims(*shape.dims[:axis], size // self.chunks, *shape.dims[axis + 1 :])
        return (part,) * self.chunks

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the proxies of the parts."""
        import torch

        parts = torch.chunk(inputs[0], self.chunks, self.dim)
        return tuple(parts[index] for index in range(self.chunks))


class Select(Function):
    """One of several tensors, such as the outputs and the last states of an LSTM."""

    shares_input: ClassVar[bool] = True
    type: Literal["Select"]
    any_axes: ClassVar[bool] = True
    index: Output | Annotated[tuple[Output, ...], Field(min_length=1, max_length=8)]
    """Which one, counted from 0; [1, 0] is the first of those that stand second."""

    def infer(self, values: tuple[Value, ...]) -> Value:
        """Return the shape of the one tensor.

        Raises:
            ShapeError: there are not as many, or the input is one tensor.
        """
        value = values[0]
        if isinstance(value, Shape):
            raise ShapeError("Select needs several tensors", "remove it, or write Index for a part of one tensor")
        for index in self._path():
            if isinstance(value, Shape) or index >= len(value):
                there = "one tensor" if isinstance(value, Shape) else f"{len(value)} tensors"
                remedy = "remove the last number" if isinstance(value, Shape) else f"write 0 to {len(value) - 1}"
                raise ShapeError(f"Select finds {there} where it needs number {index}", remedy, "index")
            value = value[index]
        return value

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the proxy of the one tensor."""
        found = inputs[0]
        for index in self._path():
            found = found[index]
        return found

    def _path(self) -> tuple[int, ...]:
        return (self.index,) if isinstance(self.index, int) else self.index


class Index(Function):
    """What stands at one place of an axis, which goes away: {"dim": 1, "index": -1} is the last step of a sequence.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.select.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Index"]
    any_axes: ClassVar[bool] = True
    dim: Axis
    """The axis; never the batch."""
    index: Integer
    """The place, counted from 0, or from the end with -1."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` without the axis.

        Raises:
            ShapeError: the axis is not there, is the batch, or has no such place.
        """
        axis = apart(self, "dim", self.dim, shape)
        size = shape.dims[axis]
        if isinstance(size, str) and self.index not in (0, -1):
            raise ShapeError(f"Index needs a place that every {size} has", "write 0 or -1", "index")
        if isinstance(size, int) and not -size <= self.index < size:
            remedy = f"write a place from 0 to {size - 1}, or from -1 to -{size}"
            raise ShapeError(f"Index needs axis {axis} to have place {self.index}", remedy, "index")
        return shape.with_dims(*shape.dims[:axis], *shape.dims[axis + 1 :])

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.select of the input."""
        import torch

        return torch.select(inputs[0], self.dim, self.index)


class Narrow(Function):
    """A stretch of an axis.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.narrow.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["Narrow"]
    any_axes: ClassVar[bool] = True
    dim: Axis
    """The axis; never the batch."""
    start: Integer
    """Where the stretch begins, counted from 0, or from the end with -1."""
    length: Count
    """How long it is."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with `length` on the axis.

        Raises:
            ShapeError: the axis is not there, is the batch or of any length, or ends before the stretch.
        """
        axis = apart(self, "dim", self.dim, shape)
        size = axis_size(self, shape, axis)
        start = self.start + size if self.start < 0 else self.start
        if not 0 <= start < size:
            remedy = f"write a place from 0 to {size - 1}, or from -1 to -{size}"
            raise ShapeError(f"{kind(self)} needs axis {axis} to have place {self.start}", remedy, "start")
        if start + self.length > size:
            message = f"Narrow needs {start + self.length} places on axis {axis}"
            raise ShapeError(message, f"write a length of at most {size - start}", "length")
        return shape.with_dims(*shape.dims[:axis], self.length, *shape.dims[axis + 1 :])

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.narrow of the input."""
        import torch

        return torch.narrow(inputs[0], self.dim, self.start, self.length)
