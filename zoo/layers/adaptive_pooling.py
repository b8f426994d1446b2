"""Pooling to a size that is asked for: adaptive averages and maxima, and fractional max pooling."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.indices import Indices
from zoo.layers.layer import kind, require_float
from zoo.layers.spatial import ONE, THREE, TWO, Counts2, Counts3, Spatial, holdable, resized, spread
from zoo.shapes import Dimension, Shape, Value
from zoo.strict import Count, Field, model_validator

Wanted = Count | None
Ratio = Annotated[float, Field(gt=0, lt=1)]


class Sized(Spatial):
    """What every layer has that pools to a size that is asked for."""

    @abstractmethod
    def wanted(self, sides: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
        """Return the sizes that are asked for.

        Raises:
            ShapeError: they are larger than the layer can give.
        """

    def output_shape(self, shape: Shape) -> Value:
        """Return (N, C, ...) with the sizes that are asked for.

        Raises:
            ShapeError: `shape` has not the right axes or no floats, or is too small.
        """
        require_float(self, shape)
        pooled = holdable(self, shape.with_dims(*shape.dims[:2], *self.wanted(self.sides(shape))))
        return (pooled, Indices(pooled, shape.dims[2:])) if getattr(self, "return_indices", False) else pooled


class Adaptive(Sized):
    """What every adaptive pooling layer has."""

    output_size: Count | tuple[Wanted, ...]
    """Sizes of what comes out; null in a list keeps the size of that axis."""

    def wanted(self, sides: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
        """Return output_size, with the input's sizes in the place of null."""
        if isinstance(self.output_size, int):
            return (self.output_size,) * self.axes
        return tuple(size or side for size, side in zip(self.output_size, sides, strict=True))


class AdaptiveMaxPool(Adaptive):
    """What every adaptive max pooling layer has."""

    return_indices: bool = False
    """Give (numbers, where each stood); MaxUnpool needs it, and Select takes one of the two."""


class FractionalMaxPool(Sized):
    """What every fractional max pooling layer has."""

    spare: ClassVar[int] = 0
    """How many more places torch wants than the windows need."""

    kernel_size: Count | tuple[Count, ...]
    """Sides of the window."""
    output_size: Count | tuple[Count, ...] | None = None
    """Sizes of what comes out; this or output_ratio."""
    output_ratio: Ratio | tuple[Ratio, ...] | None = None
    """Sizes of what comes out, as parts of the input's; this or output_size."""
    return_indices: bool = False
    """Give (numbers, where each stood); MaxUnpool needs it, and Select takes one of the two."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.output_size is None) == (self.output_ratio is None):
            raise ValueError(f"{kind(self)} needs either output_size or output_ratio; write one of the two")
        return self

    def wanted(self, sides: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
        """Return output_size, or floor(size * output_ratio) along each axis."""
        return tuple(self._part(axis, side) for axis, side in enumerate(sides))

    def _part(self, axis: int, side: Dimension) -> Dimension:
        kernel = spread(self.kernel_size, self.axes)[axis]
        if self.output_size is not None:
            size = spread(self.output_size, self.axes)[axis]
            return resized(self, axis + 2, side, lambda _: size, False, size + kernel - 1 + self.spare, "output_size")
        ratio = self.output_ratio[axis] if isinstance(self.output_ratio, tuple) else self.output_ratio or 0.0
        part = resized(self, axis + 2, side, lambda given: int(given * ratio), False)
        if isinstance(part, int) and isinstance(side, int) and part + kernel - 1 + self.spare > side:
            message = f"{kind(self)} needs axis {axis + 2} to be {part + kernel - 1 + self.spare:,} or longer"
            raise ShapeError(message, "write a smaller kernel_size or output_ratio", "kernel_size")
        return part


class AdaptiveAvgPool1d(Adaptive):
    """Averages of as many equal parts of sequences (N, C, L) as are asked for.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["AdaptiveAvgPool1d"]
    output_size: Count | Annotated[tuple[Count, ...], ONE]


class AdaptiveAvgPool2d(Adaptive):
    """Averages of as many equal parts of images (N, C, H, W) as are asked for.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["AdaptiveAvgPool2d"]
    output_size: Count | Annotated[tuple[Wanted, ...], TWO]


class AdaptiveAvgPool3d(Adaptive):
    """Averages of as many equal parts of volumes (N, C, D, H, W) as are asked for.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool3d.html
    """

    axes: ClassVar[int] = 3

    type: Literal["AdaptiveAvgPool3d"]
    output_size: Count | Annotated[tuple[Wanted, ...], THREE]


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """The largest numbers of as many equal parts of sequences (N, C, L) as are asked for.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["AdaptiveMaxPool1d"]
    output_size: Count | Annotated[tuple[Count, ...], ONE]


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """The largest numbers of as many equal parts of images (N, C, H, W) as are asked for.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["AdaptiveMaxPool2d"]
    output_size: Count | Annotated[tuple[Wanted, ...], TWO]


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """The largest numbers of as many equal parts of volumes (N, C, D, H, W) as are asked for.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool3d.html
    """

    axes: ClassVar[int] = 3

    type: Literal["AdaptiveMaxPool3d"]
    output_size: Count | Annotated[tuple[Wanted, ...], THREE]


class FractionalMaxPool2d(FractionalMaxPool):
    """The largest number under windows that step over images (N, C, H, W) at random, in evaluation too.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["FractionalMaxPool2d"]
    kernel_size: Counts2
    output_size: Counts2 | None = None
    output_ratio: Ratio | Annotated[tuple[Ratio, ...], TWO] | None = None


class FractionalMaxPool3d(FractionalMaxPool):
    """The largest number under windows that step over volumes (N, C, D, H, W) at random, in evaluation too.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool3d.html
    """

    axes: ClassVar[int] = 3
    spare: ClassVar[int] = 1

    type: Literal["FractionalMaxPool3d"]
    kernel_size: Counts3
    output_size: Counts3 | None = None
    output_ratio: Ratio | Annotated[tuple[Ratio, ...], THREE] | None = None
