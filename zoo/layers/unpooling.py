"""Unpooling: MaxUnpool1d, MaxUnpool2d, MaxUnpool3d put numbers back to where max pooling took them from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from zoo.errors import ShapeError
from zoo.layers.indices import Indices
from zoo.layers.layer import Emitter, LayerId, kind, require_float
from zoo.layers.spatial import (
    ONE,
    THREE,
    TWO,
    Counts1,
    Counts2,
    Counts3,
    Margins1,
    Margins2,
    Margins3,
    Spatial,
    resized,
    spread,
)
from zoo.shapes import Dimension, Shape, Value
from zoo.strict import Count

if TYPE_CHECKING:
    from torch import nn


class MaxUnpool(Spatial):
    """What every unpooling layer has."""

    indices: LayerId
    """The id of the pooling layer, which has "return_indices": true."""
    kernel_size: Count | tuple[Count, ...]
    """Sides of the pooling layer's window."""
    stride: Count | tuple[Count, ...] | None = None
    """Steps of the pooling layer's window; by default as many as the window has."""
    padding: int | tuple[int, ...] = 0
    """Padding of the pooling layer."""
    output_size: tuple[Count, ...] | None = None
    """Sizes of what went into the pooling layer; needed where several sizes give the same pooled one."""

    @property
    def joined(self) -> tuple[str, ...]:
        """Return the pooling layer's id."""
        return (self.indices,)

    def infer(self, values: tuple[Value, ...]) -> Value:
        """Return (N, C, ...) with the sizes that went into the pooling layer.

        Raises:
            ShapeError: there are no indices, they are not for these numbers, or they point beyond what comes out.
        """
        shape, pooled = values
        unpooled = super().infer((shape,))
        indices = pooled[1] if isinstance(pooled, tuple) and len(pooled) == 2 else None
        if not isinstance(indices, Indices) or not isinstance(shape, Shape) or not isinstance(unpooled, Shape):
            remedy = 'write the id of a MaxPool above that has "return_indices": true'
            raise ShapeError(f"{kind(self)} needs the indices of a pooling layer", remedy, "indices")
        if indices.dims != shape.dims:
            message = f"{kind(self)} needs an index for each number"
            raise ShapeError(message, "name the pooling layer whose sizes these are", "indices")
        if indices.counted != unpooled.dims[2:]:
            sides = [list(sides) for sides in (unpooled.dims[2:], indices.counted)]
            message = f"{kind(self)} needs indices that count in the sides it gives, {sides[0]}, not in {sides[1]}"
            remedy = f'write "output_size": {sides[1]}, and kernel_size, stride and padding of the pooling layer'
            raise ShapeError(message, remedy, "output_size" if self.output_size else "kernel_size")
        return unpooled

    def output_shape(self, shape: Shape) -> Shape:
        """Return output_size, or (size - 1) * stride + kernel_size - 2 * padding along each axis.

        Raises:
            ShapeError: `shape` has not the right axes or no floats, or output_size is not among the sizes that pooling
                would give `shape` for.
        """
        require_float(self, shape)
        return shape.with_dims(*shape.dims[:2], *map(self._unpooled, range(self.axes), self.sides(shape)))

    def build(self, shape: Shape) -> nn.Module:
        """Return torch's class of the same name."""
        from torch import nn

        module: nn.Module = getattr(nn, kind(self))(self.kernel_size, self.stride, self.padding)
        return module

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the proxy of the numbers, put back to where their indices say."""
        # Any: torch.fx has proxies in the places of tensors.
        (shape, _), (x, pooled) = values, inputs
        assert isinstance(shape, Shape)  # infer has judged it
        sides = self.output_shape(shape).dims[2:]
        # Written out wherever they are known: torch cannot trace its own computation of them.
        known = [list(sides)] if all(isinstance(side, int) for side in sides) else []
        return emitter.module(self.build(shape))(x, pooled[1], *known)

    def _unpooled(self, axis: int, side: Dimension) -> Dimension:
        kernel, margin = (spread(option, self.axes)[axis] for option in (self.kernel_size, self.padding))
        stride = kernel if self.stride is None else spread(self.stride, self.axes)[axis]
        more = kernel - 2 * margin
        if self.output_size is None:
            return resized(self, axis + 2, side, partial(_put_back, stride, more), keeps=stride == 1 and more == 1)
        wanted = self.output_size[axis]
        if isinstance(side, int) and abs(_put_back(stride, more, side) - wanted) >= stride:
            middle = _put_back(stride, more, side)
            remedy = f"write one from {max(1, middle - stride + 1)} to {middle + stride - 1}"
            raise ShapeError(
                f"{kind(self)} needs another output_size on axis {axis + 2} than {wanted}", remedy, "output_size"
            )
        return resized(self, axis + 2, side, lambda _: wanted, keeps=False)


def _put_back(stride: int, more: int, size: int) -> int:
    return (size - 1) * stride + more


class MaxUnpool1d(MaxUnpool):
    """Puts numbers back to where MaxPool1d took them from, among zeros.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["MaxUnpool1d"]
    kernel_size: Counts1
    stride: Counts1 | None = None
    padding: Margins1 = 0
    output_size: Annotated[tuple[Count, ...], ONE] | None = None


class MaxUnpool2d(MaxUnpool):
    """Puts numbers back to where MaxPool2d took them from, among zeros.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["MaxUnpool2d"]
    kernel_size: Counts2
    stride: Counts2 | None = None
    padding: Margins2 = 0
    output_size: Annotated[tuple[Count, ...], TWO] | None = None


class MaxUnpool3d(MaxUnpool):
    """Puts numbers back to where MaxPool3d took them from, among zeros.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool3d.html
    """

    axes: ClassVar[int] = 3

    type: Literal["MaxUnpool3d"]
    kernel_size: Counts3
    stride: Counts3 | None = None
    padding: Margins3 = 0
    output_size: Annotated[tuple[Count, ...], THREE] | None = None
