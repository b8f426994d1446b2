"""What the image data sets share that torchvision can download: one size, known classes, a folder."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from zoo.data.data import Example, FilePath, Inputs, OptionError
from zoo.data.image_source import ImageSource
from zoo.data.images import read_images
from zoo.data.paths import beginning
from zoo.data.splitting import Seeded
from zoo.files import is_file
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
    def paths(self) -> tuple[Path, ...]:
        """Return the published files, as torchvision lays them below root."""

    @property
    def absence(self) -> OptionError | None:
        """Return what is wrong where files are not there."""
        absent = [path for path in self.paths() if not is_file(str(path))]
        if not absent:
            return None
        place = absent[0].parent
        message = f"data.root {self.root!r}: {place} has no {', '.join(path.name for path in absent)}"
        held = os.path.relpath(place, self.root) if place != Path(self.root) else absent[0].name
        remedy = f"set data.root to the folder that holds {held}, or data.download to true{beginning(self.root)}"
        return OptionError(message, remedy, "root")

    def require(self, wanted: Iterable[Path]) -> None:
        """Refuse to go on without these files, and tell of the others that are not there either.

        Raises:
            OptionError: one is not there, and none is to be downloaded.
        """
        absence = self.absence
        if absence is not None and not self.download and not all(is_file(str(path)) for path in wanted):
            raise absence

    def doubts(self) -> tuple[OptionError, ...]:
        """Return which files a training would miss."""
        absence = None if self.download else self.absence
        return () if absence is None else (absence,)

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
