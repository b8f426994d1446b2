"""A training killed at any moment, by a signal that nobody can hear, goes on to the bits of one never killed."""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import Document, linear, noise
from zoo import files
from zoo.check import check_file
from zoo.destination import Destination
from zoo.progress import TrainingProgress
from zoo.run import Run
from zoo.trainer import resume_run, train_run
from zoo.training import checkpoint, clock, loop, near, rounding, strides
from zoo.training.features import HeldOut
from zoo.training.near import NearStrides
from zoo.training.stepper import Stepper
from zoo.training.strides import Strides

# What happens how often, since the training began or went on, until it is killed. Steps in epochs of 20.
MOMENTS = [("step", 1), ("step", 2), ("checkpoint", 1), ("checkpoint", 2), ("step", 5), ("step", 13), ("step", 2)]
MOMENTS += [("evaluation", 1), ("evaluation", 2), ("step", 1), ("checkpoint", 3), ("step", 12), ("step", 4)]
MOMENTS += [("evaluation", 2), ("checkpoint", 1), ("step", 15), ("step", 6), ("step", 1), ("evaluation", 1)]
MOMENTS += [("evaluation", 2), ("evaluation", 1)]


LAYERS = [
    {"type": "Flatten"},
    {"type": "Linear", "out_features": 8},
    {"type": "BatchNorm1d"},
    {"type": "Dropout"},
    {"type": "Linear", "out_features": "classes"},
]


def document() -> Document:
    """A spec with all that draws at random or remembers."""
    images = noise(88, [1, 3, 3], validation=0.1, augmentation=[{"type": "RandomHorizontalFlip"}])
    train = {"epochs": 3, "batch_size": 4, "accumulation": 2, "ema": 0.9, "early_stopping": {"patience": 9}}
    scheduler = {"type": "StepLR", "step_size": 7, "interval": "step"}
    return linear(
        data=images,
        model__layers=LAYERS,
        loss={"type": "CrossEntropyLoss"},
        metrics=[{"type": "Accuracy"}],
        train=train,
        scheduler=scheduler,
    )


