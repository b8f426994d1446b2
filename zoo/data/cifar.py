"""CIFAR10 and CIFAR100: colour images of 32×32 pixels, read by torchvision after it has compared their MD5 sums."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from zoo.data.data import Rows, Split
from zoo.data.downloaded import Downloaded
from zoo.errors import DataError, reason
from zoo.files import no_empty_folders

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10 as TorchvisionCIFAR  # noqa: N811  # a class, not a constant


class CifarImages(Downloaded):
    """What both have."""

    folder_name: ClassVar[str]
    file_names: ClassVar[tuple[str, ...]]

    def paths(self) -> tuple[Path, ...]:
        """Return the files of both splits, and that of the names."""
        return tuple(self._place() / name for name in self.file_names)

    def published_rows(self) -> int:
        """Return 50,000."""
        return 50_000

    def load(self, split: Split) -> Rows:
        """Return images as uint8 of (N, 3, 32, 32) and labels as int64 of (N,).

        Raises:
            DataError: files are absent and not to be downloaded, or are not those that were published.
        """
        import torch

        found = self._open(split)
        if tuple(found.classes) != self.class_names():
            raise DataError(f"{self._place()} names other classes", self._remedy())
        images = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()  # (N, 3, 32, 32)
        return self.choose(Rows(images, torch.tensor(found.targets, dtype=torch.int64)), split)

    def _open(self, split: Split) -> TorchvisionCIFAR:
        from torchvision import datasets

        self.require(self.paths())  # torchvision compares them all, whatever the split
        try:
            with no_empty_folders(Path(self.root)):
                found: TorchvisionCIFAR = getattr(datasets, type(self).__name__)(
                    self.root, train=split != "test", download=self.download
                )
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
            raise DataError(f"cannot read {self._place()}: {reason(error)}", self._remedy()) from error
        return found

    def _place(self) -> Path:
        return Path(self.root) / self.folder_name

    def _remedy(self) -> str:
        return "remove the folder and fetch it again (data.download: true)"


class CIFAR10(CifarImages):
    """The 60,000 photographs of ten classes of Krizhevsky, Nair and Hinton.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.CIFAR10.html
    """

    folder_name = "cifar-10-batches-py"
    file_names = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")

    type: Literal["CIFAR10"]

    def class_names(self) -> tuple[str, ...]:
        """Return "airplane" to "truck"."""
        return ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class CIFAR100(CifarImages):
    """The 60,000 photographs of a hundred classes of Krizhevsky, Nair and Hinton.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.CIFAR100.html
    """

    folder_name = "cifar-100-python"
    file_names = ("train", "test", "meta")

    type: Literal["CIFAR100"]

    def class_names(self) -> tuple[str, ...]:
        """Return "apple" to "worm", the fine labels."""
        return tuple(FINE_LABELS.split())


FINE_LABELS = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
