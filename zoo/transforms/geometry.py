"""Transforms of the size: Resize, CenterCrop, Pad."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from zoo.errors import ShapeError
from zoo.shapes import Dimension, Shape
from zoo.strict import Field, model_validator
from zoo.transforms.transform import Fill, Resampling, Side, Sides, Transform, image_axes, require_fill

Margin = Annotated[int, Field(ge=0, le=65_536)]
Margins = Margin | tuple[Margin, Margin] | tuple[Margin, Margin, Margin, Margin]
PaddingMode = Literal["constant", "edge", "reflect", "symmetric"]


class Resize(Transform):
    """Resamples an image to a size.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Resize.html
    """

    type: Literal["Resize"]
    size: Side | Sides | None
    """[height, width]; a single number for the shorter side, the other in proportion; null with max_size alone."""
    interpolation: Resampling = "bilinear"
    """How pixels between pixels are found."""
    max_size: Side | None = None
    """The longer side is at most this, with one number as size; exactly this, without one."""
    antialias: bool = True
    """Smooth before shrinking; bilinear and bicubic only."""

    @model_validator(mode="after")
    def _size_is_said_once(self) -> Self:
        if self.size is None and self.max_size is None:
            raise ValueError("Resize has no size; write size, or max_size")
        if isinstance(self.size, tuple) and self.max_size is not None:
            raise ValueError("max_size says nothing beside [height, width]; remove it")
        if isinstance(self.size, int) and self.max_size is not None and self.max_size <= self.size:
            raise ValueError(f"max_size is not above size, {self.size}; write a larger max_size")
        require_antialias(self.interpolation, self.antialias)
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the new height and width.

        Raises:
            ShapeError: these are no images, or a side would have no pixel or too many.
        """
        channels, height, width = image_axes(self, shape)
        if isinstance(self.size, tuple):
            require_pixels(self, shape, self.size, self.interpolation)
            return shape.with_dims("N", channels, *self.size)
        if isinstance(height, str) or isinstance(width, str):
            return shape.with_dims("N", channels, "H", "W")
        short, long = sorted(self._in_proportion(min(height, width), max(height, width)))
        if not 1 <= short <= long <= 65_536:
            raise ShapeError("Resize needs images that are less long", "write size as [height, width]", "size")
        sides = (long, short) if width <= height else (short, long)
        require_pixels(self, shape, sides, self.interpolation)
        return shape.with_dims("N", channels, *sides)

    def _in_proportion(self, short: int, long: int) -> tuple[int, int]:
        """Return the new sides, as torchvision rounds them."""
        if not isinstance(self.size, int):
            most = int(self.max_size or 0)
            return int(most * short / long), most
        scaled = int(self.size * long / short)
        if self.max_size is not None and scaled > self.max_size:
            return int(self.max_size * self.size / scaled), self.max_size
        return self.size, scaled


class CenterCrop(Transform):
    """Cuts the middle out; an image smaller than that is filled up with zeros.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.CenterCrop.html
    """

    type: Literal["CenterCrop"]
    size: Side | Sides
    """[height, width], or one number for both."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the new height and width.

        Raises:
            ShapeError: these are no images.
        """
        channels, _, _ = image_axes(self, shape)
        return shape.with_dims("N", channels, *both(self.size))


class Pad(Transform):
    """Puts a margin around an image.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Pad.html
    """

    type: Literal["Pad"]
    padding: Margins
    """One number for all sides; [left and right, top and bottom]; or [left, top, right, bottom]."""
    fill: Fill = 0
    """Value of the margin, with padding_mode "constant"; one number, or one for each channel."""
    padding_mode: PaddingMode = "constant"
    """What the margin holds: `fill`, the outermost pixels, or the image mirrored without or with its edge."""

    @model_validator(mode="after")
    def _fill_is_used(self) -> Self:
        require_fill_used(self.fill, self.padding_mode)
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the margins added.

        Raises:
            ShapeError: these are no images, the margin is wider than what is mirrored, or `fill` does not fit.
        """
        require_fill(self, shape, self.fill)
        return padded(self, shape, self.padding, self.padding_mode)


def both(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width)."""
    return (size, size) if isinstance(size, int) else size


def require_pixels(transform: Transform, shape: Shape, size: tuple[int, int], interpolation: str) -> None:
    """Refuse a single pixel where torch cannot make one."""
    if size == (1, 1) and shape.dtype == "uint8" and not interpolation.startswith("nearest"):
        name = type(transform).__name__
        raise ShapeError(f"{name} needs float32 images to make one pixel of them", "write a larger size", "size")


def require_fill_used(fill: float | tuple[float, ...], mode: str) -> None:
    """Refuse a fill that no pixel takes."""
    if mode != "constant" and fill != 0:
        raise ValueError(f'fill says nothing with padding_mode "{mode}"; remove one of the two')


def require_antialias(interpolation: str, antialias: bool) -> None:
    """Refuse an antialias that smooths nothing."""
    if interpolation.startswith("nearest") and not antialias:
        raise ValueError(f'antialias says nothing with interpolation "{interpolation}"; remove it')


def padded(transform: Transform, shape: Shape, padding: int | tuple[int, ...], mode: str) -> Shape:
    """Return `shape` with margins.

    Raises:
        ShapeError: a mirrored margin is wider than the image, or its size is not known.
    """
    numbers = (padding,) if isinstance(padding, int) else padding
    left, top, right, bottom = numbers * (4 // len(numbers))
    channels, height, width = image_axes(transform, shape)
    for side, before, after in ((height, top, bottom), (width, left, right)):
        widest = max(before, after)
        most = 65_536 if isinstance(side, str) else side - (mode == "reflect")
        if mode in ("reflect", "symmetric") and widest > (0 if isinstance(side, str) else most):
            name = type(transform).__name__
            raise ShapeError(
                f"{name} mirrors {widest} pixels and needs images that have more",
                'write less padding, or padding_mode "edge"',
                "padding",
            )
    return shape.with_dims("N", channels, _longer(height, top + bottom), _longer(width, left + right))


def _longer(side: Dimension, by: int) -> Dimension:
    return side if isinstance(side, str) else side + by
