"""What the tests of ejected files share: small data of every source, and a training beside zoo's own."""

from __future__ import annotations

import ast
import csv
import json
import pickle
import struct
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision import datasets

from conftest import Document
from zoo.check import check_file
from zoo.data import DATA
from zoo.data.downloaded import Downloaded
from zoo.destination import Destination
from zoo.eject import source
from zoo.progress import TrainingProgress
from zoo.trainer import train_run

TEXT = "the zoo has a bird, ä bear and 3 bees\r\n" * 20
FLOATS: Document = {"type": "ToDtype", "dtype": "float32", "scale": True}


def names_of(text: str) -> dict[str, Any]:
    """Return what an ejected file defines."""
    names: dict[str, Any] = {"__name__": "ejected"}
    exec(compile(text, "model.py", "exec"), names)
    return names


def imported(text: str) -> set[str]:
    """Return the packages that a file imports, at its top or below."""
    nodes = list(ast.walk(ast.parse(text)))
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in whole | parts}


def assert_trains_alike(document: Document, capfd: pytest.CaptureFixture[str]) -> str:
    """Hold that the ejected file trains to the bits of `zoo train`, and measures the same; its text comes back."""
    Path("spec.json").write_text(json.dumps(document), encoding="utf-8")
    checked = check_file("spec.json")
    run = train_run(checked, "cpu", Destination(Path("run"), True), TrainingProgress())
    text = source(check_file("spec.json"))
    assert "zoo" not in imported(text)
    capfd.readouterr()
    try:
        with torch.random.fork_rng(devices=[]):
            trained = names_of(text)["train"](torch.device("cpu"))
    finally:
        torch.use_deterministic_algorithms(False)  # an ejected file sets it for its own process
    own, found = load_file(run.weights_file), trained.state_dict()
    assert set(own) == set(found)
    assert [name for name in own if not torch.equal(own[name], found[name])] == []
    measured = [ast.literal_eval(line.partition(" {")[2].join("{ ")[:-1]) for line in _lines(capfd)]
    for row, epoch in zip(run.rows(), measured, strict=True):
        told = {f"{split}_{name}": value for split, values in epoch.items() for name, value in values.items()}
        assert told == {name: row[name] for name in told}
    return text


def _lines(capfd: pytest.CaptureFixture[str]) -> Iterator[str]:
    return (line for line in capfd.readouterr().out.splitlines() if line.startswith(("epoch ", "step ")))


def noise(*sizes: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return whole numbers of 0 to 255."""
    return np.random.default_rng(seed).integers(0, 256, sizes, dtype=np.uint8)


def write_idx(root: Path, name: str = "MNIST", files: str = "{}-{}-idx{}-ubyte", test: str = "t10k") -> None:
    """Write a data set in MNIST's format: 60 and 20 images of noise."""
    raw = root / name / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for split, rows in (("train", 60), (test, 20)):
        header = struct.pack(">4i", 2051, rows, 28, 28), struct.pack(">2i", 2049, rows)
        (raw / files.format(split, "images", 3)).write_bytes(header[0] + noise(rows, 28, 28).tobytes())
        (raw / files.format(split, "labels", 1)).write_bytes(header[1] + (noise(rows, seed=rows) % 10).tobytes())


def write_folders(root: Path) -> None:
    """Write images of noise in two sizes, in folders of two classes; one has 16 bits, one a palette with a hole."""
    for split, kind, number in product(("train", "val", "test"), ("bear", "ant"), range(3)):
        folder = root / split / kind
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(9 + number, 12, 3, seed=number + len(kind))).save(folder / f"{number}.png")
    Image.fromarray(noise(9, 12).astype(np.uint16) * 200).save(root / "train" / "ant" / "deep.png")
    palette = Image.fromarray(noise(9, 12, 3)).quantize(8)
    palette.save(root / "train" / "bear" / "hole.png", transparency=1)


def write_cifar(root: Path, name: str, patch: pytest.MonkeyPatch) -> None:
    """Write a data set in CIFAR's format, and let torchvision take it for the published one."""
    theirs = getattr(datasets, name)
    folder = root / theirs.base_folder
    folder.mkdir(parents=True)
    key, classes = ("labels", 10) if name == "CIFAR10" else ("fine_labels", 100)
    for number, (file, _) in enumerate(theirs.train_list + theirs.test_list):
        content = {"data": noise(10, 3072, seed=number), key: [(row * 7 + number) % classes for row in range(10)]}
        (folder / file).write_bytes(pickle.dumps(content))
    source = DATA.validate({"type": name})
    assert isinstance(source, Downloaded)
    names = list(source.class_names())
    (folder / theirs.meta["filename"]).write_bytes(pickle.dumps({theirs.meta["key"]: names}))
    patch.setattr(theirs, "_check_integrity", lambda self: True)
    patch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5: True)


def write_table(path: Path, rows: int = 30) -> None:
    """Write a table with two columns of numbers, one of words, and words and numbers to be learned."""
    colours, kinds = ("red", "blue", "green"), ("cat", "dog")
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["length", "colour", "wide er", "kind"])
        lines.writerows([f"{i}.5", colours[i % 3], 2 * i - 7, kinds[(i * i) % 3 % 2]] for i in range(rows))


def write_arrays(path: Path, dtype: str = "float64", labels: str = "int64", rows: int = 30) -> None:
    """Write arrays of inputs and targets."""
    inputs = noise(rows, 3, 8, 8, seed=rows) if dtype == "uint8" else noise(rows, 5, seed=rows) / 256
    numbers = noise(rows, seed=rows) % 3
    arrays = {"inputs": inputs.astype(dtype), "targets": numbers.astype(labels)}
    if path.suffix == ".npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy's types know no names of arrays
    else:
        save_file({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
