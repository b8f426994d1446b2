"""Data of ejected files: every source of the language is read, split and transformed as zoo does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Document
from ejecting import (
    FLOATS,
    TEXT,
    assert_trains_alike,
    names_of,
    noise,
    write_arrays,
    write_cifar,
    write_folders,
    write_idx,
    write_table,
)
from zoo.data import DATA

FLAT: list[Document] = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
CROSS: Document = {"type": "CrossEntropyLoss"}
RESIZED: list[Document] = [{"type": "Resize", "size": [8, 8]}, FLOATS]


def document(data: Document, layers: list[Document] = FLAT, loss: Document = CROSS) -> Document:
    """Return the spec of a small training on this data."""
    return {
        "name": "rows",
        "data": data,
        "model": {"layers": layers},
        "loss": loss,
        "optimizer": {"type": "SGD", "lr": 0.05},
        "train": {"epochs": 1, "batch_size": 4, "seed": 3},
    }


def images(name: str, **options: Any) -> Document:
    """Return the spec of a small training on images."""
    return document({"type": name, "transforms": [FLOATS], **options})


def numbers(**data: Any) -> Document:
    """Return the spec of a small training on numbers."""
    return document(data, [{"type": "Linear", "out_features": 1}], {"type": "MSELoss"})


def words(**data: Any) -> Document:
    """Return the spec of a small training on text."""
    embedding: Document = {"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 4}
    return document({"type": "TextFile", "file": "text.txt", "context": 8, **data}, [embedding, FLAT[1] | OUT])


OUT: Document = {"out_features": "vocabulary"}
TABLE: Document = {"type": "TableFile", "file": "table.csv"}
SPLIT: Document = {"validation": 0.25, "test": 0.3, "seed": 5}
LINE: Document = {"type": "LinearFunction", "weights": [1.0, -2.0], "samples": 20}
SOURCES: dict[str, Document] = {
    "LinearFunction": numbers(**LINE),
    "LinearFunction with noise": numbers(**LINE, noise=0.5, bias=2.0, validation=0.25, seed=3, low=-3, high=9),
    "MNIST": images("MNIST", validation=0.2),
    "FashionMNIST": images("FashionMNIST"),
    "KMNIST": images("KMNIST"),
    "EMNIST": images("EMNIST", split="digits", validation=0.1, seed=2),
    "CIFAR10": images("CIFAR10", validation=0.2),
    "CIFAR100": images("CIFAR100"),
    "SVHN": images("SVHN", validation=0.5),
    "FakeImages": images("FakeImages", size=20, image_size=[3, 8, 8], num_classes=3, seed=4, validation=0.3),
    "FakeImages with masks": document(
        {"type": "FakeImages", "size": 8, "image_size": [3, 8, 8], "num_classes": 3, "masks": True}
        | {"transforms": [FLOATS]},
        [{"type": "Conv2d", "out_channels": "classes", "kernel_size": 1}],
    ),
    "ImageFolder": images("ImageFolder", root="folders", transforms=RESIZED),
    "ImageFolder in another order": images(
        "ImageFolder", root="folders", classes=["bear", "ant"], transforms=[*RESIZED[:1], RESIZED[1]], validation=0.3
    ),
    "ImageFolder with its validation": images("ImageFolder", root="folders", transforms=RESIZED, validation="val"),
    "ImageFolder with damaged files": images(
        "ImageFolder", root="damaged", transforms=RESIZED, validation=0.3, corrupt="skip"
    ),
    "ImageFolder with files left out": images(
        "ImageFolder", root="folders", transforms=RESIZED, corrupt="skip", skipped=["train/ant/1.png"]
    ),
    "TableFile of classes": document(
        TABLE | {"target": "kind", "standardize": True} | SPLIT, [{"type": "Linear", "out_features": "classes"}]
    ),
    "TableFile of numbers": numbers(**TABLE, target="length", columns=["wide er"], standardize=True),
    "TableFile with statistics": numbers(
        **TABLE, target="wide er", columns=["length"], standardize=True, statistics={"length": [3.0, 2.5]}
    ),
    "TableFile in files": document(
        TABLE | {"target": "kind", "standardize": True, "validation_file": "more.csv", "test_file": "most.csv"},
        [{"type": "Linear", "out_features": "classes"}],
    ),
    "TableFile with a test file": numbers(**TABLE, target="length", test_file="most.csv", validation=0.2),
    "ArrayFile npz": document({"type": "ArrayFile", "file": "rows.npz", **SPLIT}, FLAT[1:]),
    "ArrayFile safetensors": numbers(type="ArrayFile", file="rows.safetensors"),
    "TableFile in other letters": numbers(
        type="TableFile",
        file="other.csv",
        delimiter=";",
        target="length",
        categories={"colour": ["green", "red", "blue"]},
    ),
    "ArrayFile by other names": document(
        {"type": "ArrayFile", "file": "other.npz", "inputs": "x", "targets": "y", "classes": 3}, FLAT[1:]
    ),
    "ArrayFile given back": document(
        {"type": "ArrayFile", "file": "rows.npz", "reconstruct": True},
        [{"type": "Linear", "out_features": 5}],
        {"type": "MSELoss"},
    ),
    "TableFile given back": numbers(type="TableFile", file="table.csv", standardize=True, reconstruct=True)
    | {"model": {"layers": [{"type": "Linear", "out_features": 7}]}},
    "FakeImages given back and flipped": document(
        {"type": "FakeImages", "size": 9, "image_size": [3, 8, 8], "transforms": [FLOATS], "reconstruct": True}
        | {"augmentation": [{"type": "RandomHorizontalFlip"}], "validation": 0.3},
        [{"type": "Conv2d", "out_channels": 3, "kernel_size": 1}],
        {"type": "MSELoss"},
    ),
    "ArrayFile of images": images("ArrayFile", file="images.npz", test_file="images.safetensors", validation=0.1),
    "TextFile": words(tokens="character", validation=0.1, stride=3, vocabulary="".join(sorted({*TEXT, "!"}))),
    "TextFile of bytes": words(tokens="byte", test=0.2),
}


@pytest.fixture
def sources(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files of every source in the current folder."""
    for name in ("MNIST", "FashionMNIST", "KMNIST"):
        write_idx(Path("data"), name)
    write_idx(Path("data"), "EMNIST", "emnist-digits-{}-{}-idx{}-ubyte", "test")
    for name in ("CIFAR10", "CIFAR100"):
        write_cifar(Path("data"), name, monkeypatch)
    for root in ("folders", "damaged"):
        write_folders(Path(root))
    Path("damaged/train/bear/1.png").write_bytes(Path("damaged/train/bear/1.png").read_bytes()[:80])
    Path("damaged/test/ant/0.png").write_text("no image")
    for number, table in enumerate(("table.csv", "more.csv", "most.csv")):
        write_table(Path(table), 30 - 6 * number)
    Path("other.csv").write_text(Path("table.csv").read_text(encoding="utf-8").replace(",", ";"), encoding="utf-8")
    np.savez("other.npz", x=noise(12, 4) / 256, y=np.arange(12) % 3)
    write_arrays(Path("rows.npz"))
    write_arrays(Path("rows.safetensors"), labels="float64")
    for suffix in ("npz", "safetensors"):
        write_arrays(Path(f"images.{suffix}"), "uint8", "uint8")
    Path("text.txt").write_text(TEXT, encoding="utf-8")


