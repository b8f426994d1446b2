"""StoredImages: image files of one split, decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from zoo.data.data import Rows
from zoo.data.images import decode_image
from zoo.data.stored import Stored
from zoo.errors import DataError
from zoo.transforms import Transform

if TYPE_CHECKING:
    from torch import Tensor

ONE_SIZE = 'add {"type": "Resize", "size": [height, width]} to data.transforms'


@dataclass(frozen=True)
class StoredImages(Stored):
    """Image files with a class each."""

    paths: tuple[str, ...]
    classes: tuple[int, ...]
    """The class number of each."""
    early: tuple[Transform, ...]
    """What happens to an image before it stands beside others."""
    remedy: str
    """What to do about a file that is no image."""

    def __len__(self) -> int:
        """Return how many files there are."""
        return len(self.paths)

    @cached_property
    def targets(self) -> Tensor:
        """Return the class numbers, int64 of (N,)."""
        import torch

        return torch.tensor(self.classes, dtype=torch.int64)

    @cached_property
    def first(self) -> Tensor:
        """Return the first image, uint8 of (channels, height, width)."""
        return self.decoded(self.paths[0])

    def decoded(self, path: str) -> Tensor:
        """Return an image behind the early transforms.

        Raises:
            DataError: it is absent, or no image.
        """
        image = decode_image(path, 3, self.remedy)
        for step in self._steps:
            image = step(image)
        return image

    def read(self, numbers: Sequence[int], threads: int | None = None) -> Rows:
        """Return images as uint8 of (N, channels, height, width), and class numbers.

        Raises:
            DataError: a file is no image, or has another size than the first one.
        """
        import torch

        images = torch.empty((len(numbers), *self.first.shape), dtype=self.first.dtype)

        def put(place: int) -> None:
            path = self.paths[numbers[place]]
            image = self.decoded(path)
            if image.shape != self.first.shape:
                one, other = (f"{size[-1]}×{size[-2]}" for size in (self.first.shape, image.shape))
                raise DataError(f"{self.paths[0]} has {one} pixels, but {path} has {other}", ONE_SIZE)
            images[place] = image

        if threads == 1:
            for place in range(len(numbers)):
                put(place)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(put, range(len(numbers))))
        return Rows(images, self.targets[list(numbers)])

    def faults(self) -> list[str]:
        """Return the paths of the files that cannot be decoded."""

        def damaged(path: str) -> bool:
            try:
                decode_image(path, 3)
            except DataError:
                return True
            return False

        with ThreadPoolExecutor() as pool:
            return [path for path, fault in zip(self.paths, pool.map(damaged, self.paths), strict=True) if fault]

    @cached_property
    def _steps(self) -> list[Callable[[Tensor], Tensor]]:
        return [transform.build() for transform in self.early]
