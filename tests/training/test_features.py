"""Features: those of frozen layers are computed once, and the training has the bits of one that computes them anew."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from conftest import Document
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import Interrupted
from zoo.progress import TrainingProgress
from zoo.reproduction import compared
from zoo.run import Run
from zoo.trainer import resume_run, train_run
from zoo.training import features, loop
from zoo.training.stepper import Stepper

Write = Callable[..., str]
EPOCHS = 3
ROWS, BATCH, SIDE = 29, 6, 12  # 22 rows are left to train on; the last step has 4

CONVOLUTIONS = [
    {"type": "Conv2d", "out_channels": 6, "kernel_size": 3, "id": "stem"},
    {"type": "BatchNorm2d", "id": "norm"},
    {"type": "ReLU"},
    {"type": "Flatten"},
    {"type": "Linear", "out_features": 40, "id": "wide"},
    {"type": "Dropout", "id": "drop"},
    {"type": "Linear", "out_features": "classes", "id": "head"},
]
BRANCHES = [
    {"type": "Flatten"},
    {"type": "Linear", "out_features": 16, "id": "first"},
    {"type": "Residual", "id": "block", "layers": [{"type": "Linear", "out_features": 16}, {"type": "GELU"}]},
    {"type": "Residual", "id": "head", "layers": [{"type": "Linear", "out_features": 16}, {"type": "GELU"}]},
    {"type": "Linear", "out_features": "classes", "id": "last"},
]
TORCHVISION = {"type": "torchvision", "name": "resnet18", "classes": "classes"}


def document(model: Document, freeze: list[str], **train: object) -> Document:
    return {
        "name": "tuned",
        "data": {
            "type": "FakeImages",
            "size": ROWS,
            "num_classes": 3,
            "image_size": [3, SIDE, SIDE],
            "validation": 0.25,
            "transforms": [{"type": "ToDtype", "dtype": "float32", "scale": True}],
        },
        "model": model,
        "freeze": freeze,
        "loss": {"type": "CrossEntropyLoss"},
        "metrics": [{"type": "Accuracy"}],
        "optimizer": {"type": "Adam", "lr": 0.01},
        "train": {"epochs": EPOCHS, "batch_size": BATCH, **train},
    }


def trained(write: Write, spec: Document, out: str) -> Run:
    return train_run(check_file(write(spec, f"{out}.json")), "cpu", Destination(Path(out)), TrainingProgress())


def plainly(write: Write, spec: Document, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Train with every layer computed in every step."""
    with monkeypatch.context() as patch:
        for module in (features, loop):
            patch.setattr(module, "repeats", lambda spec, state, rows: False)
        return trained(write, spec, "plain")


def require_same(run: Run, plain: Run) -> None:
    assert compared(run.weights(), plain.weights()).differing == ()
    one, other = ([{**row, "seconds": 0} for row in each.rows()] for each in (run, plain))
    assert one == other


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, features.__name__)
    return caplog


@pytest.mark.parametrize(
    ("model", "freeze", "last"),
    [
        ({"layers": CONVOLUTIONS}, ["*", "!head.*"], "drop"),
        ({"layers": CONVOLUTIONS}, ["stem.*", "norm.*"], "3"),
        ({"layers": BRANCHES}, ["first.*", "block.*"], "add"),
        (TORCHVISION, ["*", "!fc.*"], "flatten"),
        (TORCHVISION, ["*", "!fc.*", "!layer4.1.*"], "layer4.0"),
    ],
    ids=str,
)
def test_the_bits_are_those_of_computing_them_in_every_step(
    model: Document,
    freeze: list[str],
    last: str,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    notes: pytest.LogCaptureFixture,
) -> None:
    spec = document(model, freeze)
    run = trained(write, spec, "run")
    assert f"the frozen layers up to {last} are computed once, for 22 rows" in notes.text
    require_same(run, plainly(write, spec, monkeypatch))


WAYS: list[Document] = [
    {"precision": "bf16"},
    {"ema": 0.9},
    {"accumulation": 2},
    {"shuffle": False},
    {"sampler": "balanced"},
    {"batch_size": 100},
    {"epochs": 5, "early_stopping": {"patience": 1, "min_delta": 100}},
]


