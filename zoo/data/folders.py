"""Folders of images: which files stand in a folder and below it, in torchvision's order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
COUNTED = 50_000  # files and folders that a check looks at: listing more takes longer than a check may


def images_below(folder: Path) -> list[str]:
    """Return the images in a folder and below it, in torchvision's order."""
    return [os.path.join(parent, name) for parent, names in sorted(_folders_below(folder)) for name in _images(names)]


def count_images(folders: Iterable[Path]) -> int | None:
    """Return how many images are in folders and below them; None where looking for all would take too long."""
    count = looked_at = 0
    for folder in folders:
        for _, names in _folders_below(folder):
            count += len(_images(names))
            looked_at += 1 + len(names)
            if looked_at > COUNTED:
                return None
    return count


def _images(names: Sequence[str]) -> list[str]:
    return sorted(name for name in names if name.lower().endswith(EXTENSIONS))


def _folders_below(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder with the names of its files, one after the other; one that is linked to stands once."""
    seen = {os.path.realpath(folder)}
    for parent, below, names in os.walk(folder, followlinks=True):
        yield parent, names
        fresh: list[str] = []
        for name in sorted(below):
            real = os.path.realpath(os.path.join(parent, name))
            if real not in seen:
                seen.add(real)
                fresh.append(name)
        below[:] = fresh  # where os.walk goes next
