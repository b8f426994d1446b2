"""Random transforms that cut: RandomCrop, RandomResizedCrop, RandomErasing."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Field, Number, Positive, Probability, model_validator
from zoo.transforms.geometry import (
    Margins,
    PaddingMode,
    both,
    padded,
    require_antialias,
    require_fill_used,
    require_pixels,
)
from zoo.transforms.transform import (
    Fill,
    Resampling,
    SameSize,
    Side,
    Sides,
    Transform,
    image_axes,
    kind,
    require_fill,
    require_order,
    require_sides,
)


class RandomCrop(Transform):
    """Cuts a piece out at a random place.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomCrop.html
    """

    random: ClassVar[bool] = True

    type: Literal["RandomCrop"]
    size: Side | Sides
    """[height, width], or one number for both."""
    padding: Margins | None = None
    """A margin put around the image first, as in Pad."""
    pad_if_needed: bool = False
    """Fill up images that are smaller than `size`."""
    fill: Fill = 0
    """Value of the margin, with padding_mode "constant"; one number, or one for each channel."""
    padding_mode: PaddingMode = "constant"
    """What the margin holds, as in Pad."""

    @model_validator(mode="after")
    def _margin_is_used(self) -> Self:
        if self.padding is None and not self.pad_if_needed and (self.fill != 0 or self.padding_mode != "constant"):
            raise ValueError("fill and padding_mode say nothing without a margin; write padding, or remove them")
        if self.pad_if_needed and self.padding_mode in ("reflect", "symmetric"):
            raise ValueError(
                f'pad_if_needed cannot mirror images of any size; write padding_mode "edge" for "{self.padding_mode}"'
            )
        require_fill_used(self.fill, self.padding_mode)
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the size of the piece.

        Raises:
            ShapeError: these are no images, or they are smaller than the piece.
        """
        require_fill(self, shape, self.fill)
        height, width = both(self.size)
        margin = padded(self, shape, self.padding or 0, self.padding_mode)
        if not self.pad_if_needed:
            require_sides(self, margin, height, width, ", the padding included")
        return shape.with_dims("N", shape.dims[1], height, width)


class RandomResizedCrop(Transform):
    """Cuts a piece of random size and shape out, and resizes it.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomResizedCrop.html
    """

    random: ClassVar[bool] = True

    type: Literal["RandomResizedCrop"]
    size: Side | Sides
    """[height, width], or one number for both."""
    scale: tuple[Probability, Probability] = (0.08, 1.0)
    """Smallest and largest part of the image's area."""
    ratio: tuple[Positive, Positive] = (3.0 / 4.0, 4.0 / 3.0)
    """Smallest and largest width / height."""
    interpolation: Resampling = "bilinear"
    """How pixels between pixels are found."""
    antialias: bool = True
    """Smooth before shrinking; bilinear and bicubic only."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        require_order("scale", *self.scale)
        require_order("ratio", *self.ratio)
        require_antialias(self.interpolation, self.antialias)
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the new height and width.

        Raises:
            ShapeError: these are no images, or they are so long that a piece of the middle has no pixel.
        """
        channels, height, width = image_axes(self, shape)
        require_pixels(self, shape, both(self.size), self.interpolation)
        if isinstance(height, int) and isinstance(width, int):
            # When no draw fits, torchvision cuts the middle out, at the nearest ratio.
            small = round(width / self.ratio[0]) if width / height < self.ratio[0] else height
            thin = round(height * self.ratio[1]) if width / height > self.ratio[1] else width
            if small < 1 or thin < 1:
                raise ShapeError("RandomResizedCrop needs larger images for this ratio", "write ratios near 1", "ratio")
        return shape.with_dims("N", channels, *both(self.size))


class RandomErasing(SameSize):
    """Overwrites a random rectangle.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomErasing.html
    """

    type: Literal["RandomErasing"]
    p: Probability = 0.5
    """Probability of doing it."""
    scale: tuple[Probability, Probability] = (0.02, 0.33)
    """Smallest and largest part of the image's area."""
    ratio: tuple[Positive, Positive] = (0.3, 3.3)
    """Smallest and largest height / width."""
    value: Number | Literal["random"] | Annotated[tuple[Number, ...], Field(min_length=1, max_length=1024)] = 0.0
    """What is written: a number, one for each channel, or "random": normal numbers."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        require_order("scale", *self.scale)
        require_order("ratio", *self.ratio)
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no images, or `value` does not fit their channels or levels.
        """
        channels, _, _ = image_axes(self, shape)
        if self.value == "random":
            if shape.dtype == "uint8":
                message = "RandomErasing writes normal numbers and needs float32 images"
                raise ShapeError(message, "write a number, or one for each channel", "value")
            return shape
        values = self.value if isinstance(self.value, tuple) else (float(self.value),)
        if len(values) not in (1, channels):
            message = f"{kind(self)} needs images of {len(values)} channels for this value"
            raise ShapeError(message, f"write one number, or {channels}", "value")
        if shape.dtype == "uint8" and any(not 0 <= v <= 255 or v != int(v) for v in values):
            message = f"{kind(self)} writes whole numbers of 0 to 255 into uint8 images"
            raise ShapeError(message, "write such a number", "value")
        return shape
