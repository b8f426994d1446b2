"""Processes that train together, forked from this one to spare them the imports; the launcher has its own tests."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from test_killed import halved

from conftest import Document, linear, noise
from zoo.check import check, check_file
from zoo.destination import Destination
from zoo.progress import Unseen
from zoo.run import Run, evaluate_run
from zoo.source import Source
from zoo.trainer import resume_run, train_run
from zoo.training import clock, loop
from zoo.training.distributed import World, joined
from zoo.training.evaluation import evaluate
from zoo.training.features import HeldOut
from zoo.training.parallel import SharedStrides

LIMIT = 120.0  # seconds that processes have to end, on a busy machine; they take about one
RAGGED = linear(data__samples=23, train={"epochs": 3, "batch_size": 7, "seed": 3})
"""A spec whose batches are not all as large as the first."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what a training needs before processes are forked: each would do it anew, in ten times its own time."""
    import_module("zoo.training.sharded")
    spec = check(Source("spec.json", "", images()))
    train_run(spec, "cpu", Destination(tmp_path_factory.mktemp("imported") / "run"), Unseen())


@pytest.fixture
def saving_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a checkpoint follow each step after which no gradient waits."""
    monkeypatch.setattr(clock, "EVERY", 0.0)
    monkeypatch.setattr(clock, "SHARE", 0)
    monkeypatch.setattr(loop, "READ_EVERY", 0.0)


def started(size: int, act: Callable[[World], object]) -> list[int]:
    """Start so many processes that do this together; return their ids."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            names = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size}
            os.environ.update({name: str(value) for name, value in names.items()})
            os.environ.update({"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)})
            status = 1
            try:
                with joined() as world:
                    act(world)
                status = 0
            except SystemExit as left:
                status = int(left.code or 0)
            except BaseException:  # noqa: BLE001  # nothing may leave the child
                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    return children


def ended(children: list[int]) -> list[int]:
    """Return how the processes ended: with a status, or the negative number of the signal that killed them."""
    statuses: dict[int, int] = {}
    until = time.monotonic() + LIMIT
    while len(statuses) < len(children) and time.monotonic() < until:
        for child in children:
            done, status = (0, 0) if child in statuses else os.waitpid(child, os.WNOHANG)
            if done:
                statuses[child] = os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    for child in set(children) - set(statuses):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert len(statuses) == len(children), "a process does not end"
    return [statuses[child] for child in children]


def train(out: Path, world: World = World.alone) -> None:
    train_run(check_file("spec.json"), "cpu", Destination(out), Unseen(), world)


def resume(out: Path, world: World = World.alone) -> None:
    resume_run(Run(out), "cpu", Unseen(), world)


def begin_again(out: Path, world: World) -> None:
    train_run(check_file("spec.json"), "cpu", Destination(out, True), Unseen(), world)


def together(size: int, act: Callable[..., None], out: Path) -> list[int]:
    """Train or resume with so many processes."""
    return ended(started(size, lambda world: act(out, world)))


def measured(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def near(run: Path, other: Path) -> None:
    rows, others = measured(run), measured(other)
    assert len(rows) == len(others) > 0
    for row, expected in zip(rows, others, strict=True):
        assert row == pytest.approx(expected, rel=1e-4, abs=1e-6)


def images(epochs: int = 3) -> Document:
    """A spec with all that draws at random or remembers."""
    return {
        "name": "small",
        "data": noise(22, [1, 6, 6], validation=0.2, augmentation=[{"type": "RandomCrop", "size": 6, "padding": 1}]),
        "model": {
            "layers": [
                {"type": "Conv2d", "out_channels": 4, "kernel_size": 3},
                {"type": "BatchNorm2d"},
                {"type": "ReLU"},
                {"type": "Dropout", "p": 0.3},
                {"type": "Flatten"},
                {"type": "Linear", "out_features": "classes"},
            ]
        },
        "loss": {"type": "CrossEntropyLoss"},
        "metrics": [{"type": "Accuracy"}],
        "optimizer": {"type": "Adam"},
        "scheduler": {"type": "StepLR", "step_size": 2, "interval": "step"},
        "train": {"epochs": epochs, "batch_size": 4, "accumulation": 2, "ema": 0.9},
    }


def killed_at(event: str, count: int, rank: int, act: Callable[[World], None]) -> Callable[[World], None]:
    """Return what processes do until one is killed, as it is about to do something for the so-many-th time."""
    places: dict[str, tuple[Any, str]] = {"step": (SharedStrides, "step"), "evaluation": (HeldOut, "evaluate")}
    places["measured"] = (loop.Training, "_measured")

    def doomed(world: World) -> None:
        if event == "checkpoint":
            halved(count)  # rank 0 alone writes
            act(world)
            return
        owner, name = places[event]
        whole, calls = getattr(owner, name), [0]

        def called(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] == count and world.rank == rank:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(*arguments, **options)

        setattr(owner, name, called)
        act(world)

    return doomed


def evaluated(out: Path, world: World) -> None:
    spec = check_file("spec.json")
    from zoo.build import load_rows
    from zoo.training.objective import objective_of

    objective = objective_of(spec, torch.device("cpu"))
    found = evaluate(Run(out).load_model(), objective, load_rows(spec, "test"), world)
    alone = evaluate_run(Run(out), "cpu")
    if {f"test_{name}": value for name, value in found.items()} != alone:
        raise AssertionError(f"{found} is not {alone}")
