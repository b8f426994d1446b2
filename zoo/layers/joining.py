"""Layers that join several tensors into one: Add, Multiply, MatMul, Concat."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, ClassVar, Literal

from zoo.errors import ShapeError
from zoo.layers.layer import Emitter, Function, LayerId, kind, require_float
from zoo.shapes import Dimension, Shape, Value
from zoo.strict import Field


class Joining(Function):
    """What every layer has that joins its input with the outputs of other layers."""

    # type: a wider field than the one of other layers; specs are frozen, so nobody can write through the narrower one.
    source: Annotated[tuple[LayerId, ...] | LayerId | None, Field(alias="from")] = None  # type: ignore[assignment]
    """Ids of the layers whose outputs are joined with that of the layer above."""

    @property
    def joined(self) -> tuple[str, ...]:
        """Return the ids in `from`."""
        return (self.source,) if isinstance(self.source, str) else self.source or ()

    @property
    def above(self) -> str | None:
        """Return None: the first input is always the layer above."""
        return None

    def infer(self, values: tuple[Value, ...]) -> Value:
        """Return what comes out when `values` are joined.

        Raises:
            ShapeError: an input is several tensors, or the inputs do not fit one another.
        """
        shapes = [value for value in values if isinstance(value, Shape)]
        if len(shapes) < len(values):
            remedy = 'choose one: {"type": "Select", "index": 0} above it'
            raise ShapeError(f"{kind(self)} needs one tensor from each", remedy)
        if len(shapes) < 2:
            raise ShapeError(f"{kind(self)} needs something to join with", 'write "from": ["ID"]', "type")
        return self.join(shapes)

    def join(self, shapes: list[Shape]) -> Shape:
        """Return the shape of the joined tensor.

        Raises:
            ShapeError: the inputs do not fit one another.
        """
        raise NotImplementedError


class _Elementwise(Joining):
    """What the joining layers have that work number by number, as torch broadcasts."""

    def join(self, shapes: list[Shape]) -> Shape:
        """Return the broadcast shape: each axis has one size, or is 1.

        Raises:
            ShapeError: two sizes of an axis differ and neither is 1, or the ranks or dtypes differ.
        """
        first = shapes[0]
        remedy = "make them alike: a Conv2d or Linear on one side, or another stride"
        if any(shape.rank != first.rank or shape.dtype != first.dtype for shape in shapes):
            raise ShapeError(f"{kind(self)} needs tensors of one rank and dtype", remedy)
        dims: list[Dimension] = []
        for axis, sizes in enumerate(zip(*(shape.dims for shape in shapes), strict=True)):
            wide = {size for size in sizes if size != 1}
            if len(wide) > 1 or (axis == 0 and 1 in sizes and wide):
                raise ShapeError(f"{kind(self)} needs tensors whose axes agree or are 1", remedy)
            dims.append(wide.pop() if wide else 1)
        return first.with_dims(*dims)


class Add(_Elementwise):
    """The sum of the layer above and of those in `from`; an axis of size 1 is repeated, as torch broadcasts.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.add.html
    """

    type: Literal["Add"]

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the sum, from left to right."""
        total = inputs[0]
        for other in inputs[1:]:
            total = total + other
        return total


class Multiply(_Elementwise):
    """The product of the layer above and of those in `from`, number by number: a gate.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.mul.html
    """

    type: Literal["Multiply"]

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the product, from left to right."""
        product = inputs[0]
        for other in inputs[1:]:
            product = product * other
        return product


class MatMul(Joining):
    """The matrix product of the layer above (N, …, R, S) and of the one in `from` (N, …, S, C): (N, …, R, C).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.matmul.html
    """

    type: Literal["MatMul"]

    def join(self, shapes: list[Shape]) -> Shape:
        """Return the shape of the product; an axis before the matrices may be 1 on one side, as torch broadcasts.

        Raises:
            ShapeError: there are more than two; these are no matrices of floats of one rank, with the batch first; or
                their sizes do not fit.
        """
        if len(shapes) > 2:
            raise ShapeError("MatMul needs one id in from", "write one, and another MatMul below", "from")
        one, other = shapes
        if one.rank < 3 or one.rank != other.rank or not (one.batched and other.batched):
            message = "MatMul needs matrices on both sides, with the batch on the first axis and as many axes"
            raise ShapeError(message, 'give both (N, rows, columns): {"type": "Unsqueeze"} or "Permute" above it')
        for shape in shapes:
            require_float(self, shape)
        if one.dims[-1] != other.dims[-2]:
            message = f"MatMul needs as many rows from the one in from as the layer above has columns, {one.dims[-1]}"
            raise ShapeError(message, 'exchange axes of one of the two: {"type": "Transpose"} above it')
        lead: list[Dimension] = []
        for sizes in zip(one.dims[:-2], other.dims[:-2], strict=True):
            wide = {size for size in sizes if size != 1}
            if len(wide) > 1:
                message = "MatMul needs axes before the matrices that agree or are 1"
                raise ShapeError(message, "make them alike, or give one side an axis of size 1")
            lead.append(wide.pop() if wide else 1)
        return one.with_dims(*lead, one.dims[-2], other.dims[-1])

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.matmul of the two."""
        import torch

        return torch.matmul(*inputs)

    def cost(self, values: tuple[Value, ...]) -> int:
        """Return rows · columns of each product, times what is summed for each number."""
        one, other = (value for value in values if isinstance(value, Shape))
        longest = max(one.longest or 1, other.longest or 1)
        sizes = (*self.join([one, other]).dims[1:], one.dims[-1])
        return prod(longest if isinstance(size, str) else size for size in sizes)


class Concat(Joining):
    """The layer above and those in `from`, one behind the other along an axis.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cat.html
    """

    type: Literal["Concat"]
    any_axes: ClassVar[bool] = True
    dim: Annotated[int, Field(ge=-8, le=7)] = 1
    """The axis along which they stand; 1 are the channels of images."""

    def join(self, shapes: list[Shape]) -> Shape:
        """Return the shape with the sizes along `dim` added up.

        Raises:
            ShapeError: there is no such axis, it is the batch or a sequence of any length, or another axis differs.
        """
        first = shapes[0]
        axis = self.dim + first.rank if self.dim < 0 else self.dim
        if not 1 <= axis < first.rank:
            raise ShapeError(f"Concat needs dim {self.dim} to be an axis after the batch", "write another dim", "dim")
        rests = {(shape.dims[:axis], shape.dims[axis + 1 :], shape.rank, shape.dtype) for shape in shapes}
        if len(rests) > 1:
            message = f"Concat needs tensors that differ in axis {axis} alone"
            raise ShapeError(message, "make the other axes alike, or write another dim")
        sizes = [shape.dims[axis] for shape in shapes]
        known = [size for size in sizes if isinstance(size, int)]
        if len(known) < len(sizes):
            raise ShapeError(f"Concat needs axis {axis} to have a known size", "write another dim", "dim")
        return first.with_dims(*first.dims[:axis], sum(known), *first.dims[axis + 1 :])

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return torch.cat of the inputs."""
        import torch

        return torch.cat(list(inputs), self.dim)
