"""Near steps: the same bits in each run and after each resume, near the plain loop's, proven, and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_exact import ADAM, CPU, MOMENTUM, Silent, checked, classifying, trained
from test_strides import bits

from conftest import Document, linear
from zoo.build import load_rows
from zoo.check import CheckedSpec
from zoo.environment import describe_run
from zoo.errors import UsageError
from zoo.training import blocks, checkpoint, near, rounding
from zoo.training import state as training_state
from zoo.training.distributed import World
from zoo.training.loop import Training
from zoo.training.near import require_alone
from zoo.training.recording import Recorder
from zoo.training.strides import PLAIN
from zoo.training.ways import linear as linear_product

MLP: list[Document] = [
    {"type": "Flatten"},
    {"type": "Linear", "out_features": 16},
    {"type": "ReLU"},
    {"type": "Dropout", "p": 0.2},
    {"type": "Linear", "out_features": "classes"},
]
EACH_STEP = {"type": "LinearLR", "interval": "step"}
CYCLE = {"type": "OneCycleLR", "max_lr": 0.01, "interval": "step"}  # moves Adam's betas too
PRODUCTS = "train.exact is false: 4 products of matrices by oneDNN, which differ in their last bits"
AT_ONCE = "train.exact is false: 10 steps at once, which differ in their last bits"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Take products of any size, in trainings of any length, and blocks of 20 rows."""
    torch.set_num_threads(1)
    monkeypatch.setattr(near, "SEEKS", 0)
    monkeypatch.setattr(rounding, "LEAST_PRODUCTS", 1)
    monkeypatch.setattr(blocks, "ROWS", 20)
    caplog.set_level("INFO", "zoo")


def mlp(exact: bool = False, **changes: Any) -> CheckedSpec:
    """A spec of 50 steps, the last of them smaller."""
    train = {"epochs": 2, "batch_size": 16, "exact": exact}
    return classifying(MLP, [1, 14, 14], **({"train": train, "optimizer": ADAM} | changes))


def line(exact: bool = False, batch_size: int = 2, **changes: Any) -> CheckedSpec:
    """A spec of two epochs of 50 steps."""
    train = {"epochs": 2, "batch_size": batch_size, "exact": exact}
    return checked(linear(data__samples=100, optimizer={"type": "SGD", "lr": 1e-4}, train=train, **changes))


