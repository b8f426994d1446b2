"""A training killed at any moment, by a signal that nobody can hear, goes on to the bits of one never killed."""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from zoo.training import clock, loop, strides
from zoo.training import state as training_state
from zoo.training.features import HeldOut
from zoo.training.stepper import Stepper
from zoo.training.strides import Strides

STEPS = 60  # in the three epochs of the training
MOMENTS = [("step", count) for count in (1, 2, 7, 19, 20, 21, 33, 40, 41, 55, 59, 60)]
MOMENTS += [("evaluation", count) for count in (1, 2, 3, 4, 6)]
MOMENTS += [("checkpoint", count) for count in (1, 2, 5, 11)]


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

    training_state.replacing = replacing  # type: ignore[attr-defined]  # a name that the module imports


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


def train(out: Path) -> None:
    train_run(check_file("spec.json"), "cpu", Destination(out), TrainingProgress())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the place of a training that nobody kills, for all tests of a spec."""
    places: dict[str, Path] = {}
    return lambda spec: places.setdefault(spec, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def whole(
    write: Callable[..., str],
    undisturbed: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Path:
    torch.set_num_threads(1)
    spec = document() | getattr(request, "param", {})
    write(spec)
    monkeypatch.setattr(clock, "EVERY", 0.0)
    monkeypatch.setattr(clock, "SHARE", 0)
    monkeypatch.setattr(loop, "READ_EVERY", 0.0)
    monkeypatch.setattr(strides, "PAYS", 0.0)
    monkeypatch.setattr(strides, "SLOW", float("inf"))
    place = undisturbed(json.dumps(spec))
    if not place.exists():
        train(place)
    return place


# Any: whatever a checkpoint holds.
def _tensors(value: Any) -> list[bytes]:
    if isinstance(value, torch.Tensor):
        return [value.numpy().tobytes()]
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [found for member in members for found in _tensors(member)]


def held(run: Path) -> tuple[bytes, list[Any], list[bytes]]:
    """Return weights, measurements, and all tensors of the last checkpoint."""
    rows = [{**json.loads(line), "seconds": 0} for line in (run / "metrics.jsonl").read_text().splitlines()]
    record = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    return (run / "model.safetensors").read_bytes(), rows, _tensors(record)


# 48 steps in epochs of 20: measured after 7, 14, 21 … 42 and 48.
BETWEEN: Document = {
    "train": {"steps": 48, "batch_size": 4, "accumulation": 2, "evaluate_every": 7, "early_stopping": {"patience": 9}},
    "scheduler": {"type": "ReduceLROnPlateau", "interval": "evaluation", "patience": 1},
}
MOMENTS_BETWEEN = [("step", count) for count in (6, 7, 8, 14, 20, 21, 22, 42, 43, 48)]
MOMENTS_BETWEEN += [("evaluation", count) for count in (1, 2, 5, 14)]
MOMENTS_BETWEEN += [("checkpoint", count) for count in (2, 3, 4, 5, 12)]


@pytest.mark.parametrize("whole", [BETWEEN], indirect=True, ids=["between"])
@pytest.mark.parametrize(("event", "count"), MOMENTS_BETWEEN)
def test_a_training_killed_between_two_measurements_goes_on_to_the_same_bits(
    event: str, count: int, whole: Path, here: Path
) -> None:
    test_a_killed_training_goes_on_to_the_same_bits(event, count, whole, here)
    steps = [json.loads(line)["step"] for line in (here / "cut" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [7, 14, 21, 28, 35, 42, 48]


# No gradient waits and nothing follows a step, so that steps are replayed, many at once.
REPLAYED: Document = {
    "data": {key: value for key, value in document()["data"].items() if key != "augmentation"},
    "train": {"epochs": 3, "batch_size": 4},
    "scheduler": None,
}
MOMENTS_REPLAYED = [("plain", 2), ("record", 1), ("proof", 1), ("proof", 3), ("checkpoint", 5), ("checkpoint", 8)]
MOMENTS_REPLAYED += [("stride", count) for count in (1, 2, 3, 4, 5)]


@pytest.mark.parametrize("whole", [REPLAYED], indirect=True, ids=["replayed"])
@pytest.mark.parametrize(("event", "count"), MOMENTS_REPLAYED)
def test_a_training_killed_among_replayed_steps_goes_on_to_the_same_bits(
    event: str, count: int, whole: Path, here: Path
) -> None:
    test_a_killed_training_goes_on_to_the_same_bits(event, count, whole, here)


@pytest.mark.parametrize(("event", "count"), MOMENTS)
def test_a_killed_training_goes_on_to_the_same_bits(event: str, count: int, whole: Path, here: Path) -> None:
    def killed() -> None:
        if event == "checkpoint":
            halved(count)
        else:
            counted(*PLACES[event], count)
        train(here / "cut")

    assert in_a_child(killed) == signal.SIGKILL
    run = Run(here / "cut")
    if run.checkpoint_file.is_file():
        assert in_a_child(lambda: resume_run(run, "cpu", TrainingProgress())) == 0
    else:
        assert (event, count) in {("step", 1), ("step", 2), ("checkpoint", 1)}, "it had a checkpoint by then"
        assert (
            in_a_child(
                lambda: train_run(check_file("spec.json"), "cpu", Destination(here / "cut", True), TrainingProgress())
            )
            == 0
        )
    assert held(here / "cut") == held(whole)
    assert not list((here / "cut").rglob(".*"))  # what was half written
