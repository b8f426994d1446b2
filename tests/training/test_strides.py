"""Strides: replayed steps are plain ones bit for bit, a fault is found before it does harm, and it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_exact import ADAM, CNN, CPU, Silent, classifying, trained
from torch import Tensor

from conftest import Document, linear
from zoo.build import load_rows
from zoo.check import CheckedSpec, check
from zoo.source import Source
from zoo.training import checkpoint, recording, replay, strides
from zoo.training import state as training_state
from zoo.training.loop import Training
from zoo.training.recording import Recorder
from zoo.training.state import State
from zoo.training.stepper import Stepper
from zoo.training.strides import Strides

EACH_STEP = {"type": "LinearLR", "interval": "step"}
CYCLE = {"type": "OneCycleLR", "max_lr": 0.01, "interval": "step"}  # moves Adam's betas too


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(strides, "PAYS", 0.0)
    monkeypatch.setattr(strides, "SLOW", float("inf"))


def bits(state: State) -> list[bytes]:
    """Weights, optimizer state, and the mean of the weights where there is one."""
    held = [value for values in state.optimizer.state.values() for value in values.values()]
    tensors = [*state.model.state_dict().values(), *held, *state.measured.state_dict().values()]
    return [tensor.numpy().tobytes() for tensor in tensors]


def plainly(spec: CheckedSpec, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the training gives when no step is replayed."""
    with monkeypatch.context() as patch:
        patch.setattr(strides, "PAYS", float("inf"))
        state, training = trained(spec)
    assert not training.strides.replays
    return bits(state)


def spec_of(**changes: Any) -> CheckedSpec:
    train = {"epochs": 2, "batch_size": 8} | changes.pop("train", {})
    return classifying(CNN, [1, 12, 12], **({"optimizer": ADAM} | changes), train=train)


@pytest.mark.parametrize(
    "spec",
    [
        spec_of(train={"clip_grad_norm": 0.1}),
        spec_of(train={"clip_grad_value": 0.001}),
        spec_of(train={"ema": 0.9}),
        spec_of(scheduler=EACH_STEP),
        spec_of(train={"precision": "bf16"}),
        spec_of(train={"batch_size": 1000, "epochs": 12}),
        spec_of(train={"shuffle": False}),
        spec_of(data__augmentation=[{"type": "RandomHorizontalFlip"}]),
    ],
    ids=["norm", "value", "mean", "schedule", "bf16", "one batch", "order", "augmentation"],
)
def test_each_way_of_training_is_replayed_to_the_same_bits(spec: CheckedSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    state, training = trained(spec)
    assert training.strides.replays
    assert bits(state) == plainly(spec, monkeypatch)


@pytest.mark.parametrize("train", [{"accumulation": 2}, {"precision": "fp16"}], ids=str)
def test_what_a_replay_does_not_know_stays_plain(train: Document) -> None:
    _, training = trained(spec_of(train=train))
    assert training.strides.plain


def test_a_replay_with_a_fault_is_found_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sound = replay.Replay.run

    def faulty(self: replay.Replay, batches: replay.Batches, losses: Tensor, start: int, stop: int) -> None:
        sound(self, batches, losses, start, stop)
        self.constants[0].view(-1)[0] += 1e-7

    spec = spec_of(train={"epochs": 1})
    expected = plainly(spec, monkeypatch)
    monkeypatch.setattr(replay.Replay, "run", faulty)
    state, training = trained(spec)
    assert training.strides.plain
    assert caplog.messages == [
        "steps are not replayed, and take longer: replayed steps differ from plain ones in their bits"
    ]
    assert bits(state) == expected


def test_a_step_that_depends_on_the_data_is_told(caplog: pytest.LogCaptureFixture) -> None:
    spec = spec_of(train={"epochs": 1})
    with pytest.MonkeyPatch.context() as patch:
        sound = Stepper.loss

        def reading(self: Stepper, inputs: Tensor, targets: Tensor) -> Tensor:
            return sound(self, inputs, targets) * float(targets.sum() >= 0)

        patch.setattr(Stepper, "loss", reading)
        _, training = trained(spec)
    assert training.strides.plain
    assert caplog.messages == [
        "steps are not replayed, and take longer: aten._local_scalar_dense.default, whose result depends on the numbers"
    ]


def test_a_step_that_works_in_place_on_its_batch_is_seen() -> None:
    batch = torch.tensor([-1.0, 1.0])
    with Recorder(x=batch) as recorder:
        batch.relu()
    assert not recorder.overwrites_batch
    with recorder:
        batch.view(2, 1).relu_()
    assert recorder.overwrites_batch


def test_a_short_training_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strides, "PAYS", 0.5)
    _, training = trained(check(Source("spec.json", "", linear())))
    assert training.strides.plain


@pytest.mark.parametrize(("least", "replayed"), [(0, True), (1000, False)])
def test_slow_steps_are_replayed_where_faster_ways_pay(
    least: int, replayed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strides, "SLOW", 0.0)
    monkeypatch.setattr(strides, "SEEKS", least)
    _, training = trained(spec_of(train={"epochs": 1}))
    assert training.strides.replays == replayed


def test_a_record_that_would_hold_much_memory_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "MOST", 1000)
    _, training = trained(spec_of(train={"epochs": 1}))
    assert training.strides.plain
    assert "a record of one would hold more than 0 MiB" in caplog.text


def test_an_optimizer_whose_options_change_moves_replayed_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(scheduler=CYCLE)
    state, training = trained(spec)
    assert training.strides.replays
    assert not training.strides.moves
    assert bits(state) == plainly(spec, monkeypatch)


def test_a_stride_ends_where_it_is_told_to() -> None:
    state, training = trained(spec_of(train={"epochs": 1}))
    again = replace(training, state=state).strides
    assert isinstance(again, Strides)
    order, losses = torch.arange(397), torch.zeros(50)
    state.step, training.strides._stride = 0, 1000
    training.strides.advance(order, losses, 7)
    assert state.step == 7
    assert losses[:7].all()
    assert not losses[7:].any()


@pytest.mark.parametrize("stop", [2, 5, 20, 45])
def test_a_training_stopped_among_replayed_steps_goes_on_to_the_same_bits(stop: int, tmp_path: Path) -> None:
    spec = spec_of()
    whole, _ = trained(spec)
    splits = {split: load_rows(spec, split) for split in spec.spec.data.splits}
    state = training_state.begin(spec, CPU, len(splits["train"]))
    training = Training(state, spec, splits, Silent(), lambda state: None)
    order, losses = state.draw_order(len(splits["train"])), state.begin_losses(training.feed.steps)
    state.model.train()
    while state.step < stop:
        training.strides.advance(order, losses, stop)
    assert training.strides.replays == (stop > strides.PLAIN + strides.PROOFS)
    checkpoint.save(tmp_path / "last.pt", state)
    torch.manual_seed(99)
    resumed = checkpoint.resume(tmp_path / "last.pt", spec, CPU, len(splits["train"]))
    list(Training(resumed, spec, splits, Silent(), lambda state: None).run())
    assert bits(resumed) == bits(whole)
