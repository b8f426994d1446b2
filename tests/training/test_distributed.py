"""The processes of one training: each takes its share, and they end together and say why once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from together import LIMIT, ended, images, imported, one_thread, saving_always, started, together, train

from conftest import linear
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import UsageError
from zoo.progress import Unseen
from zoo.trainer import train_run
from zoo.training.distributed import World

__all__ = ["imported", "one_thread", "saving_always"]  # fixtures


@pytest.mark.parametrize("rows", [1, 2, 5, 64, 65])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_are_all_rows_once(size: int, rows: int) -> None:
    shares = [World(rank, size).share(10, 10 + rows) for rank in range(size)]
    assert [row for first, last in shares for row in range(first, last)] == list(range(10, 10 + rows))
    assert max(last - first for first, last in shares) - min(last - first for first, last in shares) <= 1


@pytest.mark.usefixtures("saving_always")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_one_process_ends_all_with_one_checkpoint_and_one_message(
    number: signal.Signals, write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(linear(train={"epochs": 10_000, "batch_size": 4}))
    children = started(2, lambda world: train(here / "run", world))
    checkpoint = here / "run/checkpoints/last.pt"
    until = time.monotonic() + LIMIT
    while not checkpoint.is_file() and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(children[1], number)
    assert ended(children) == [128 + number, 128 + number]
    said = capfd.readouterr().err
    assert said.count("interrupted: in epoch") == 1
    assert f"to go on: zoo train --resume {here}/run" in said
    assert torch.load(checkpoint, weights_only=True)["epoch"] < 10_000


def test_an_error_of_all_is_told_once(write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(linear(optimizer={"type": "SGD", "lr": 1e30}))
    assert together(2, train, here / "run") == [2, 2]
    said = capfd.readouterr().err
    assert said.count("error:") == 1
    assert "the loss is" in said
    assert "error" in json.loads((here / "run/metrics.jsonl").read_text().splitlines()[-1])


def test_an_error_of_one_process_ends_the_others_and_is_told(
    write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(linear())

    def act(world: World) -> None:
        if world.rank == 1:
            raise UsageError("process 1 has no data", "give it some")
        train(here / "run", world)

    assert ended(started(2, act)) == [1, 2]
    assert "process 1 has no data" in capfd.readouterr().err


def test_processes_with_other_specs_are_refused(
    write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(linear())
    write(linear(train={"epochs": 2, "batch_size": 5}), "other.json")

    def act(world: World) -> None:
        spec = check_file("spec.json" if world.leads else "other.json")
        train_run(spec, "cpu", Destination(here / "run"), Unseen(), world)

    assert ended(started(2, act)) == [2, 2]
    assert capfd.readouterr().err.count("process 1 of 2 has a spec of sha256") == 1
    assert not (here / "run").exists()


def test_running_statistics_that_cannot_be_shared_are_refused(
    write: Callable[..., str], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    document = images()
    document["model"]["layers"][1] = {"type": "InstanceNorm2d", "track_running_stats": True}
    write(document)
    assert together(2, train, here / "run") == [2, 2]
    assert "remove its track_running_stats" in capfd.readouterr().err
