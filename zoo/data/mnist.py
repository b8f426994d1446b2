"""MNIST and the data sets of the same format: IDX files of 28×28 grey images, as torchvision reads them.

An IDX file is a magic number (images 2051, labels 2049), the sizes, all big-endian 32 bit, and a byte for each number.
Source: http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import struct
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zoo.data.data import Data, Example, Inputs, Rows, Split
from zoo.data.images import read_images
from zoo.errors import DataError, reason
from zoo.shapes import Shape
from zoo.transforms import AnyTransform, Transform

if TYPE_CHECKING:
    from torchvision.datasets import MNIST as TorchvisionMNIST  # noqa: N811  # a class, not a constant

SIDE = 28  # pixels
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049


class IdxImages(Data):
    """What the data sets of MNIST's format share."""

    root: Annotated[str, Field(min_length=1, max_length=4096)] = "data"
    """Folder that holds NAME/raw/*-ubyte, as torchvision lays it out; relative to where the command runs."""
    download: bool = False
    """Fetch the files through torchvision when they are not there."""
    transforms: tuple[AnyTransform, ...] = ()
    """What happens to an image before the model, in order."""

    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Return the names of the ten classes, as torchvision has them."""

    @abstractmethod
    def dataset(self) -> Callable[..., TorchvisionMNIST]:
        """Return torchvision's class for this data set."""

    @property
    def folder(self) -> Path:
        """Return the folder of the IDX files."""
        return Path(self.root) / type(self).__name__ / "raw"

    def example(self) -> Example:
        """Return grey images of 28×28 pixels and class numbers."""
        target = Shape("N", dtype="int64")
        return Example(Shape("N", 1, SIDE, SIDE, dtype="uint8"), target, "image", 60_000, self.class_names())

    def load(self, split: Split) -> Rows:
        """Return images as uint8 of (N, 1, 28, 28) and labels as int64 of (N,).

        Raises:
            DataError: files are absent and not to be downloaded, or are incomplete.
        """
        prefix = "train" if split == "train" else "t10k"
        files = [self.folder / f"{prefix}-images-idx3-ubyte", self.folder / f"{prefix}-labels-idx1-ubyte"]
        self._fetch(files)
        images = _verified(files[0], IMAGES_MAGIC)
        labels = _verified(files[1], LABELS_MAGIC)
        if images != labels:
            raise DataError(f"{self.folder} has {images} images but {labels} labels for {split}", _AGAIN)
        rows = self.dataset()(self.root, train=split == "train")
        if rows.data.shape[1:] != (SIDE, SIDE):
            raise DataError(f"{files[0]} holds images of {tuple(rows.data.shape[1:])}, not 28×28 pixels", _AGAIN)
        largest = int(rows.targets.max())
        if largest >= len(self.class_names()):
            raise DataError(
                f"{files[1]} has the label {largest}, but there are {len(self.class_names())} classes", _AGAIN
            )
        return Rows(rows.data.unsqueeze(1), rows.targets)

    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return image files of 28×28 pixels; colours become grey."""
        return Inputs(tuple(inputs), read_images(inputs, 1, SIDE, SIDE))

    def pipeline(self) -> tuple[Transform, ...]:
        """Return the transforms of the spec."""
        return self.transforms

    def _fetch(self, files: Sequence[Path]) -> None:
        absent = [file.name for file in files if not file.is_file()]
        if not absent:
            return
        if not self.download:
            raise DataError(
                f"data.root {self.root!r}: {self.folder} has no {', '.join(absent)}",
                f"set data.root to the folder that holds {type(self).__name__}/raw, or data.download to true",
            )
        try:
            self.dataset()(self.root, download=True)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"cannot download {type(self).__name__} to {self.root}: {reason(error)}",
                f"check the network, or copy the files to {self.folder} yourself",
            ) from error


_AGAIN = "remove the file and fetch it again (data.download: true)"


def _verified(file: Path, magic: int) -> int:
    """Return how many rows an IDX file holds, after comparing its size with its header.

    Raises:
        DataError: the file is no IDX file of this kind, or has another size than its header says.
    """
    axes = magic % 256
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            header = opened.read(4 + 4 * axes)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}", "check the file's permissions") from error
    if len(header) < 4 + 4 * axes or struct.unpack(">i", header[:4])[0] != magic:
        raise DataError(f"{file} is not an IDX file of {'images' if axes == 3 else 'labels'}", _AGAIN)
    sizes = struct.unpack(f">{axes}I", header[4:])
    expected = len(header)
    numbers = 1
    for length in sizes:
        numbers *= length
    if size != expected + numbers:
        raise DataError(f"{file} is incomplete: {size:,} bytes, but its header says {expected + numbers:,}", _AGAIN)
    rows: int = sizes[0]
    if rows == 0:
        raise DataError(f"{file} holds no rows", _AGAIN)
    return rows


class MNIST(IdxImages):
    """The 70,000 handwritten digits of LeCun, Cortes and Burges.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.MNIST.html
    """

    type: Literal["MNIST"]

    def class_names(self) -> tuple[str, ...]:
        """Return "0 - zero" to "9 - nine"."""
        words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
        return tuple(f"{digit} - {word}" for digit, word in enumerate(words))

    def dataset(self) -> Callable[..., TorchvisionMNIST]:
        """Return torchvision.datasets.MNIST."""
        from torchvision import datasets

        made: Callable[..., TorchvisionMNIST] = datasets.MNIST
        return made


class FashionMNIST(IdxImages):
    """The 70,000 articles of clothing of Zalando Research.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.FashionMNIST.html
    """

    type: Literal["FashionMNIST"]

    def class_names(self) -> tuple[str, ...]:
        """Return "T-shirt/top" to "Ankle boot"."""
        return (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        )

    def dataset(self) -> Callable[..., TorchvisionMNIST]:
        """Return torchvision.datasets.FashionMNIST."""
        from torchvision import datasets

        made: Callable[..., TorchvisionMNIST] = datasets.FashionMNIST
        return made
