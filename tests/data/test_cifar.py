"""CIFAR10 and CIFAR100, of small files in the published form.

torchvision compares MD5 sums of the published files, which are not here: the tests put those of the small files in
their place. Reading is torchvision's own.
"""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets

from sources import declared, refusal
from zoo.data.cifar import CIFAR10, CIFAR100, CifarImages
from zoo.shapes import Shape

SOURCES: list[type[CifarImages]] = [CIFAR10, CIFAR100]


def pixels(rows: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(rows).integers(0, 256, (rows, 3072), dtype=np.uint8)


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, here: Path, monkeypatch: pytest.MonkeyPatch) -> type[CifarImages]:
    """A data set of four training rows a file and three test rows in the current folder's data."""
    made: type[CifarImages] = request.param
    theirs = getattr(datasets, made.__name__)
    folder = Path("data") / made.folder_name
    folder.mkdir(parents=True)
    names = declared(made.__name__).class_names()
    labels = "labels" if made is CIFAR10 else "fine_labels"

    def write(name: str, content: dict[str, Any]) -> str:
        written = pickle.dumps(content)
        (folder / name).write_bytes(written)
        return hashlib.md5(written).hexdigest()

    for part, rows in (("train_list", 4), ("test_list", 3)):
        files = [name for name, _ in getattr(theirs, part)]
        content = {"data": pixels(rows), labels: list(range(rows))}
        monkeypatch.setattr(theirs, part, [[name, write(name, content)] for name in files])
    meta = dict(theirs.meta)
    meta["md5"] = write(meta["filename"], {meta["key"]: list(names)})
    monkeypatch.setattr(theirs, "meta", meta)
    return made


def test_the_example_is_colour_images_of_32_by_32_pixels() -> None:
    ten, hundred = declared("CIFAR10").example(), declared("CIFAR100").example()
    assert ten.input == hundred.input == Shape("N", 3, 32, 32, dtype="uint8")
    assert (len(ten.classes), len(hundred.classes)) == (10, 100)
    assert ten.training_rows == hundred.training_rows == 50_000


def test_the_folder_is_torchvisions() -> None:
    assert [made.folder_name for made in SOURCES] == [datasets.CIFAR10.base_folder, datasets.CIFAR100.base_folder]


def test_the_class_names_are_sorted_and_different() -> None:
    for name in ("CIFAR10", "CIFAR100"):
        names = declared(name).class_names()
        assert sorted(set(names)) == list(names)


def test_the_images_are_those_of_the_file(source: type[CifarImages]) -> None:
    rows = declared(source.__name__).load("test")
    assert torch.equal(rows.inputs, torch.from_numpy(pixels(3)).reshape(3, 3, 32, 32))
    assert rows.targets.tolist() == [0, 1, 2]


def test_the_validation_rows_come_from_the_training_files(source: type[CifarImages]) -> None:
    made = declared(source.__name__, validation=0.25)
    whole = len(declared(source.__name__).load("train"))
    assert len(made.load("train")) + len(made.load("validation")) == whole


def test_a_changed_file_is_refused(source: type[CifarImages]) -> None:
    file = next(Path("data").rglob("test*"))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    message, remedy = refusal(declared(source.__name__).load, "test")
    assert message.startswith(f"cannot read data/{source.folder_name}: Dataset not found or corrupted")
    assert remedy == "remove the folder and fetch it again (data.download: true)"


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_an_absent_folder_is_refused(here: Path, name: str) -> None:
    folder = getattr(datasets, name).base_folder
    files = [name for name, _ in (*getattr(datasets, name).train_list, *getattr(datasets, name).test_list)]
    meta = getattr(datasets, name).meta["filename"]
    message = f"data.root 'data': data/{folder} has no {', '.join([*files, meta])}"
    remedy = (
        f"set data.root to the folder that holds {folder}, or data.download to true; relative paths begin in {here}"
    )
    assert refusal(declared(name).load, "train") == (message, remedy)
    assert [(doubt.message, doubt.remedy) for doubt in declared(name).doubts()] == [(message, remedy)]
    assert declared(name, download=True).doubts() == ()