def begun(spec: CheckedSpec, path: Path | None = None) -> Training:
    """A training before its first step, or as a checkpoint has it."""
    splits = {split: load_rows(spec, split) for split in spec.spec.data.splits}
    rows = len(splits["train"])
    state = training_state.begin(spec, CPU, rows) if path is None else checkpoint.resume(path, spec, CPU, rows)
    return Training(state, spec, splits, Silent(), lambda state: None)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (mlp(optimizer=MOMENTUM, scheduler=EACH_STEP), PRODUCTS),
        (mlp(scheduler=CYCLE), PRODUCTS),
        (line(), AT_ONCE),
        (line(batch_size=3, scheduler={"type": "StepLR", "step_size": 1, "gamma": 0.5}), AT_ONCE.replace("10", "6")),
    ],
    ids=["momentum", "cycle", "line", "line of batches"],
)
def test_a_training_that_is_resumed_anywhere_has_the_bits_of_the_whole(
    spec: CheckedSpec, told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, _ = trained(spec)
    assert told in caplog.messages
    for advances in (1, 4, 6):
        training = begun(spec)
        state, strides = training.state, training.strides
        order = state.order(len(training.feed.rows)) if spec.spec.train.shuffle else None
        losses = state.begin_losses(training.feed.steps)
        state.model.train()
        for _ in range(advances):
            strides._stride = 1
            training.course.advance(order, losses, training.feed.steps)
        assert strides.replays == (advances > PLAIN)
        checkpoint.save(tmp_path / "last.pt", state)
        torch.manual_seed(99)
        resumed = begun(spec, tmp_path / "last.pt")
        list(resumed.run())
        assert bits(resumed.state) == bits(whole)
    assert not [message for message in caplog.messages if "plain" in message]


@pytest.mark.parametrize("exact", [False, True])
def test_frozen_layers_have_the_same_bits_in_a_training_that_is_resumed_in_its_last_epoch(
    exact: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide = [{**layer, "out_features": 256} if layer.get("out_features") == 16 else layer for layer in MLP]
    train = {"epochs": 2, "batch_size": 64, "exact": exact}
    spec = classifying(wide, [1, 32, 32], optimizer=MOMENTUM, freeze=["1.*"], train=train)
    whole, _ = trained(spec)
    assert "the frozen layers up to 3 are computed once, for 397 rows" in caplog.messages
    training = begun(spec)
    next(training.run())
    checkpoint.save(tmp_path / "last.pt", training.state)
    resumed = begun(spec, tmp_path / "last.pt")
    list(resumed.run())
    assert bits(resumed.state) == bits(whole)


@pytest.mark.parametrize("spec", [mlp, line])
def test_near_steps_end_near_plain_ones_and_their_losses_too(spec: Any) -> None:
    ours = begun(spec())
    rows = list(ours.run())
    plain = begun(spec(exact=True))
    for mine, other in zip(rows, list(plain.run()), strict=True):
        assert float(mine["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=1e-5)
    assert ours.strides.replays
    for one, two in zip(ours.state.model.parameters(), plain.state.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_steps_at_once_give_several_targets(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(60, 4)).astype("f4")
    np.savez(tmp_path / "rows.npz", inputs=inputs, targets=inputs @ draw.normal(size=(4, 3)).astype("f4"))
    document = linear(
        data={"type": "ArrayFile", "file": str(tmp_path / "rows.npz")},
        model__layers=[{"type": "Linear", "out_features": 3}],
        train={"epochs": 2, "batch_size": 2},
    )
    trainings = []
    for exact in (False, True):
        training = begun(checked(document | {"train": document["train"] | {"exact": exact}}))
        trainings.append((training, list(training.run())))
    (ours, rows), (plain, others) = trainings
    assert ours.strides.replay is not None
    assert ours.strides.replay.block == 10
    assert [row["train_loss"] for row in rows] == pytest.approx([row["train_loss"] for row in others], rel=1e-5)
    for one, two in zip(ours.state.model.parameters(), plain.state.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_a_product_that_is_wrong_is_found_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected, _ = trained(mlp(exact=True))
    monkeypatch.setattr(rounding, "linear", lambda *given: f"torch.ops.aten.mul({linear_product(*given)}, 1.0001)")
    state, training = trained(mlp())
    assert not training.strides.replays
    assert caplog.messages == [
        "steps are not replayed, and take longer: "
        "oneDNN's product of two matrices is farther from torch's than rounding explains"
    ]
    assert bits(state) == bits(expected)


def test_steps_at_once_that_are_wrong_are_found_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected, _ = trained(line(exact=True))
    monkeypatch.setattr(blocks, "TEXT", blocks.TEXT.replace("2.0 * numbers", "2.001 * numbers"))
    state, _ = trained(line())
    assert caplog.messages == [
        "steps are not replayed, and take longer: steps at once differ from plain ones by more than rounding explains"
    ]
    assert bits(state) == bits(expected)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (line, "steps at once differ from plain ones by more than rounding explains"),
        (mlp, "replayed steps differ from plain ones in their bits"),
    ],
)
def test_steps_that_would_not_shorten_gradients_are_found(
    spec: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    document = spec().spec.document()
    training = begun(checked(document | {"train": document["train"] | {"clip_grad_norm": 0.01}}))
    training.strides.moves = True
    list(training.run())
    assert caplog.messages == [f"steps are not replayed, and take longer: {told}"]


@pytest.mark.parametrize(
    ("spec", "least", "told"),
    [
        (line, 1000, "its 100 steps are too few"),
        (lambda **said: line(batch_size=40, **said), 0, "no part of a step is known to be faster with other last bits"),
        (
            lambda **said: line(loss={"type": "MSELoss", "reduction": "sum"}, **said),
            0,
            "no part of a step is known to be faster with other last bits",
        ),
        (
            lambda **said: line(train__clip_grad_norm=0.01, **said),
            0,
            "no part of a step is known to be faster with other last bits",
        ),
    ],
    ids=["short", "large batches", "a sum", "shortened gradients"],
)
def test_where_nothing_is_faster_the_bits_are_plain_and_it_is_said(
    spec: Any, least: int, told: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(near, "SEEKS", least)
    monkeypatch.setattr(rounding, "LEAST_PRODUCTS", 2**20)
    assert bits(trained(spec())[0]) == bits(trained(spec(exact=True))[0])
    assert caplog.messages == [f"train.exact is false and changes nothing: {told}; the bits are the plain loop's"]


def test_a_product_that_others_take_keeps_its_relu() -> None:
    given = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    with Recorder(x=given) as recorder:
        own = given.mm(given)
        own.relu() + own
    assert [len(lines) for lines in rounding.rounded(recorder).values()] == [1]
    assert "relu" not in str(rounding.rounded(recorder))


def test_several_processes_and_other_devices_are_refused() -> None:
    train = line().spec.train
    require_alone(train, CPU, World.alone)
    with pytest.raises(UsageError, match="one process on the CPU, not for cuda"):
        require_alone(train, torch.device("cuda"), World.alone)
    require_alone(line(exact=True).spec.train, torch.device("cuda"), World.alone)


def test_a_run_says_that_its_bits_are_others() -> None:
    assert describe_run(CPU, line())["bits"] == "others than the plain loop's in the last places"
    assert "bits" not in describe_run(CPU, line(exact=True))
