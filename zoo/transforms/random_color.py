"""Random transforms of the colours."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Field, NonNegative, Number, Positive, Probability, model_validator
from zoo.transforms.transform import SameSize, require_order, require_sides

Odd = Annotated[int, Field(ge=1, le=4095)]
Factors = tuple[NonNegative, NonNegative]
HalfTurn = Annotated[float, Field(ge=0, le=0.5)]
Hue = Annotated[float, Field(ge=-0.5, le=0.5)]


class Sometimes(SameSize):
    """What every transform has that happens with a probability."""

    p: Probability = 0.5
    """Probability of doing it."""


class SometimesFewChannels(Sometimes):
    """The same, of images of 1 or 3 channels."""

    few_channels: ClassVar[bool] = True


class ColorJitter(SameSize):
    """Changes brightness, contrast, saturation and hue, in a random order.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ColorJitter.html
    """

    few_channels: ClassVar[bool] = True

    type: Literal["ColorJitter"]
    brightness: NonNegative | Factors | None = None
    """[smallest, largest] factor; a single number b for [1 - b, 1 + b]."""
    contrast: NonNegative | Factors | None = None
    """[smallest, largest] factor; a single number c for [1 - c, 1 + c]."""
    saturation: NonNegative | Factors | None = None
    """[smallest, largest] factor; a single number s for [1 - s, 1 + s]."""
    hue: HalfTurn | tuple[Hue, Hue] | None = None
    """[smallest, largest] part of a turn of the colour circle; a single number h for [-h, h]."""

    @model_validator(mode="after")
    def _something_changes(self) -> Self:
        values = {name: getattr(self, name) for name in ("brightness", "contrast", "saturation", "hue")}
        if all(value is None for value in values.values()):
            raise ValueError("ColorJitter changes nothing; write brightness, contrast, saturation or hue")
        for name, value in values.items():
            if isinstance(value, tuple):
                require_order(name, *value)
        return self


class RandomPhotometricDistort(SameSize):
    """Changes brightness, contrast, saturation, hue and the order of the channels, each with a probability.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomPhotometricDistort.html
    """

    few_channels: ClassVar[bool] = True

    type: Literal["RandomPhotometricDistort"]
    brightness: Factors = (0.875, 1.125)
    """[smallest, largest] factor."""
    contrast: Factors = (0.5, 1.5)
    """[smallest, largest] factor."""
    saturation: Factors = (0.5, 1.5)
    """[smallest, largest] factor."""
    hue: tuple[Hue, Hue] = (-0.05, 0.05)
    """[smallest, largest] part of a turn of the colour circle."""
    p: Probability = 0.5
    """Probability of each change."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name in ("brightness", "contrast", "saturation", "hue"):
            require_order(name, *getattr(self, name))
        return self


class GaussianBlur(SameSize):
    """Blurs.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.GaussianBlur.html
    """

    type: Literal["GaussianBlur"]
    kernel_size: Odd | tuple[Odd, Odd]
    """Odd; one number, or one for each direction: horizontal, vertical."""
    sigma: Positive | tuple[Positive, Positive] = (0.1, 2.0)
    """Standard deviation in pixels, or [smallest, largest]."""

    @model_validator(mode="after")
    def _kernel_has_a_middle(self) -> Self:
        if any(size % 2 == 0 for size in self._kernel):
            raise ValueError(f"kernel_size {self.kernel_size} has no middle; write odd numbers")
        if isinstance(self.sigma, tuple):
            require_order("sigma", *self.sigma)
        return self

    @property
    def _kernel(self) -> tuple[int, int]:
        """Return (horizontal, vertical)."""
        return self.kernel_size if isinstance(self.kernel_size, tuple) else (self.kernel_size, self.kernel_size)

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no images, or they are smaller than half the kernel, which is mirrored at the edges.
        """
        horizontal, vertical = self._kernel
        require_sides(self, shape, vertical // 2 + 1, horizontal // 2 + 1, " for this kernel_size")
        return super().output_shape(shape)


class GaussianNoise(SameSize):
    """Adds normal noise.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.GaussianNoise.html
    """

    type: Literal["GaussianNoise"]
    mean: Number = 0.0
    """Mean of the noise, where white is 1."""
    sigma: NonNegative = 0.1
    """Standard deviation of the noise."""
    clip: bool = True
    """Keep the levels between black and white."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no images, or levels of uint8 would overflow.
        """
        if shape.dtype == "uint8" and not self.clip:
            raise ShapeError("GaussianNoise without clip needs float32 images", "remove clip", "clip")
        return super().output_shape(shape)


class RandomAdjustSharpness(SometimesFewChannels):
    """Sharpens or blurs.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomAdjustSharpness.html
    """

    type: Literal["RandomAdjustSharpness"]
    sharpness_factor: NonNegative
    """0 blurs, 1 changes nothing, 2 sharpens."""


class RandomAutocontrast(SometimesFewChannels):
    """Stretches the levels from black to white.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomAutocontrast.html
    """

    type: Literal["RandomAutocontrast"]


class RandomChannelPermutation(SameSize):
    """Exchanges the channels.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomChannelPermutation.html
    """

    type: Literal["RandomChannelPermutation"]


class RandomEqualize(Sometimes):
    """Makes all levels equally frequent.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomEqualize.html
    """

    type: Literal["RandomEqualize"]


class RandomGrayscale(SometimesFewChannels):
    """Makes an image grey; it keeps its channels.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomGrayscale.html
    """

    type: Literal["RandomGrayscale"]
    p: Probability = 0.1
    """Probability of doing it."""


class RandomInvert(Sometimes):
    """Makes black of white.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomInvert.html
    """

    type: Literal["RandomInvert"]


class RandomPosterize(Sometimes):
    """Keeps the highest bits of each level.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomPosterize.html
    """

    type: Literal["RandomPosterize"]
    bits: Annotated[int, Field(ge=0, le=8)]
    """How many bits stay."""


class RandomSolarize(Sometimes):
    """Inverts the levels from a threshold on.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomSolarize.html
    """

    type: Literal["RandomSolarize"]
    threshold: Annotated[float, Field(ge=0, le=255)]
    """The first level that is inverted: of 0…255 for uint8, of 0…1 for float32."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no images, or the threshold is above white.
        """
        if shape.dtype == "float32" and self.threshold > 1:
            message = "RandomSolarize needs uint8 images for this threshold"
            raise ShapeError(message, "write one of 0 to 1", "threshold")
        return super().output_shape(shape)
