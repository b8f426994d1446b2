"""Steps that processes take together: the numbers of one process, however uneven the shares."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from photographs import pets, take
from together import (
    RAGGED,
    ended,
    evaluated,
    images,
    imported,
    killed_at,
    measured,
    near,
    one_thread,
    resume,
    saving_always,
    started,
    together,
    train,
)

from conftest import linear
from zoo.run import Run
from zoo.training import loop
from zoo.training.distributed import World

__all__ = ["imported", "one_thread", "saving_always"]  # fixtures

CLASSES = {"type": "CrossEntropyLoss", "weight": [1.0, 3.0, 0.5], "ignore_index": 1, "label_smoothing": 0.1}
CURVES = {
    "ragged batches": RAGGED,
    "fewer rows than processes": linear(data__samples=21, train={"epochs": 3, "batch_size": 5, "accumulation": 3}),
    "steps, measured every so many": linear(
        data__samples=23, train={"steps": 17, "evaluate_every": 3, "batch_size": 6, "accumulation": 3}
    ),
    "a sum": linear(loss={"type": "MSELoss", "reduction": "sum"}, optimizer={"type": "SGD", "lr": 1e-4}),
    "weights and classes that do not count": images() | {"loss": CLASSES},
    "BatchNorm and no dropout": images(),
    "mixed batches": images(),
}
for name in ("BatchNorm and no dropout", "weights and classes that do not count", "mixed batches"):
    CURVES[name]["model"]["layers"][3]["p"] = 0.0
    CURVES[name]["train"] |= {"batch_size": 5, "clip_grad_norm": 0.5}
CURVES["mixed batches"]["data"]["augmentation"].append({"type": "MixUp"})


@pytest.mark.parametrize("name", CURVES)
def test_two_processes_give_the_curve_of_one(name: str, write: Callable[..., str], here: Path) -> None:
    write(CURVES[name])
    train(here / "one")
    assert together(2, train, here / "two") == [0, 0]
    near(here / "two", here / "one")


def test_three_processes_give_the_curve_of_one(write: Callable[..., str], here: Path) -> None:
    write(CURVES["fewer rows than processes"])
    train(here / "one")
    assert together(3, train, here / "three") == [0, 0, 0]
    near(here / "three", here / "one")


def test_dropout_differs_from_process_to_process(write: Callable[..., str], here: Path) -> None:
    write(images())
    assert together(2, train, here / "run") == [0, 0]
    record = torch.load(here / "run/checkpoints/last.pt", weights_only=True)
    (other,) = record["others"]
    assert not torch.equal(record["generator"], other["generator"])


def test_shared_evaluation_has_the_bits_of_one_process(write: Callable[..., str], here: Path) -> None:
    metrics = [{"type": "MeanAbsoluteError"}, {"type": "R2Score"}]
    write(linear(data__samples=4001, metrics=metrics, train={"epochs": 1, "batch_size": 1000}))
    train(here / "run")
    assert together(3, evaluated, here / "run") == [0, 0, 0]


def told(out: Path, world: World) -> None:
    """Train, and write beside the run what weights this process has after each measurement."""
    whole = loop.Training._measured

    def noted(training: loop.Training, *arguments: Any) -> Any:
        bits = b"".join(tensor.numpy().tobytes() for tensor in training.state.model.state_dict().values())
        with out.with_name(f"{out.name}.{world.rank}").open("a") as lines:
            print(hashlib.sha256(bits).hexdigest(), file=lines)
        return whole(training, *arguments)

    loop.Training._measured = noted  # type: ignore[method-assign, assignment]  # in a process of its own
    train(out, world)


@pytest.mark.usefixtures("saving_always")
def test_streams_are_shared_to_the_bits_of_rows_in_memory(write: Callable[..., str], here: Path) -> None:
    take(here / "pets", train=9, test=3)
    document = pets(data__workers=1)
    document["model"]["layers"][3]["p"] = 0.0
    write(document)
    train(here / "one")
    assert together(2, told, here / "held") == [0, 0]
    write(document | {"data": document["data"] | {"memory": 0}})
    assert together(2, told, here / "streamed") == [0, 0]
    assert (here / "streamed.0").read_text() == (here / "streamed.1").read_text() == (here / "held.0").read_text()
    assert measured(here / "streamed") == measured(here / "held")
    near(here / "streamed", here / "one")
    assert ended(started(2, killed_at("step", 3, 1, partial(train, here / "cut")))) == [1, -signal.SIGKILL]
    assert together(2, resume, here / "cut") == [0, 0]
    assert Run(here / "cut").weights_file.read_bytes() == Run(here / "streamed").weights_file.read_bytes()
