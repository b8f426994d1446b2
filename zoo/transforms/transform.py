"""Transform: what happens to an image between the file and the model, with its shape rule and torchvision's module."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.shapes import Dimension, Shape
from zoo.strict import Field, Number, Strict

if TYPE_CHECKING:
    from torch import nn

Side = Annotated[int, Field(ge=1, le=65_536)]
"""A side of an image in pixels."""
Sides = tuple[Side, Side]
Fill = Number | Annotated[tuple[Number, ...], Field(min_length=1, max_length=1024)]
"""The value of pixels from outside the image: one for all channels, or one for each."""
Range = tuple[Number, Number]
Resampling = Literal["nearest", "nearest-exact", "bilinear", "bicubic"]
Warping = Literal["nearest", "bilinear"]
"""How torchvision resamples tensors that are turned or bent."""


class Transform(Strict):
    """What every transform has."""

    random: ClassVar[bool] = False
    """Whether it draws anew for every image; such a transform belongs into data.augmentation."""
    numeric: ClassVar[bool] = False
    """Whether it makes other numbers of the pixels' levels; augmentation happens before the first of these."""

    type: str

    @property
    def level(self) -> Literal["sample", "batch"]:
        """Return whether it works on one image, or mixes the images and the targets of a batch."""
        return "sample"

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape that comes out when `shape` goes in.

        Args:
            shape: (N, channels, height, width); height and width may be the symbols "H" and "W".

        Raises:
            ShapeError: torchvision would refuse this input. The message says what the transform needs; the check adds
                what it is given, and by whom.
        """

    def build(self) -> nn.Module:
        """Return the torchvision transform; it works on one image and, unless it is random, on a batch alike."""
        from torchvision.transforms import v2

        module: nn.Module = getattr(v2, type(self).__name__)(**self.arguments())
        return module

    def arguments(self) -> dict[str, Any]:
        """Return the options as every supported torchvision takes them; before 0.29, it wants its own names."""
        from torchvision.transforms import v2

        # Any: whatever torchvision's own signature wants.
        values = {name: getattr(self, name) for name in type(self).model_fields if name != "type"}
        if "interpolation" in values:
            values["interpolation"] = v2.InterpolationMode(values["interpolation"])
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def with_classes(self, classes: int) -> Self:
        """Return the transform for targets of so many classes.

        Raises:
            ShapeError: it mixes targets, and there are no classes, or another number is written.
        """
        return self


class SameSize(Transform):
    """What every random transform has that keeps the shape."""

    random: ClassVar[bool] = True
    few_channels: ClassVar[bool] = False
    """Whether it takes images of 1 or 3 channels only."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no images, or have other channels than the transform takes.
        """
        channels, _, _ = image_axes(self, shape)
        if self.few_channels and channels not in (1, 3):
            raise ShapeError(f"{kind(self)} needs images of 1 or 3 channels", f"remove the {kind(self)}")
        if "fill" in type(self).model_fields:
            require_fill(self, shape, getattr(self, "fill"))  # noqa: B009  # not every one has it
        return shape


def kind(transform: Transform) -> str:
    """Return the transform's type as the spec writes it."""
    return type(transform).__name__


def image_axes(transform: Transform, shape: Shape) -> tuple[int, Dimension, Dimension]:
    """Return channels, height and width.

    Raises:
        ShapeError: `shape` is no batch of images of whole levels or floats.
    """
    if shape.rank != 4 or not isinstance(shape.dims[1], int):
        needed = f"{kind(transform)} needs images (N, channels, height, width)"
        raise ShapeError(needed, f"remove the {kind(transform)}")
    if shape.dtype not in ("uint8", "float32"):
        raise ShapeError(
            f"{kind(transform)} needs uint8 or float32 numbers",
            'convert them first: {"type": "ToDtype", "dtype": "float32"}',
        )
    return shape.dims[1], shape.dims[2], shape.dims[3]


def require_sides(transform: Transform, shape: Shape, height: int, width: int, reason: str) -> None:
    """Refuse images of a side below `height` or `width`; sides that are not known are refused as well."""
    _, *sides = image_axes(transform, shape)
    if any(isinstance(side, str) or side < least for side, least in zip(sides, (height, width), strict=True)):
        raise ShapeError(
            f"{kind(transform)} needs images of at least {height}×{width} pixels{reason}",
            'give them that size first, such as by {"type": "Resize", "size": [height, width]}',
        )


def require_fill(transform: Transform, shape: Shape, fill: float | tuple[float, ...] | None) -> None:
    """Refuse a fill that pixels of this dtype cannot hold, or that has another number of channels."""
    channels, _, _ = image_axes(transform, shape)
    values = fill if isinstance(fill, tuple) else (fill,)
    if len(values) not in (1, channels):
        remedy = "write one number for all channels" + (f", or {channels}" if channels > 1 else "")
        raise ShapeError(f"{kind(transform)} needs images of {len(values)} channels for this fill", remedy, "fill")
    if shape.dtype == "uint8" and any(v is not None and not (0 <= v <= 255 and v == int(v)) for v in values):
        message = f"{kind(transform)} fills uint8 images with whole numbers of 0 to 255"
        raise ShapeError(message, "write such a number", "fill")


def require_order(name: str, low: float, high: float) -> None:
    """Refuse a range that ends before it begins."""
    if low > high:
        raise ValueError(f"{name} goes from {low:g} to {high:g}; write [smallest, largest]")
