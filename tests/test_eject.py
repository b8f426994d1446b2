"""Ejected files: plain PyTorch, without zoo, that trains to the same bits."""

from __future__ import annotations

import ast
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torchvision.ops import SqueezeExcitation, StochasticDepth
from torchvision.transforms import v2

from conftest import Document, Outcome, linear
from zoo.check import check_file
from zoo.constructor import constructor
from zoo.eject import TRAIN as FOLLOWED
from zoo.eject import source
from zoo.errors import ExportError
from zoo.train import Train

Write = Callable[..., str]
Zoo = Callable[..., Outcome]

WIDE: Document = {"type": "Linear", "out_features": 8}
LAST: Document = {"type": "Linear", "out_features": 1}
RESIDUAL: list[Document] = [
    {**WIDE, "id": "stem"},
    {"type": "BatchNorm1d"},
    {
        "type": "Repeat",
        "times": 2,
        "layers": [{"type": "Residual", "layers": [{"type": "LayerNorm"}, WIDE, {"type": "GELU"}]}],
    },
    {"type": "Residual", "layers": [WIDE, {"type": "Dropout", "p": 0.25}], "shortcut": [{**WIDE, "bias": False}]},
    {"type": "Parallel", "branches": [[WIDE], [{"type": "Tanh"}], []]},
    WIDE,
    {"type": "Add", "from": ["stem"]},
    LAST,
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def fake_mnist(root: Path) -> None:
    """Write a data set in MNIST's format: 60 and 20 images of noise."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    for split, rows in (("train", 60), ("t10k", 20)):
        images = torch.randint(0, 256, (rows, 28, 28), generator=generator, dtype=torch.uint8)
        labels = torch.randint(0, 10, (rows,), generator=generator, dtype=torch.uint8)
        header = struct.pack(">4i", 2051, rows, 28, 28), struct.pack(">2i", 2049, rows)
        (raw / f"{split}-images-idx3-ubyte").write_bytes(header[0] + images.numpy().tobytes())
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(header[1] + labels.numpy().tobytes())


def fake_folders(root: Path) -> None:
    """Write images of noise in two sizes, in folders of two classes."""
    noise = np.random.default_rng(0)
    for split, kind, number in product(("train", "val"), ("bear", "ant"), range(3)):
        folder = root / split / kind
        folder.mkdir(parents=True, exist_ok=True)
        pixels = noise.integers(0, 256, (9 + number, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


MLP: Document = {
    "name": "digits",
    "data": {
        "type": "MNIST",
        "transforms": [
            {"type": "ToDtype", "dtype": "float32", "scale": True},
            {"type": "Normalize", "mean": [0.5], "std": [0.25]},
        ],
    },
    "model": {
        "layers": [
            {"type": "Flatten"},
            {"type": "Linear", "out_features": 16, "id": "hidden"},
            {"type": "ReLU"},
            {"type": "Linear", "out_features": "classes"},
        ]
    },
    "loss": {"type": "CrossEntropyLoss", "label_smoothing": 0.1},
    "optimizer": {"type": "Adam", "lr": 0.01},
    "scheduler": {"type": "StepLR", "step_size": 1, "gamma": 0.5},
    "train": {"epochs": 2, "batch_size": 16, "seed": 5},
}
TRAINED: dict[str, Document] = {
    "a line": linear(train__epochs=1, train__shuffle=False, train__batch_size=1),
    "noise and momentum": linear(
        data__noise=0.5, optimizer={"type": "SGD", "lr": 0.01, "momentum": 0.9, "nesterov": True}
    ),
    "a residual model": linear(model__layers=RESIDUAL, optimizer={"type": "AdamW"}, train__epochs=3),
    "digits": MLP,
    "a dropout above what is frozen": linear(
        model__layers=[{**WIDE, "id": "stem"}, {"type": "Dropout", "id": "still"}, WIDE, {"type": "Dropout"}, LAST]
    )
    | {"freeze": ["stem.*"]},
    "frozen": linear(model__layers=[{**WIDE, "id": "stem"}, LAST]) | {"freeze": ["stem.*"]},
    "text": {
        "name": "text",
        "data": {"type": "TextFile", "file": "text.txt", "tokens": "character", "context": 8, "validation": 0.1},
        "model": {
            "layers": [
                {"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 8, "id": "tokens"},
                {"type": "PositionalEmbedding"},
                {
                    "type": "Residual",
                    "layers": [{"type": "LayerNorm"}, {"type": "CausalSelfAttention", "num_heads": 2, "dropout": 0.1}],
                },
                {"type": "Linear", "out_features": "vocabulary", "bias": False, "tie": "tokens"},
            ]
        },
        "loss": {"type": "CrossEntropyLoss"},
        "optimizer": {"type": "AdamW"},
        "train": {"epochs": 2, "batch_size": 8},
    },
    "images": {
        "name": "images",
        "data": {
            "type": "FakeImages",
            "size": 20,
            "image_size": [3, 8, 8],
            "num_classes": 3,
            "seed": 4,
            "transforms": [{"type": "ToDtype", "dtype": "float32", "scale": True}],
        },
        "model": {
            "layers": [
                {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"},
                {"type": "MaxPool2d", "kernel_size": 2},
                {"type": "Flatten"},
                {"type": "Linear", "out_features": "classes"},
            ]
        },
        "loss": {"type": "CrossEntropyLoss"},
        "optimizer": {"type": "RMSprop", "lr": 0.01},
        "scheduler": {"type": "CosineAnnealingLR", "T_max": 2},
        "train": {"epochs": 2, "batch_size": 6},
    },
    "folders": {
        "name": "folders",
        "data": {
            "type": "ImageFolder",
            "root": "folders",
            "transforms": [
                {"type": "Resize", "size": [8, 8]},
                {"type": "ToDtype", "dtype": "float32", "scale": True},
            ],
        },
        "model": {"layers": [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]},
        "loss": {"type": "CrossEntropyLoss"},
        "optimizer": {"type": "SGD", "lr": 0.1},
        "train": {"epochs": 1, "batch_size": 4},
    },
    "rows kept out": linear(data__validation=0.25, data__seed=3, train__drop_last=True),
}


TEXT = "the zoo has a bird, ä bear and 3 bees\r\n" * 20
WHERE = {"ImageFolder": {"root": "folders"}, "MNIST": {"root": "data"}, "TextFile": {"file": "text.txt"}}
WITHOUT_ZOO = """
import os, runpy, sys
sys.modules["zoo"] = None
import torch
torch.set_num_threads(1)
torch.cuda.is_available = lambda: False
for folder in sys.argv[1:]:
    os.chdir(folder)
    runpy.run_path("model.py", run_name="__main__")
"""


def test_the_ejected_files_train_to_the_same_bits_without_zoo(here: Path, write: Write, zoo: Zoo) -> None:
    folders = [here / str(number) for number in range(len(TRAINED))]
    for folder, document in zip(folders, TRAINED.values(), strict=True):
        fake_mnist(folder / "data")
        fake_folders(folder / "folders")
        (folder / "text.txt").write_text(TEXT, encoding="utf-8")
        where = {option: str(folder / name) for option, name in WHERE.get(document["data"]["type"], {}).items()}
        spec = write(document | {"data": document["data"] | where}, f"{folder.name}/spec.json")
        assert zoo("train", spec, "--device", "cpu", "--out", folder / "run").status == 0
        done = zoo("eject", spec, "-o", folder / "model.py")
        assert (done.status, done.out, done.err) == (0, "", f"written: {folder / 'model.py'}\n")
    command = [sys.executable, "-c", WITHOUT_ZOO, *map(str, folders)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=here)
    assert ran.returncode == 0, ran.stderr
    for folder, (name, document) in zip(folders, TRAINED.items(), strict=True):
        own = load_file(folder / "run" / "model.safetensors")
        ejected = torch.load(folder / f"{document['name']}.pt", weights_only=True)
        assert set(ejected) == set(own), name
        assert all(torch.equal(ejected[key], own[key]) for key in own), name


def namespace(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "ejected"}
    exec(compile(text, "model.py", "exec"), names)
    return names


def test_it_takes_zoos_weights_and_gives_the_same_outputs(here: Path, write: Write, zoo: Zoo) -> None:
    spec = write(linear(model__layers=RESIDUAL, train__epochs=2))
    zoo("train", spec)
    from zoo.run import find_run

    own = find_run("line").load_model()
    made: nn.Module = namespace(source(check_file(spec)))["Model"]()
    made.load_state_dict(own.state_dict())
    inputs = torch.randn(7, 2)
    assert torch.equal(made.eval()(inputs), own(inputs))


EVIL = (
    'a "quote", """three""", a \\ and\nimport os; os.mkdir("owned")\r\u2028# coding: utf-7\x00 {braces} \N{SNAKE}\x1b'
)


def test_prose_cannot_act(here: Path, write: Write) -> None:
    text = source(check_file(write(linear() | {"summary": EVIL})))
    tree = ast.parse(text)
    plain = ast.parse(source(check_file(write(linear()))))
    assert ast.dump(ast.Module(tree.body[1:], [])) == ast.dump(ast.Module(plain.body[1:], []))
    assert " ".join(EVIL.split())[:40] in " ".join((ast.get_docstring(tree) or "").split())
    namespace(text)
    assert not (here / "owned").exists()


@pytest.mark.parametrize("root", ['da"ta', "da'ta", 'x"; import os #', "a\\b", "a\nb"])
def test_a_path_cannot_act(here: Path, write: Write, root: str) -> None:
    fake_mnist(here / root)
    document = json.loads(json.dumps(MLP))
    document["data"]["root"] = root
    text = source(check_file(write(document)))
    assert namespace(text)["ROOT"] == root


def test_the_file_is_clean(here: Path, write: Write) -> None:
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("needs ruff")
    fake_mnist(here / "data")
    for document in (MLP, linear(model__layers=RESIDUAL)):
        (here / "model.py").write_text(source(check_file(write(document))))
        command = [ruff, "check", "--isolated", "--line-length", "120", "--select", "E,F,W,B", "model.py"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=here)
        assert done.returncode == 0, done.stdout


MODULES: tuple[nn.Module, ...] = (
    nn.Linear(3, 1, bias=False),
    nn.Conv2d(4, 8, (3, 5), stride=2, padding="valid", groups=2, padding_mode="zeros"),
    nn.ConvTranspose2d(3, 4, 2, 2),
    nn.BatchNorm1d(3, momentum=None),
    nn.LayerNorm([4, 5], bias=False),
    nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True, dropout=0.5),
    nn.RNN(3, 4, nonlinearity="relu", batch_first=True),
    nn.EmbeddingBag(10, 3, mode="sum"),
    nn.MultiheadAttention(8, 2, bias=False, batch_first=True),
    nn.Threshold(0.1, 20.0),
    nn.Hardtanh(float("-inf"), 2.0),
    nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0])),
    nn.Sequential(nn.Linear(2, 2), nn.ReLU()),
    SqueezeExcitation(8, 2, activation=nn.SiLU),
    StochasticDepth(0.1, "row"),
    v2.Resize([8, 8], interpolation=v2.InterpolationMode.NEAREST),
)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)
def test_a_constructor_makes_the_module_again(module: nn.Module) -> None:
    made = eval(constructor(module), {"nn": nn, "torch": torch, "torchvision": torchvision, "v2": v2})
    assert repr(made) == repr(module)
    sizes = [[(name, tensor.shape) for name, tensor in part.state_dict().items()] for part in (made, module)]
    assert sizes[0] == sizes[1]


def test_a_module_that_no_call_makes_is_refused() -> None:
    changed = nn.Linear(3, 1)
    changed.register_parameter("extra", nn.Parameter(torch.zeros(1)))
    with pytest.raises(ExportError, match="0: Linear cannot be written as a call of torch"):
        constructor(changed, name="0")


REFUSED: dict[str, tuple[Document, str]] = {
    "data without a writer": (
        MLP | {"data": {"type": "CIFAR10", "transforms": MLP["data"]["transforms"][:1]}},
        "error: the data CIFAR10 cannot be ejected yet\n   remedy: these can: ",
    ),
    "groups": (
        linear(optimizer={"type": "SGD", "groups": [{"match": "0.bias", "lr": 0.1}]}),
        "error: optimizer.groups cannot be ejected yet",
    ),
    "weights by the counts of the classes": (
        TRAINED["images"] | {"loss": {"type": "CrossEntropyLoss", "weight": "balanced"}},
        "error: loss.weight cannot be ejected yet",
    ),
    "initializers": (
        linear() | {"init": [{"type": "zeros_", "match": "0.bias"}]},
        "error: init cannot be ejected yet",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_is_refused_and_nothing_is_written(
    name: str, here: Path, write: Write, zoo: Zoo
) -> None:
    document, expected = REFUSED[name]
    done = zoo("eject", write(document), "-o", "model.py")
    assert done.status == 2
    assert done.err.startswith(expected)
    assert not (here / "model.py").exists()


BEYOND_THE_PLAIN_LOOP: dict[str, object] = {
    "accumulation": 2,
    "clip_grad_norm": 1.0,
    "clip_grad_value": 1.0,
    "precision": "bf16",
    "ema": 0.9,
    "early_stopping": {},
    "sampler": "balanced",
    "deterministic": True,
    "compile": True,
}


def test_every_option_of_the_training_is_followed_or_refused() -> None:
    assert FOLLOWED | set(BEYOND_THE_PLAIN_LOOP) == set(Train.model_fields)


@pytest.mark.parametrize("option", BEYOND_THE_PLAIN_LOOP)
def test_a_training_beyond_the_plain_loop_is_refused(option: str, write: Write, zoo: Zoo) -> None:
    document = json.loads(json.dumps(TRAINED["images"]))
    document["data"]["validation"] = 0.2
    document["train"][option] = BEYOND_THE_PLAIN_LOOP[option]
    done = zoo("eject", write(document), "-o", "model.py")
    assert (done.status, done.err.splitlines()) == (
        2,
        [f"error: train.{option} cannot be ejected yet", f"   remedy: eject a spec without train.{option}"],
    )


def test_a_file_that_is_there_is_kept(here: Path, write: Write, zoo: Zoo) -> None:
    (here / "model.py").write_text("mine")
    done = zoo("eject", write(linear()), "-o", "model.py")
    assert done.status == 2
    assert (here / "model.py").read_text() == "mine"
    assert zoo("eject", "spec.json", "-o", "model.py", "--overwrite").status == 0
