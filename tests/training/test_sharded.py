"""FSDP2: each process holds a part of the weights, and the files are those of a whole model."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from together import (
    ended,
    evaluated,
    imported,
    killed_at,
    near,
    one_thread,
    resume,
    saving_always,
    started,
    together,
    train,
)

from conftest import Document, linear
from zoo.check import check_file
from zoo.errors import UsageError
from zoo.training import state as training_state
from zoo.training.distributed import World
from zoo.training.sharded import gathered, shard

__all__ = ["imported", "one_thread", "saving_always"]  # fixtures


def sharded(**changes: Any) -> Document:
    """A spec that trains by FSDP2, with optimizer state, a frozen layer, and more tensors than one layer's."""
    layers = [
        {"type": "Linear", "out_features": 5, "id": "first"},
        {"type": "ReLU"},
        {"type": "BatchNorm1d"},
        {"type": "Linear", "out_features": 3},
        {"type": "Linear", "out_features": 1},
    ]
    train = {"epochs": 3, "batch_size": 6, "accumulation": 2, "clip_grad_norm": 0.5, "strategy": "fsdp"}
    return linear(
        data__samples=40,
        data__validation=0.2,
        model__layers=layers,
        optimizer={"type": "AdamW", "lr": 0.01},
        scheduler={"type": "StepLR", "step_size": 1},
        train={**train, "early_stopping": {"patience": 9}},
        freeze=["first.weight"],
        **changes,
    )


@pytest.mark.usefixtures("saving_always")
def test_sharded_trainings_give_the_curve_of_one_process_and_its_files(write: Callable[..., str], here: Path) -> None:
    document = sharded()
    write({**document, "train": {**document["train"], "strategy": "ddp"}})
    train(here / "one")
    write(document)
    assert together(2, train, here / "two") == [0, 0]
    near(here / "two", here / "one")
    assert together(2, evaluated, here / "two") == [0, 0]
    one, two = (torch.load(here / name / "checkpoints/last.pt", weights_only=True) for name in ("one", "two"))
    for name, tensor in one["model"].items():
        torch.testing.assert_close(two["model"][name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.long
@pytest.mark.usefixtures("saving_always")
def test_a_killed_sharded_training_goes_on_in_any_number_of_processes(write: Callable[..., str], here: Path) -> None:
    write(sharded())
    assert together(2, train, here / "whole") == [0, 0]
    assert -signal.SIGKILL in ended(started(2, killed_at("step", 9, 1, partial(train, here / "cut"))))
    for then in (1, 2, 3):
        resumed = shutil.copytree(here / "cut", here / f"cut{then}")
        assert together(then, resume, resumed) == [0] * then
        near(resumed, here / "whole")
        if then == 2:
            assert (resumed / "model.safetensors").read_bytes() == (here / "whole/model.safetensors").read_bytes()


def parted(out: Path, world: World) -> None:
    spec = check_file("spec.json")
    state = training_state.begin(spec, torch.device("cpu"))
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    shared = shard(spec, state, 32, world)
    parts: list[Any] = list(shared.model.parameters())  # Any: DTensors
    held, whole = sum(part.to_local().numel() for part in parts), sum(part.numel() for part in parts)
    after = gathered(shared).model.state_dict()
    if not 0 < held < 0.7 * whole or not all(torch.equal(after[name], tensor) for name, tensor in before.items()):
        raise AssertionError(f"{held} of {whole} numbers are here")


def test_each_process_has_a_part_of_the_weights(write: Callable[..., str], here: Path) -> None:
    write(sharded())
    assert together(2, parted, here) == [0, 0]


def test_one_process_has_nothing_to_share_out(write: Callable[..., str], here: Path) -> None:
    write(sharded())
    with pytest.raises(UsageError, match="fsdp shares the model out"):
        train(here / "run")
