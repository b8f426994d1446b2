"""Ejected files: plain PyTorch, without zoo, that trains to the same bits."""

from __future__ import annotations

import ast
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from conftest import REPOSITORY, Document, Outcome, linear
from ejecting import TEXT, imported, names_of, write_idx
from zoo.check import check_file
from zoo.eject import source
from zoo.errors import SpecError

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
    "rows kept out": linear(data__validation=0.25, data__seed=3, train__drop_last=True),
}


WHERE = {"MNIST": {"root": "data"}, "TextFile": {"file": "text.txt"}}
WITHOUT_ZOO = """
import os, runpy, sys
sys.modules["zoo"] = None
import torch
torch.set_num_threads(1)
torch.cuda.is_available = lambda: False
folders, sys.argv[1:] = sys.argv[1:], []
for folder in folders:
    os.chdir(folder)
    runpy.run_path("model.py", run_name="__main__")
"""


def test_the_ejected_files_train_to_the_same_bits_without_zoo(here: Path, write: Write, zoo: Zoo) -> None:
    folders = [here / str(number) for number in range(len(TRAINED))]
    for folder, document in zip(folders, TRAINED.values(), strict=True):
        write_idx(folder / "data")
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


def test_it_takes_zoos_weights_and_gives_the_same_outputs(here: Path, write: Write, zoo: Zoo) -> None:
    spec = write(linear(model__layers=RESIDUAL, train__epochs=2))
    zoo("train", spec)
    from zoo.finding import find_run

    own = find_run("line").load_model()
    made: nn.Module = names_of(source(check_file(spec)))["Model"]()
    made.load_state_dict(own.state_dict())
    inputs = torch.randn(7, 2)
    assert torch.equal(made.eval()(inputs), own(inputs))


def test_the_file_says_what_it_does_and_refuses_what_it_does_not_know(
    here: Path, write: Write, zoo: Zoo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    zoo("eject", write(linear()), "-o", "model.py")

    def ran(*arguments: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["model.py", *arguments])
        with pytest.raises(SystemExit) as left:
            runpy.run_path("model.py", run_name="__main__")
        written, status = capfd.readouterr(), left.value.code or 0
        assert isinstance(status, int)
        return Outcome(status, written.out, written.err)

    help_, wrong = ran("--help"), ran("--epochs", "3")
    assert (help_.status, help_.err) == (0, "")
    assert "it trains the model and writes line.pt. It takes no arguments" in " ".join(help_.out.split())
    assert (wrong.status, wrong.out) == (2, "")
    assert wrong.err.startswith("model.py: error: it takes no arguments, but got '--epochs'\n   remedy: --help says")
    assert not (here / "line.pt").exists()


EVIL = (
    'a "quote", """three""", a \\ and\nimport os; os.mkdir("owned")\r\u2028# coding: utf-7\x00 {braces} \N{SNAKE}\x1b'
)


def test_prose_cannot_act(here: Path, write: Write) -> None:
    text = source(check_file(write(linear() | {"summary": EVIL})))
    tree = ast.parse(text)
    plain = ast.parse(source(check_file(write(linear()))))
    assert ast.dump(ast.Module(tree.body[1:], [])) == ast.dump(ast.Module(plain.body[1:], []))
    assert " ".join(EVIL.split())[:40] in " ".join((ast.get_docstring(tree) or "").split())
    names_of(text)
    assert not (here / "owned").exists()


def test_the_file_is_clean(here: Path, write: Write) -> None:
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("needs ruff")
    write_idx(here / "data")
    logged = linear(train__evaluate_every=3, train__log=["csv", "tensorboard"], train__accumulation=2)
    for document in (MLP, linear(model__layers=RESIDUAL), logged):
        (here / "model.py").write_text(source(check_file(write(document))))
        command = [ruff, "check", "--isolated", "--line-length", "120", "--select", "E,F,W,B", "model.py"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=here)
        assert done.returncode == 0, done.stdout


def test_a_file_that_is_there_is_kept(here: Path, write: Write, zoo: Zoo) -> None:
    (here / "model.py").write_text("mine")
    done = zoo("eject", write(linear()), "-o", "model.py")
    assert done.status == 2
    assert (here / "model.py").read_text() == "mine"
    assert zoo("eject", "spec.json", "-o", "model.py", "--overwrite").status == 0


SPECS = sorted(path.stem for path in (REPOSITORY / "specs").glob("*.json") if path.name != "zoo.schema.json")


@pytest.mark.parametrize("name", SPECS)
def test_every_spec_of_the_zoo_is_ejected(name: str) -> None:
    """The proof inside eject holds weights, outputs, optimizer and measurements against zoo's."""
    try:
        checked = check_file(name)
    except SpecError as error:
        pytest.skip(f"needs its data: {error.problems[0].message}")
    text = source(checked)
    assert "zoo" not in imported(text)
    assert max(map(len, text.splitlines())) <= 200
