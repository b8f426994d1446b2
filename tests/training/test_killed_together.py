"""Trainings of several processes, one of which is killed: they go on to the same bits, in any number."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from together import (
    RAGGED,
    begin_again,
    ended,
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

__all__ = ["imported", "one_thread", "saving_always"]  # fixtures

# What is about to happen for the so-many-th time, since the training began or went on, and the rank that is killed.
MOMENTS = [("step", 1, 1), ("step", 2, 0), ("checkpoint", 1, 0), ("checkpoint", 2, 0), ("step", 2, 1), ("step", 1, 0)]
MOMENTS += [("step", 3, 1), ("evaluation", 1, 0), ("evaluation", 2, 1), ("measured", 2, 0), ("checkpoint", 2, 0)]
MOMENTS += [("evaluation", 1, 1), ("step", 4, 0), ("step", 2, 1), ("measured", 1, 1), ("evaluation", 2, 0)]
MOMENTS += [("step", 3, 0), ("step", 2, 1), ("checkpoint", 1, 0), ("evaluation", 2, 1)]
UNSAVED = 3  # moments; the next one follows the first checkpoint


def held(run: Path) -> tuple[bytes, list[dict[str, float]], list[bytes]]:
    """Return weights, measurements, and the tensors of optimizer, mean and generators."""
    record = torch.load(run / "checkpoints/last.pt", weights_only=True)
    optimizer = [value for state in record["optimizer"]["state"].values() for value in state.values()]
    tensors = [*optimizer, *record["average"].values(), record["generator"], record["others"][0]["generator"]]
    return (run / "model.safetensors").read_bytes(), measured(run), [tensor.numpy().tobytes() for tensor in tensors]


@pytest.mark.long
@pytest.mark.usefixtures("saving_always")
def test_a_training_killed_again_and_again_goes_on_to_the_same_bits(write: Callable[..., str], here: Path) -> None:
    write(images(epochs=5))
    whole, cut = here / "whole", here / "cut"
    assert together(2, train, whole) == [0, 0]
    for number, (event, count, rank) in enumerate(MOMENTS):
        act = begin_again if number <= UNSAVED else resume
        statuses = ended(started(2, killed_at(event, count, rank, partial(act, cut))))
        assert (statuses[rank], statuses[1 - rank]) == (-signal.SIGKILL, 1), (event, count)
        assert (cut / "checkpoints/last.pt").is_file() == (number >= UNSAVED), (event, count)
        if (cut / "metrics.jsonl").is_file():
            rows = measured(cut)
            assert rows == measured(whole)[: len(rows)], (event, count)
    assert together(2, resume, cut) == [0, 0]
    assert held(cut) == held(whole)


@pytest.mark.usefixtures("saving_always")
@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1), (2, 3)])
def test_another_number_of_processes_goes_on(first: int, then: int, write: Callable[..., str], here: Path) -> None:
    write(RAGGED)
    train(here / "whole")
    assert -signal.SIGKILL in ended(started(first, killed_at("measured", 3, 0, partial(train, here / "cut"))))
    assert together(then, resume, here / "cut") == [0] * then
    near(here / "cut", here / "whole")
