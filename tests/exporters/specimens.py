"""What the tests of the exporters share: a small trained run, its bundle, and the same bundle made by other people.

A plugin that each test file names, because a second conftest.py would hide the first from `from conftest import …`.
"""

from __future__ import annotations

import json
import platform
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.jit import _recursive, _state

import forking
import tables
from conftest import REPOSITORY, Document, linear
from exporters import bundle, proof, verification
from exporters.arrays import Array
from exporters.certificate import Certificate
from exporters.destination import Destination as Place
from exporters.runtimes import Answers
from exporters.subject import Subject, find_subject
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import ProofFailed
from zoo.run import Run
from zoo.trainer import train_run
from zoo.training.watching import Moment, Row

MakeSubject = Callable[..., Subject]
"""fresh(layers, **changes of the spec) -> a subject with randomised weights."""

Draw = Callable[..., Subject]
"""draw(folder, layers, **changes of the spec) -> a subject with randomised weights."""

CLASSES: Document = {"loss": {"type": "CrossEntropyLoss"}, "metrics": [{"type": "Accuracy"}]}

PERCEPTRON: list[Document] = [
    {"type": "Linear", "out_features": 16},
    {"type": "GELU"},
    {"type": "Dropout", "p": 0.1},
    {"type": "LayerNorm"},
    {"type": "Linear", "out_features": 16},
    {"type": "BatchNorm1d"},
    {"type": "ReLU"},
    {"type": "Linear", "out_features": 1},
]

IMAGES: Document = {
    "name": "digits",
    "data": {
        "type": "MNIST",
        "transforms": [
            {"type": "ToDtype", "dtype": "float32", "scale": True},
            {"type": "Normalize", "mean": [0.5], "std": [0.25]},
        ],
    },
    "model": {"layers": [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]},
    "loss": {"type": "CrossEntropyLoss"},
    "optimizer": {"type": "SGD", "lr": 0.01},
    "train": {"epochs": 1, "batch_size": 10},
}


@dataclass(frozen=True)
class Published:
    """A bundle with what it was made from and what publishing gave back."""

    folder: Path
    subject: Subject
    certificate: Certificate


@dataclass(frozen=True)
class Elsewhere:
    """A bundle made in another process, with the names that only the machine of that process has."""

    folder: Path
    names: tuple[str, ...]


class _Nobody:
    def on_step(self, moment: Moment) -> None:
        """Look away."""

    def on_row(self, row: Row) -> None:
        """Look away."""


@pytest.fixture(scope="session", autouse=True)
def _one_reading_of_torchs_tables() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        tables.keep(patch)
        yield


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A perceptron of every kind of layer that a fault can hide in, trained until its weights matter."""
    folder = tmp_path_factory.mktemp("trained")
    document = linear(
        name="perceptron",
        summary="A small perceptron.",
        data__weights=[1.3, -2.9, 3.7, 0.5],
        data__samples=100,
        data__noise=0.1,
        model__layers=PERCEPTRON,
        optimizer={"type": "Adam", "lr": 0.01},
        train={"epochs": 20, "batch_size": 10},
    )
    spec = folder / "perceptron.json"
    spec.write_text(json.dumps(document), encoding="utf-8")
    return train_run(check_file(str(spec)), "cpu", Destination(folder / "run"), _Nobody())


@pytest.fixture(scope="session")
def subject(trained_run: Run) -> Subject:
    """The trained perceptron; tests change copies of it only."""
    return find_subject(str(trained_run.path), (), untrained=False)


@pytest.fixture(scope="session")
def published(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The trained perceptron in every format, proven; tests read it only."""
    folder = tmp_path_factory.mktemp("published") / "export"
    made = bundle.publish(subject, ["onnx", "torchscript", "pt2"], Place(folder))
    return Published(folder, subject, made)


@pytest.fixture(scope="session")
def elsewhere(trained_run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Elsewhere, Elsewhere]:
    """The trained perceptron, exported by two people in folders of their own, with two hash seeds.

    One exports in a process forked from this one, which has a seed that nobody knows and has exported much before.
    """
    first, second = (
        _export_as(user, run, trained_run, tmp_path_factory.mktemp(user))
        for user, run in (("rosalind-f", _forked), ("ada-lovelace", _fresh))
    )
    return first, second


def _export_as(user: str, export: Callable[..., None], run: Run, home: Path) -> Elsewhere:
    here = home / "some-project"
    here.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HOME": str(home), "USER": user, "LOGNAME": user}.items():
            patch.setenv(name, value)
        patch.chdir(here)
        export(patch, "export", str(run.path), "--onnx", "--torchscript", "--pt2", "--out", "export")
    names = (user, "some-project", str(run.path), str(REPOSITORY), sys.prefix, "site-packages", tempfile.gettempdir())
    host = platform.node()
    # A short one, such as "vm", stands in the bytes of weights by chance.
    return Elsewhere(here / "export", (*names, host) if len(host) > 5 else names)


