"""Random transforms of the size; a RandomCrop behind them makes the images equal again."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Field, Positive, Probability, model_validator
from zoo.transforms.geometry import require_antialias
from zoo.transforms.transform import (
    Fill,
    Resampling,
    Transform,
    image_axes,
    require_fill,
    require_order,
    require_sides,
)

FEWEST = 2  # pixels of a side: torch cannot make a single one of uint8 images
Length = Annotated[int, Field(ge=FEWEST, le=65_536)]


class AnySize(Transform):
    """What every transform has that gives images of random sizes."""

    random: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with unknown height and width.

        Raises:
            ShapeError: these are no images.
        """
        channels, _, _ = image_axes(self, shape)
        return shape.with_dims("N", channels, "H", "W")


class RandomResize(AnySize):
    """Resizes the shorter side to a random length.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomResize.html
    """

    type: Literal["RandomResize"]
    min_size: Length
    """Smallest length."""
    max_size: Length
    """Lengths stay below this."""
    interpolation: Resampling = "bilinear"
    """How pixels between pixels are found."""
    antialias: bool = True
    """Smooth before shrinking; bilinear and bicubic only."""

    @model_validator(mode="after")
    def _there_is_a_length(self) -> Self:
        if self.max_size <= self.min_size:
            raise ValueError(f"max_size is not above min_size, {self.min_size}; write a larger max_size")
        require_antialias(self.interpolation, self.antialias)
        return self


class RandomShortestSize(AnySize):
    """Resizes the shorter side to one of several lengths.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomShortestSize.html
    """

    type: Literal["RandomShortestSize"]
    min_size: Length | Annotated[tuple[Length, ...], Field(min_length=1, max_length=100)]
    """The length, or those to choose from."""
    max_size: Length | None = None
    """The longer side is at most this."""
    interpolation: Resampling = "bilinear"
    """How pixels between pixels are found."""
    antialias: bool = True
    """Smooth before shrinking; bilinear and bicubic only."""

    @model_validator(mode="after")
    def _antialias_is_used(self) -> Self:
        require_antialias(self.interpolation, self.antialias)
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with unknown height and width.

        Raises:
            ShapeError: these are no images, or `max_size` leaves a side without a pixel.
        """
        _, height, width = image_axes(self, shape)
        if isinstance(height, int) and isinstance(width, int) and self.max_size is not None:
            smallest = self.min_size if isinstance(self.min_size, int) else min(self.min_size)
            require_factor(self, shape, min(smallest / min(height, width), self.max_size / max(height, width)))
        return super().output_shape(shape)


class RandomZoomOut(AnySize):
    """Puts the image somewhere on a larger canvas.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomZoomOut.html
    """

    type: Literal["RandomZoomOut"]
    fill: Fill = 0
    """Value of the canvas; one number, or one for each channel."""
    side_range: tuple[Annotated[float, Field(ge=1, le=100)], Annotated[float, Field(ge=1, le=100)]] = (1.0, 4.0)
    """Smallest and largest factor of the sides."""
    p: Probability = 0.5
    """Probability of doing it."""

    @model_validator(mode="after")
    def _range_ascends(self) -> Self:
        require_order("side_range", *self.side_range)
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with unknown height and width.

        Raises:
            ShapeError: these are no images, or `fill` does not fit.
        """
        require_fill(self, shape, self.fill)
        return super().output_shape(shape)


class ScaleJitter(AnySize):
    """Resizes to a random multiple of the size that fits into a target.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ScaleJitter.html
    """

    type: Literal["ScaleJitter"]
    target_size: tuple[Length, Length]
    """[width, height] of the target, in this order."""
    scale_range: tuple[Positive, Positive] = (0.1, 2.0)
    """Smallest and largest multiple."""
    interpolation: Resampling = "bilinear"
    """How pixels between pixels are found."""
    antialias: bool = True
    """Smooth before shrinking; bilinear and bicubic only."""

    @model_validator(mode="after")
    def _range_ascends(self) -> Self:
        require_order("scale_range", *self.scale_range)
        require_antialias(self.interpolation, self.antialias)
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with unknown height and width.

        Raises:
            ShapeError: these are no images, or the smallest multiple may leave them without a pixel.
        """
        require_sides(self, shape, 1, 1, " of a known size")
        _, height, width = image_axes(self, shape)
        fit = min(self.target_size[1] / int(height), self.target_size[0] / int(width))
        require_factor(self, shape, fit * self.scale_range[0])
        return super().output_shape(shape)


def require_factor(transform: Transform, shape: Shape, factor: float) -> None:
    """Refuse a factor that makes a side too short."""
    shortest = min(int(side) for side in shape.dims[2:])
    if int(shortest * factor) < FEWEST:
        name = type(transform).__name__
        raise ShapeError(f"{name} needs larger images, or less long ones", "write larger sizes")