@pytest.mark.parametrize("train", WAYS, ids=str)
def test_so_they_are_with_other_ways_of_training(
    train: Document, write: Write, monkeypatch: pytest.MonkeyPatch, notes: pytest.LogCaptureFixture
) -> None:
    spec = document({"layers": CONVOLUTIONS}, ["*", "!head.*"], **train)
    run = trained(write, spec, "run")
    assert "are computed once" in notes.text
    require_same(run, plainly(write, spec, monkeypatch))


def test_a_frozen_layer_sees_each_row_once_beside_the_proof(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    whole = nn.Conv2d.forward

    def forward(module: nn.Conv2d, inputs: Tensor) -> Tensor:
        seen.append(len(inputs))
        return whole(module, inputs)

    monkeypatch.setattr(nn.Conv2d, "forward", forward)
    trained(write, document({"layers": CONVOLUTIONS}, ["*", "!head.*"]), "run")
    table, proof, evaluations, report = [BATCH] * 4, [BATCH, 4, *[BATCH] * 4, *[4] * 4], [7, 29], [29]
    assert sorted(seen) == sorted(table + proof + evaluations + report)


def test_a_resumed_training_has_the_same_bits(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, whole, calls = document({"layers": CONVOLUTIONS}, ["*", "!head.*"]), Stepper.step, [0]

    def step(stepper: Stepper, inputs: Tensor, targets: Tensor) -> Tensor:
        calls[0] += 1
        if calls[0] == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(stepper, inputs, targets)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "step", step)
        with pytest.raises(Interrupted):
            trained(write, spec, "run")
    run = resume_run(Run(Path("run")), "cpu", TrainingProgress())
    require_same(run, plainly(write, spec, monkeypatch))


def sideways(kind: str, x: Tensor) -> Tensor:
    """Give a row other numbers according to what its batch is."""
    if kind == "place":
        return x + (torch.arange(len(x)).reshape(-1, 1, 1, 1) % 5)
    if kind == "size":
        return x * (1 + 0.1 * len(x))
    return x + (x.mean() if kind == "neighbours" else torch.rand(()))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("place", "in every step: a row has other bits among other rows, in batches of 6"),
        ("neighbours", "in every step: a row has other bits among other rows, in batches of 6"),
        ("random", "in every step: "),
        ("size", "are computed once, for 22 rows"),
    ],
)
def test_rows_that_depend_on_their_batch_are_computed_in_every_step_aloud(
    kind: str, said: str, write: Write, monkeypatch: pytest.MonkeyPatch, notes: pytest.LogCaptureFixture
) -> None:
    whole = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda module, x: sideways(kind, whole(module, x)))
    spec = document({"layers": CONVOLUTIONS}, ["*", "!head.*"])
    run = trained(write, spec, "run")
    assert said in notes.text
    require_same(run, plainly(write, spec, monkeypatch))


def test_augmented_rows_are_computed_in_every_step_aloud(
    write: Write, monkeypatch: pytest.MonkeyPatch, notes: pytest.LogCaptureFixture
) -> None:
    spec = document({"layers": CONVOLUTIONS}, ["*", "!head.*"])
    spec["data"]["augmentation"] = [{"type": "RandomHorizontalFlip"}]
    run = trained(write, spec, "run")
    assert "the frozen layers up to drop are computed in every step: the rows are augmented" in notes.text
    require_same(run, plainly(write, spec, monkeypatch))


def test_features_above_the_budget_are_computed_in_every_step_aloud(
    write: Write, monkeypatch: pytest.MonkeyPatch, notes: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(features, "BUDGET", 22 * 40 * 4 - 1)
    trained(write, document({"layers": CONVOLUTIONS}, ["*", "!head.*"]), "run")
    assert "computed in every step: their features would take 0.0 MiB, more than 0.0 MiB" in notes.text


@pytest.mark.parametrize(
    ("freeze", "epochs"), [([], 3), (["head.*"], 3), (["*", "!head.*"], 1)], ids=["none", "below", "one epoch"]
)
def test_where_nothing_can_be_saved_nothing_is_said(
    freeze: list[str], epochs: int, write: Write, notes: pytest.LogCaptureFixture
) -> None:
    trained(write, document({"layers": CONVOLUTIONS}, freeze, epochs=epochs), "run")
    assert [record for record in notes.records if record.name == features.__name__] == []