def test_every_source_is_tried() -> None:
    assert {case["data"]["type"] for case in SOURCES.values()} == set(DATA.names)


def test_every_option_of_a_source_is_tried() -> None:
    options = {option for member in DATA.members() for option in member.model_fields}
    tried = {option for case in SOURCES.values() for option in case["data"]}
    assert options - tried == {"download", "memory", "workers"}


@pytest.mark.usefixtures("sources")
@pytest.mark.parametrize("name", [name for name in SOURCES if name != "SVHN"])
def test_a_source_is_read_as_zoo_reads_it(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert_trains_alike(SOURCES[name], capfd)


def test_svhn_is_read_as_zoo_reads_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Small:
        """What torchvision's class gives, without the scipy that it reads its files with."""

        def __init__(self, root: str, split: str, download: bool = False) -> None:
            rows = torch.arange(20 * 3 * 32 * 32).reshape(20, 3, 32, 32) % 251 + (split == "test")
            self.data, self.labels = rows.to(torch.uint8).numpy(), (torch.arange(20) % 7).numpy()

    monkeypatch.setattr("torchvision.datasets.SVHN", Small)
    Path("data").mkdir()
    for split in ("train", "test"):
        Path(f"data/{split}_32x32.mat").touch()
    assert_trains_alike(SOURCES["SVHN"], capfd)


def test_a_parquet_file_is_read_as_zoo_reads_it(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    cells = {"a": [0.5, 1.5, 2.0] * 8, "b": [True, False, True] * 8, "c": ["x", "y", "x"] * 8, "y": [1, 2, 3] * 8}
    parquet.write_table(pyarrow.table(cells), "table.parquet")
    assert_trains_alike(numbers(type="TableFile", file="table.parquet", target="y"), capfd)


@pytest.mark.parametrize("root", ['da"ta', "da'ta", 'x"; import os #', "a\\b", "a\nb"])
def test_a_path_cannot_act(here: Path, root: str, capfd: pytest.CaptureFixture[str]) -> None:
    write_idx(here / root)
    assert names_of(assert_trains_alike(images("MNIST", root=root), capfd))["ROOT"] == root