# Any: the owner of a function.
PLACES: dict[str, tuple[Any, str]] = {
    "step": (Stepper, "step"),
    "evaluation": (HeldOut, "evaluate"),
    "plain": (Strides, "_plain"),
    "record": (Strides, "_record"),
    "proof": (Strides, "_prove"),
    "stride": (Strides, "_leap"),
    "settling": (NearStrides, "_settle"),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def counted(owner: Any, name: str, count: int) -> None:
    """Let the count-th call of a function be the last thing that happens."""
    whole, calls = getattr(owner, name), [0]

    def called(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        result = whole(*arguments, **options)
        if calls[0] == count:
            die()
        return result

    setattr(owner, name, called)


def halved(count: int) -> None:
    """Let the count-th checkpoint be half written when everything ends."""
    whole, calls = files.replacing, [0]

    @contextmanager
    def replacing(path: Path) -> Iterator[Path]:
        with whole(path) as temporary:
            yield temporary
            calls[0] += 1
            if calls[0] == count:
                temporary.write_bytes(temporary.read_bytes()[:100])
                die()

    checkpoint.replacing = replacing  # type: ignore[attr-defined]  # a name that the module imports


def in_a_child(act: Callable[[], object]) -> int:
    """Return how a forked process ended that did this: 0, or the signal that killed it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        except Exception:  # noqa: BLE001  # nothing may leave the child
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


@pytest.fixture
def whole(
    write: Callable[..., str], here: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """A training that nobody kills."""
    torch.set_num_threads(1)
    write(document() | request.param)
    monkeypatch.setattr(clock, "EVERY", 0.0)
    monkeypatch.setattr(clock, "SHARE", 0)
    monkeypatch.setattr(loop, "READ_EVERY", 0.0)
    monkeypatch.setattr(strides, "PAYS", 0.0)
    monkeypatch.setattr(strides, "SLOW", float("inf"))
    monkeypatch.setattr(near, "SEEKS", 0)
    monkeypatch.setattr(rounding, "LEAST_PRODUCTS", 1)
    go_on(here / "whole")
    return here / "whole"


# Any: whatever a checkpoint holds.
def _tensors(value: Any) -> list[bytes]:
    if isinstance(value, torch.Tensor):
        return [value.numpy().tobytes()]
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [found for member in members for found in _tensors(member)]


def measured(run: Path) -> list[Document]:
    """Return the measurements of a run without their times; none of one that has not written any."""
    file = run / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.is_file() else []
    return [{**json.loads(line), "seconds": 0} for line in lines]


def held(run: Path) -> tuple[bytes, list[Any], list[bytes]]:
    """Return weights, measurements, and all tensors of the last checkpoint."""
    record = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    return (run / "model.safetensors").read_bytes(), measured(run), _tensors(record)


# 48 steps in epochs of 20: measured after 7, 14, 21 … 42 and 48.
BETWEEN: Document = {
    "train": {"steps": 48, "batch_size": 4, "accumulation": 2, "evaluate_every": 7, "early_stopping": {"patience": 9}},
    "scheduler": {"type": "ReduceLROnPlateau", "interval": "evaluation", "patience": 1},
}
MOMENTS_BETWEEN = [("checkpoint", 2), ("step", 4), ("step", 1), ("evaluation", 1), ("evaluation", 2), ("step", 2)]
MOMENTS_BETWEEN += [("checkpoint", 3), ("checkpoint", 1), ("step", 1), ("evaluation", 2), ("step", 6), ("step", 2)]
MOMENTS_BETWEEN += [("evaluation", 1), ("checkpoint", 4), ("evaluation", 3), ("step", 7)]
MOMENTS_BETWEEN += [("evaluation", 1), ("step", 1), ("checkpoint", 2), ("evaluation", 2)]

# No gradient waits and nothing follows a step, so that steps are replayed, many at once.
REPLAYED: Document = {
    "data": {key: value for key, value in document()["data"].items() if key != "augmentation"},
    "train": {"epochs": 10, "batch_size": 4},
    "scheduler": None,
}
MOMENTS_REPLAYED = [("plain", 2), ("record", 1), ("proof", 1), ("proof", 3), ("stride", 1), ("checkpoint", 5)]
MOMENTS_REPLAYED += [("stride", 2), ("checkpoint", 8), ("stride", 3), ("stride", 4), ("stride", 5)]

# Steps that round otherwise, which a training finds anew after each resume.
NEAR = REPLAYED | {"train": REPLAYED["train"] | {"exact": False}}
MOMENTS_NEAR = [("plain", 1), ("plain", 3), ("settling", 1), ("stride", 1), ("checkpoint", 4), ("stride", 3)]


def go_on(out: Path) -> None:
    """Train, from the last checkpoint where there is one."""
    run = Run(out)
    if run.checkpoint_file.is_file():
        resume_run(run, "cpu", TrainingProgress())
    else:
        train_run(check_file("spec.json"), "cpu", Destination(out, True), TrainingProgress())


def killed(event: str, count: int, out: Path) -> None:
    """Train up to a moment, in a process that ends there."""
    if event == "checkpoint":
        halved(count)
    else:
        counted(*PLACES[event], count)
    go_on(out)


@pytest.mark.parametrize(
    ("whole", "moments", "unsaved"),
    [
        ({}, MOMENTS, 3),
        (BETWEEN, MOMENTS_BETWEEN, 0),
        (REPLAYED, MOMENTS_REPLAYED, 0),
        (NEAR, MOMENTS_NEAR, 1),
    ],
    indirect=["whole"],
    ids=["epochs", "between two measurements", "among replayed steps", "among steps that round otherwise"],
)
def test_a_training_killed_again_and_again_goes_on_to_the_same_bits(
    moments: list[tuple[str, int]], unsaved: int, whole: Path, here: Path
) -> None:
    cut, undisturbed = here / "cut", held(whole)
    for number, (event, count) in enumerate(moments):
        assert in_a_child(partial(killed, event, count, cut)) == signal.SIGKILL, (event, count)
        assert Run(cut).checkpoint_file.is_file() == (number >= unsaved), (event, count)
        rows = measured(cut)
        assert rows == undisturbed[1][: len(rows)], (event, count)
    go_on(cut)
    assert held(cut) == undisturbed
    assert not list(cut.rglob(".*"))  # what was half written
