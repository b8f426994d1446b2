"""What the image data sets share that torchvision can download: one size, known classes, a folder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from zoo.data.data import Example, FilePath, Inputs
from zoo.data.image_source import ImageSource
from zoo.data.images import read_images
from zoo.data.splitting import Seeded
from zoo.shapes import Shape


class Downloaded(ImageSource, Seeded):
    """What every data set of torchvision has."""

    whereabouts = ("root", "download")
    channels: ClassVar[int] = 3
    side: ClassVar[int] = 32
    """Height and width in pixels."""

    root: FilePath = "data"
    """Folder where torchvision lays the files; relative to where the command runs."""
    download: bool = False
    """Fetch the files through torchvision when they are not there."""

    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Return the names of the classes, as torchvision has them."""

    def published_rows(self) -> int:
        """Return how many training rows the published files have."""
        return 60_000

    def rows_on_record(self) -> int:
        """Return how many rows the training files have, as far as a glance tells."""
        return self.published_rows()

    def example(self) -> Example:
        """Return square images and class numbers."""
        images = Shape("N", self.channels, self.side, self.side, dtype="uint8")
        rows = self.training_rows(self.rows_on_record())
        return Example(images, Shape("N", dtype="int64"), "image", rows, self.class_names())

    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return image files of this size; colours become grey where the data is grey."""
        return Inputs(tuple(inputs), read_images(inputs, self.channels, self.side, self.side))
