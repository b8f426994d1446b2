"""SVHN: what is known without its files, and the ways in which they are absent. Reading them needs scipy."""

import sys
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from sources import declared, refusal
from zoo.shapes import Shape


def test_the_example_is_ten_classes_of_colour_images() -> None:
    example = declared("SVHN", validation=0.1).example()
    assert (example.input, example.classes) == (Shape("N", 3, 32, 32, dtype="uint8"), tuple("0123456789"))
    assert example.training_rows == 73_257 - 7_326


def test_an_absent_file_is_refused(here: Path) -> None:
    message, remedy = refusal(declared("SVHN").load, "test")
    assert message == "data.root 'data': data has no train_32x32.mat, test_32x32.mat"
    assert remedy.startswith("set data.root to the folder that holds train_32x32.mat, or data.download to true; ")


def test_another_file_than_the_published_one_is_refused(here: Path) -> None:
    Path("data").mkdir()
    Path("data/train_32x32.mat").write_bytes(b"MATLAB")
    message, remedy = refusal(declared("SVHN").load, "train")
    assert message.startswith("cannot read data/train_32x32.mat: Dataset not found or corrupted")
    assert remedy == "remove the file and fetch it again (data.download: true)"


def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision take the small file for the published one: its MD5 sum cannot be met here."""
    Path("data").mkdir()
    Path("data/train_32x32.mat").touch()
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)


def test_without_scipy_the_remedy_is_to_install_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    assert refusal(declared("SVHN").load, "train") == (
        "reading data/train_32x32.mat needs scipy, which is not here",
        "pip install scipy",
    )


def test_a_ten_is_the_digit_zero(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scipy = pytest.importorskip("scipy.io")
    published(monkeypatch)
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
    scipy.savemat("data/train_32x32.mat", {"X": images, "y": np.array([[1], [10], [9], [2]], np.uint8)})
    rows = declared("SVHN").load("train")
    assert rows.targets.tolist() == [1, 0, 9, 2]
    assert rows.inputs.numpy().tolist() == images.transpose(3, 2, 0, 1).tolist()
