"""Frozen: what is frozen is proven to be, to the bit, what it was before the training; a resume keeps the proof."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import Document, Outcome, linear
from forking import start
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import FrozenMoved, Interrupted, RunError
from zoo.progress import TrainingProgress
from zoo.run import Run
from zoo.trainer import resume_run, train_run
from zoo.training import loop
from zoo.training.checkpoint import write_record
from zoo.training.frozen import frozen_names, still_modules
from zoo.training.stepper import Stepper

Write = Callable[..., str]
NAMES = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"]


def document(**changes: object) -> Document:
    layers = [
        {"type": "Linear", "out_features": 3},
        {"type": "BatchNorm1d"},
        {"type": "Dropout"},
        {"type": "Linear", "out_features": 1},
    ]
    return linear(model__layers=layers, **changes) | {"freeze": ["*", "!3.*"]}


def trained(write: Write, **changes: object) -> Run:
    checked = check_file(write(document(**changes)))
    return train_run(checked, "cpu", Destination(), TrainingProgress())


def test_the_run_proves_that_parameters_and_running_statistics_stayed(write: Write) -> None:
    run = trained(write)
    found = json.loads(run.frozen_file.read_text())
    assert list(found["sha256_of_each"]) == NAMES
    assert (found["tensors"], found["numbers"]) == (7, 2 * 3 + 3 + 4 * 3 + 1)
    assert found["sha256_before"] == found["sha256_after"]


@pytest.mark.parametrize("train", [{"ema": 0.9}, {"early_stopping": {"patience": 1}}], ids=str)
def test_the_proof_is_of_the_weights_that_are_kept(write: Write, train: Document) -> None:
    run = trained(write, data__validation=0.2, train={"epochs": 3, "batch_size": 4} | train)
    found = json.loads(run.frozen_file.read_text())
    assert found["sha256_before"] == found["sha256_after"]


def test_a_line_on_stderr_says_so(write: Write) -> None:
    done = start("train", write(document())).ended()
    assert done.status == 0
    assert "\nfrozen: 7 tensors (22 numbers) as before, sha256 " in done.err


def test_without_freeze_there_is_nothing_to_prove(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "zoo")
    run = train_run(check_file(write(linear())), "cpu", Destination(), TrainingProgress())
    assert not run.frozen_file.exists()
    assert "frozen" not in caplog.text


def test_a_statistic_that_moves_fails_the_training(
    write: Write, monkeypatch: pytest.MonkeyPatch, zoo: Callable[..., Outcome]
) -> None:
    monkeypatch.setattr(loop, "still_modules", lambda model, layers: [])
    done = zoo("train", write(document()), "--out", "run")
    assert done.status == 1
    assert "3 of 7 frozen tensors moved in training, the first 1.running_mean; no weights are written" in done.err
    assert not Run(Path("run")).weights_file.exists()


def stopped(write: Write, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A training that a signal ended after seven steps."""
    whole, calls = Stepper.step, [0]

    def step(stepper: Stepper, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        if calls[0] == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(stepper, inputs, targets)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "step", step)
        with pytest.raises(Interrupted):
            trained(write)
    return Run(Path("runs/line"))


def test_a_resume_keeps_the_proof(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped(write, monkeypatch)
    before = json.loads(run.frozen_file.read_text())
    assert before["sha256_after"] is None
    resume_run(run, "cpu", TrainingProgress())
    after = json.loads(run.frozen_file.read_text())
    assert after == before | {"sha256_after": before["sha256_before"]}


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_resume_without_what_it_began_with_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    run = stopped(write, monkeypatch)
    run.frozen_file.unlink()
    if content is not None:
        run.frozen_file.write_text(content)
    with pytest.raises(RunError, match=r"frozen\.json, which says what the frozen tensors were, is absent or damaged"):
        resume_run(run, "cpu", TrainingProgress())


def test_a_checkpoint_with_other_frozen_tensors_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped(write, monkeypatch)
    record = torch.load(run.checkpoint_file, weights_only=True)
    record["model"]["0.weight"][0, 0] += 1
    write_record(run.checkpoint_file, record)
    with pytest.raises(FrozenMoved, match=r"1 of 7 frozen tensors moved in training, the first 0\.weight"):
        resume_run(run, "cpu", TrainingProgress())


def test_a_module_with_a_trained_tensor_keeps_its_statistics_moving() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    model[0].requires_grad_(False)
    model[1].bias.requires_grad_(False)
    assert still_modules(model, []) == [model[0]]
    assert frozen_names(model, []) == [
        *(f"0.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        "1.bias",
    ]
