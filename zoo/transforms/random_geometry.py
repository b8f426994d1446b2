"""Random transforms that turn, bend and mirror."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from zoo.shapes import Shape
from zoo.strict import Field, NonNegative, Positive, Probability, model_validator
from zoo.transforms.transform import Fill, Range, SameSize, Warping, require_order, require_sides

Angle = Annotated[float, Field(ge=-3600, le=3600)]
Turn = Annotated[float, Field(ge=0, le=3600)]
Blur = Annotated[float, Field(ge=0, le=1000)]


class RandomHorizontalFlip(SameSize):
    """Mirrors left and right.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomHorizontalFlip.html
    """

    type: Literal["RandomHorizontalFlip"]
    p: Probability = 0.5
    """Probability of doing it."""


class RandomVerticalFlip(SameSize):
    """Mirrors top and bottom.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomVerticalFlip.html
    """

    type: Literal["RandomVerticalFlip"]
    p: Probability = 0.5
    """Probability of doing it."""


class RandomRotation(SameSize):
    """Turns by a random angle.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomRotation.html
    """

    type: Literal["RandomRotation"]
    degrees: Turn | tuple[Angle, Angle]
    """[smallest, largest] angle; a single number d for [-d, d]."""
    interpolation: Warping = "nearest"
    """How pixels between pixels are found."""
    expand: bool = False
    """Make the image as large as the turned one; its size then depends on the angle."""
    center: Range | None = None
    """[x, y] of the point to turn about, in pixels from the upper left corner; by default the middle."""
    fill: Fill = 0
    """Value of pixels from outside; one number, or one for each channel."""

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        if isinstance(self.degrees, tuple):
            require_order("degrees", *self.degrees)
        if self.expand and self.center is not None:
            raise ValueError("center says nothing when the image expands; remove one of the two")
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`; with `expand` its height and width are unknown.

        Raises:
            ShapeError: these are no images, or `fill` does not fit.
        """
        given = super().output_shape(shape)
        return given.with_dims("N", given.dims[1], "H", "W") if self.expand else given


class RandomAffine(SameSize):
    """Turns, moves, scales and shears.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomAffine.html
    """

    type: Literal["RandomAffine"]
    degrees: Turn | tuple[Angle, Angle]
    """[smallest, largest] angle; a single number d for [-d, d]."""
    translate: tuple[Probability, Probability] | None = None
    """Farthest moves, horizontally and vertically, as parts of width and height."""
    scale: tuple[Positive, Positive] | None = None
    """[smallest, largest] factor."""
    shear: Turn | tuple[Angle, Angle] | tuple[Angle, Angle, Angle, Angle] | None = None
    """[smallest, largest] angle along x, then along y; a single number d for [-d, d] along x."""
    interpolation: Warping = "nearest"
    """How pixels between pixels are found."""
    fill: Fill = 0
    """Value of pixels from outside; one number, or one for each channel."""
    center: Range | None = None
    """[x, y] of the point that stays, in pixels from the upper left corner; by default the middle."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name in ("degrees", "scale", "shear"):
            value = getattr(self, name)
            if isinstance(value, tuple):
                require_order(name, value[0], value[1])
                require_order(name, value[-2], value[-1])
        return self


class RandomPerspective(SameSize):
    """Draws an image as if seen from a random side.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomPerspective.html
    """

    type: Literal["RandomPerspective"]
    distortion_scale: Probability = 0.5
    """How far the corners move: 0 not at all, 1 to the middle."""
    p: Probability = 0.5
    """Probability of doing it."""
    interpolation: Warping = "bilinear"
    """How pixels between pixels are found."""
    fill: Fill = 0
    """Value of pixels from outside; one number, or one for each channel."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no images, the corners of one may meet, or `fill` does not fit.
        """
        given = super().output_shape(shape)
        require_sides(self, shape, 8, 8, ": the corners of smaller ones may meet")
        return given


class ElasticTransform(SameSize):
    """Moves each pixel a little, smoothly.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ElasticTransform.html
    """

    type: Literal["ElasticTransform"]
    alpha: NonNegative | tuple[NonNegative, NonNegative] = 50.0
    """How far, horizontally and vertically."""
    sigma: Blur | tuple[Blur, Blur] = 5.0
    """How smoothly."""
    interpolation: Warping = "bilinear"
    """How pixels between pixels are found."""
    fill: Fill = 0
    """Value of pixels from outside; one number, or one for each channel."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no images, they are smaller than half the smoothing kernel, or `fill` does not fit.
        """
        given = super().output_shape(shape)
        widest = max(self.sigma) if isinstance(self.sigma, tuple) else self.sigma
        least = 1 + (int(8 * widest + 1) | 1) // 2  # torchvision mirrors half its kernel at the edges
        require_sides(self, shape, least, least, " to smooth this much")
        return given
