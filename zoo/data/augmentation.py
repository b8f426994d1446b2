"""Augmentation applied: each image with random numbers of its own, whatever batch it is in; then batches mixed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.data.data import Rows
    from zoo.transforms import Transform


def augmented(images: Tensor, numbers: Sequence[int], steps: Sequence[Callable[[Tensor], Tensor]], seed: int) -> Tensor:
    """Return the images, each changed at random.

    An image's random numbers follow from the seed and its number alone; torch's global generator is left as it was.

    Args:
        images: (N, channels, height, width).
        numbers: the number of each image in its split.
        steps: built transforms of one image.
        seed: another one for each epoch.
    """
    import torch

    changed = []
    with _generators_kept(images):
        for image, number in zip(images, numbers, strict=True):
            _seed_generators(image, seed, number)
            for step in steps:
                image = step(image)
            changed.append(image)
    return torch.stack(changed)


def mixed(rows: Rows, transform: Transform, classes: int, seed: int) -> Rows:
    """Return a batch with its images and targets mixed; the targets are then probabilities (N, classes).

    Args:
        rows: images (N, channels, height, width) of float32 and class numbers (N,).
        transform: one that works on batches: MixUp, CutMix, or a RandomChoice of them.
        classes: how many there are.
        seed: another one for each step.
    """
    from zoo.data.data import Rows

    step = transform.with_classes(classes).build()
    with _generators_kept(rows.inputs):
        _seed_generators(rows.inputs, seed, -1)
        images, targets = step(rows.inputs, rows.targets)
    return Rows(images, targets)


@contextmanager
def _generators_kept(images: Tensor) -> Iterator[None]:
    """Bring torch's generators back to where they were at the end."""
    import torch

    with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
        yield


def _seed_generators(images: Tensor, seed: int, number: int) -> None:
    """Seed the generators that transforms of these images draw from; torch.manual_seed takes several times as long."""
    import torch

    digest = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=8).digest()
    derived = int.from_bytes(digest, "little")
    torch.default_generator.manual_seed(derived)
    if images.is_cuda:
        torch.cuda.default_generators[images.device.index or 0].manual_seed(derived)