def _forked(patch: pytest.MonkeyPatch, *arguments: str) -> None:
    # A process that has traced a class before gives it another name in a TorchScript file.
    patch.setattr(_state, "_python_cu", torch._C.CompilationUnit())
    patch.setattr(_recursive, "concrete_type_store", _recursive.ConcreteTypeStore())
    ask_here(patch)
    done = forking.start(*arguments).ended()
    assert done.status == 0, done.err


def _fresh(patch: pytest.MonkeyPatch, *arguments: str) -> None:
    patch.setenv("PYTHONHASHSEED", "271828")
    code = (
        f"import sys; sys.path[:0] = {sys.path}; import cli, pytest, specimens, tables; patch = pytest.MonkeyPatch(); "
        "tables.keep(patch); specimens.ask_here(patch); cli.main()"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Make subjects of any layers on any data, in a folder that is told."""
    return drawn


@pytest.fixture
def fresh(tmp_path: Path) -> MakeSubject:
    """Make subjects of a few layers on rows of four features; all their numbers are drawn, none is left at 0 or 1."""
    return partial(drawn, tmp_path, data__weights=[1.3, -2.9, 3.7, 0.5], data__samples=80)


@pytest.fixture
def images(tmp_path: Path) -> MakeSubject:
    """As `fresh`, on noise of 2 × 8 × 8 in three classes."""
    convert = {"type": "ToDtype", "dtype": "float32", "scale": True}
    data = {"type": "FakeImages", "size": 80, "image_size": [2, 8, 8], "num_classes": 3, "transforms": [convert]}
    return partial(drawn, tmp_path, data=data, **CLASSES)


@pytest.fixture
def tokens(tmp_path: Path) -> MakeSubject:
    """As `fresh`, on windows of six letters of 27."""
    return of_letters(tmp_path)


def of_letters(folder: Path) -> MakeSubject:
    """Make subjects on windows of six letters of 27."""
    text = folder / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog " * 200, encoding="utf-8")
    data = {"type": "TextFile", "file": str(text), "tokens": "character", "context": 6}
    return partial(drawn, folder, data=data, **CLASSES)


def drawn(folder: Path, layers: Sequence[Document], **changes: object) -> Subject:
    """A subject of these layers on this data, all of whose numbers are drawn."""
    spec = folder / "spec.json"
    spec.write_text(json.dumps(linear(model__layers=list(layers), **changes)), encoding="utf-8")
    subject = find_subject(str(spec), (), untrained=True)
    randomise(subject.module)
    return subject


def randomise(module: nn.Module) -> None:
    """Draw every number of the state: what a fresh BatchNorm holds would hide its faults."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0, generator=generator)
        elif tensor.is_floating_point():
            tensor.normal_(0.1, 0.5, generator=generator)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of MNIST's four files, with 20 noisy images in each split."""
    root = tmp_path_factory.mktemp("digits")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    for prefix in ("train", "t10k"):
        pixels = torch.randint(0, 256, (20, 28, 28), generator=generator, dtype=torch.uint8)
        images = struct.pack(">4i", 2051, 20, 28, 28) + pixels.numpy().tobytes()
        labels = struct.pack(">2i", 2049, 20) + bytes(index % 10 for index in range(20))
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)
    return root


@pytest.fixture
def image_spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The spec of a linear classifier of digits; where the images lie is left to the command line."""
    spec = tmp_path_factory.mktemp("specs") / "digits.json"
    spec.write_text(json.dumps(IMAGES), encoding="utf-8")
    return spec


@pytest.fixture
def image_subject(image_spec: Path, digits: Path) -> Subject:
    """A linear classifier of digits with fresh weights."""
    return find_subject(str(image_spec), (f"data.root={digits}",), untrained=True)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run exported files without a process of their own, which takes two seconds to import torch.

    The same code of the same runtimes runs them; that it works in the clean room, other tests prove.
    """
    ask_here(monkeypatch)


def ask_here(patch: pytest.MonkeyPatch) -> None:
    """Let the proofs run exported files in this process."""

    def ask(
        runtime: Path, model: Path, batches: Sequence[Mapping[str, Array]], options: Mapping[str, str | int]
    ) -> Answers:
        here = import_module(f"exporters.runtimes.{runtime.stem}")
        copies = [{name: array.copy() for name, array in batch.items()} for batch in batches]
        try:
            loaded = here.load(str(model), dict(options))
            return Answers(tuple(tuple(here.run(loaded, batch)) for batch in copies), here.version())
        except Exception as error:  # a runtime may raise anything, and its process would end
            raise ProofFailed(f"{runtime.stem} cannot run {model.name}: {error}", "nothing was published") from error

    patch.setattr(proof, "ask", ask)
    patch.setattr(proof, "asking", lambda *asked: nullcontext(partial(ask, *asked)))
    patch.setattr(verification, "ask", ask)
