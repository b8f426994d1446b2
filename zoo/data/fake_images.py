"""FakeImages: images of noise with random classes, to try a model without data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from zoo.data.data import Example, Inputs, Rows, Split
from zoo.data.image_source import ImageSource
from zoo.data.images import read_images
from zoo.data.splitting import Seeded
from zoo.shapes import Shape
from zoo.strict import Count, Field, Seed, model_validator

Pixels = Annotated[int, Field(ge=1, le=65_536)]


class FakeImages(ImageSource, Seeded):
    """Images of noise with random classes, as torchvision's FakeData; the test split holds as many others.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.FakeData.html
    """

    seed_is_used = True
    answering = ("num_classes", "masks")

    type: Literal["FakeImages"]
    size: Annotated[Count, Field(le=10_000_000)] = 1000
    """Number of images in each split."""
    image_size: tuple[Annotated[int, Field(ge=1, le=1024)], Pixels, Pixels] = (3, 224, 224)
    """[channels, height, width]."""
    num_classes: Annotated[Count, Field(le=1_000_000)] = 10
    """Number of classes, called "0", "1", …."""
    masks: bool = False
    """Each pixel has a class of its own, as in segmentation; targets are (N, height, width)."""
    seed: Seed = 0
    """Seed of the images, of the classes, and of the draw of the rows that are kept out."""

    def example(self) -> Example:
        """Return images of this size and class numbers."""
        names = tuple(map(str, range(self.num_classes)))
        images, target = Shape("N", *self.image_size, dtype="uint8"), Shape(*self._targets, dtype="int64")
        return Example(images, target, "image", self.training_rows(self.size), names)

    @property
    def _targets(self) -> tuple[str, *tuple[int, ...]]:
        return ("N", *(self.image_size[1:] if self.masks else ()))

    @model_validator(mode="after")
    def _masks_are_not_moved(self) -> Self:
        if self.masks and self.augmentation:
            raise ValueError("the augmentation would change images and leave their masks; remove one of the two")
        return self

    def load(self, split: Split) -> Rows:
        """Return `size` images of uint8 and class numbers of int64."""
        import torch

        # Two generators, so that the test split does not make the training split first; torch reads 32 bits of a seed.
        generator = torch.Generator().manual_seed(self.seed if split != "test" else self.seed ^ 2**31)
        images = torch.randint(0, 256, (self.size, *self.image_size), generator=generator, dtype=torch.uint8)
        classes = torch.randint(0, self.num_classes, (self.size, *self._targets[1:]), generator=generator)
        return self.choose(Rows(images, classes), split)

    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return image files of this size."""
        channels, height, width = self.image_size
        return Inputs(tuple(inputs), read_images(inputs, channels, height, width))
