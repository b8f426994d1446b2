"""MNIST and the data sets of the same format: IDX files of 28×28 grey images, as torchvision downloads them.

An IDX file is a magic number (images 2051, labels 2049), the sizes, all big-endian 32 bit, and a byte for each number.
Source: http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import functools
import math
import string
import struct
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zoo.data.data import Rows, Split
from zoo.data.downloaded import Downloaded
from zoo.errors import DataError, reason
from zoo.files import no_empty_folders

if TYPE_CHECKING:
    from torch import Tensor
    from torchvision.datasets import MNIST as TorchvisionMNIST  # noqa: N811  # a class, not a constant

SIDE = 28  # pixels
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049


class IdxImages(Downloaded):
    """What the data sets of MNIST's format share."""

    channels = 1
    side = SIDE

    @abstractmethod
    def dataset(self) -> Callable[..., TorchvisionMNIST]:
        """Return torchvision's class for this data set."""

    @property
    def folder(self) -> Path:
        """Return the folder of the IDX files."""
        return Path(self.root) / type(self).__name__ / "raw"

    def files(self) -> dict[Split, tuple[str, str]]:
        """Return images and labels of each split; torchvision, which downloads them, wants all four."""
        return {
            "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
            "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
        }

    def paths(self) -> tuple[Path, ...]:
        """Return all four."""
        return tuple(self.folder / name for names in self.files().values() for name in names)

    def rows_on_record(self) -> int:
        """Return how many rows the training files have: what their header says, or what is published."""
        try:
            with (self.folder / self.files()["train"][1]).open("rb") as file:
                magic, rows = struct.unpack(">2I", file.read(8))
        except (OSError, ValueError, struct.error):
            return self.published_rows()
        return int(rows) if magic == LABELS_MAGIC and rows else self.published_rows()

    def load(self, split: Split) -> Rows:
        """Return images as uint8 of (N, 1, 28, 28) and labels as int64 of (N,).

        Raises:
            DataError: files are absent and not to be downloaded, or are incomplete.
        """
        self._fetch()
        files = self.files()["test" if split == "test" else "train"]
        images_file, labels_file = (self.folder / name for name in files)
        images, labels = _read(images_file, IMAGES_MAGIC), _read(labels_file, LABELS_MAGIC)
        if images.shape[1:] != (SIDE, SIDE):
            raise DataError(f"{images_file} holds images of {tuple(images.shape[1:])}, not 28×28 pixels", _AGAIN)
        if len(images) != len(labels):
            raise DataError(f"{self.folder} has {len(images)} images but {len(labels)} labels for {split}", _AGAIN)
        largest, classes = int(labels.max()), len(self.class_names())
        if largest >= classes:
            raise DataError(f"{labels_file} has the label {largest}, but there are {classes} classes", _AGAIN)
        return self.choose(Rows(images.unsqueeze(1), labels.long()), split)

    def _fetch(self) -> None:
        if self.absence is None:
            return
        self.require(self.paths())
        try:
            with no_empty_folders(self.folder):
                self.dataset()(self.root, download=True)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"cannot download {type(self).__name__} to {self.root}: {reason(error)}",
                f"check the network, or copy the files to {self.folder} yourself",
            ) from error


_AGAIN = "remove the file and fetch it again (data.download: true)"


def _read(file: Path, magic: int) -> Tensor:
    """Return the numbers of an IDX file, after comparing its size with its header; uint8 of the header's sizes.

    Raises:
        DataError: the file is no IDX file of this kind, has another size than its header says, or holds nothing.
    """
    import torch

    axes = magic % 256
    start = 4 + 4 * axes
    try:
        content = bytearray(file.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}", "check the file's permissions") from error
    if len(content) < start or struct.unpack(">i", content[:4])[0] != magic:
        raise DataError(f"{file} is not an IDX file of {'images' if axes == 3 else 'labels'}", _AGAIN)
    sizes = struct.unpack(f">{axes}I", content[4:start])
    expected = start + math.prod(sizes)
    if len(content) != expected:
        raise DataError(f"{file} is incomplete: {len(content):,} bytes, but its header says {expected:,}", _AGAIN)
    if sizes[0] == 0:
        raise DataError(f"{file} holds no rows", _AGAIN)
    if not math.prod(sizes):
        return torch.zeros(sizes, dtype=torch.uint8)
    return torch.frombuffer(content, dtype=torch.uint8, offset=start).reshape(sizes)


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


class KMNIST(IdxImages):
    """The 70,000 cursive Japanese characters of ten kinds of the Center for Open Data in the Humanities.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.KMNIST.html
    """

    type: Literal["KMNIST"]

    def class_names(self) -> tuple[str, ...]:
        """Return "o" to "wo"."""
        return ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

    def dataset(self) -> Callable[..., TorchvisionMNIST]:
        """Return torchvision.datasets.KMNIST."""
        from torchvision import datasets

        made: Callable[..., TorchvisionMNIST] = datasets.KMNIST
        return made


class EMNIST(IdxImages):
    """Handwritten characters and digits of NIST, in six selections; the images lie on their side, as in the files.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.EMNIST.html
    """

    type: Literal["EMNIST"]
    split: Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"]
    """The selection: 62 classes; 47, where letters alike in both cases are one; those in equal numbers; and smaller."""

    def class_names(self) -> tuple[str, ...]:
        """Return digits and letters, as torchvision has them; "letters" begins with "N/A", because it counts from 1."""
        if self.split == "letters":
            return ("N/A", *string.ascii_lowercase)
        if self.split in ("digits", "mnist"):
            return tuple(string.digits)
        merged = set() if self.split == "byclass" else set("cijklmopsuvwxyz")
        return tuple(sorted(set(string.digits + string.ascii_letters) - merged))

    def published_rows(self) -> int:
        """Return how many training rows the selection has."""
        rows = {"balanced": 112_800, "letters": 124_800, "digits": 240_000, "mnist": 60_000}
        return rows.get(self.split, 697_932)

    def files(self) -> dict[Split, tuple[str, str]]:
        """Return images and labels of each split."""
        parts: tuple[Split, Split] = ("train", "test")
        name = f"emnist-{self.split}"
        return {part: (f"{name}-{part}-images-idx3-ubyte", f"{name}-{part}-labels-idx1-ubyte") for part in parts}

    def dataset(self) -> Callable[..., TorchvisionMNIST]:
        """Return torchvision.datasets.EMNIST of this selection."""
        from torchvision import datasets

        made: Callable[..., TorchvisionMNIST] = functools.partial(datasets.EMNIST, split=self.split)
        return made
