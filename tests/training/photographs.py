"""A folder of small images of noise, and a spec that trains on it: what the tests of streaming share."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image

from conftest import Document

SIZE = [8, 8]
TRANSFORMS = [{"type": "Resize", "size": SIZE}, {"type": "ToDtype", "dtype": "float32"}]
AUGMENTATION = [{"type": "RandomHorizontalFlip"}, {"type": "RandomCrop", "size": SIZE, "padding": 2}]


def take(root: Path, train: int = 20, test: int = 6, side: int = 12) -> None:
    """Write so many images of each of two classes."""
    numbers = random.Random(7)
    for split, count in (("train", train), ("test", test)):
        for name in ("a", "b"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = numbers.randbytes(3 * side * side)
                Image.frombytes("RGB", (side, side), pixels).save(folder / f"{index:04}.png")


def pets(**changes: object) -> Document:
    """A spec with all that draws at random; `data__workers=2` changes an option below."""
    layers = [
        {"type": "Conv2d", "out_channels": 4, "kernel_size": 3},
        {"type": "BatchNorm2d"},
        {"type": "ReLU"},
        {"type": "Dropout"},
        {"type": "Flatten"},
        {"type": "Linear", "out_features": "classes"},
    ]
    document: Document = {
        "name": "pets",
        "data": {
            "type": "ImageFolder",
            "root": "pets",
            "validation": 0.2,
            "transforms": TRANSFORMS,
            "augmentation": AUGMENTATION,
        },
        "model": {"layers": layers},
        "loss": {"type": "CrossEntropyLoss"},
        "metrics": [{"type": "Accuracy"}],
        "optimizer": {"type": "Adam", "lr": 0.01},
        "train": {"epochs": 2, "batch_size": 8},
    }
    for dotted, value in changes.items():
        *owners, key = dotted.split("__")
        here = document
        for owner in owners:
            here = here[owner]
        here[key] = value
    return document
