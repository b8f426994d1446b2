"""The loop: bit for bit the plain PyTorch loop, exact on resume, and loud when it diverges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from conftest import Document, linear
from zoo.build import load_rows
from zoo.check import CheckedSpec, check
from zoo.errors import Diverged, Interrupted
from zoo.source import Source
from zoo.training import checkpoint
from zoo.training import state as training_state
from zoo.training.loop import Training
from zoo.training.state import State
from zoo.training.watching import Moment, Row

CPU = torch.device("cpu")
HIDDEN = [
    {"type": "Linear", "out_features": 16},
    {"type": "BatchNorm1d"},
    {"type": "ReLU"},
    {"type": "Dropout", "p": 0.3},
    {"type": "Linear", "out_features": 1},
]


class Silent:
    """A watcher that notes the losses it is shown."""

    def __init__(self) -> None:
        self.seen: list[Moment] = []

    def on_step(self, moment: Moment) -> None:
        self.seen.append(moment)

    def on_row(self, row: Row) -> None:
        pass


def checked(**changes: object) -> CheckedSpec:
    return check(Source("spec.json", "", linear(**changes)))


def training(spec: CheckedSpec, state: State, save: Callable[[State], None] = lambda state: None) -> Training:
    splits = {split: load_rows(spec, split) for split in spec.spec.data.splits}
    return Training(state, spec, splits, Silent(), save)


def weights(state: State) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in state.model.state_dict().values()]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def plain_loop(spec: CheckedSpec) -> tuple[list[bytes], list[float]]:
    """The tutorials' loop: DataLoader, zero_grad, backward, step; and the mean loss of each epoch."""
    train, document = load_rows(spec, "train"), spec.spec
    torch.manual_seed(document.train.seed)
    width = train.inputs.shape[1]
    model: nn.Module = nn.Sequential(
        nn.Linear(width, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1)
    )
    optimizer = document.optimizer.build(model.named_parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    loss_function = nn.MSELoss()
    loader = DataLoader(
        TensorDataset(train.inputs, train.targets),
        batch_size=document.train.batch_size,
        shuffle=document.train.shuffle,
        generator=torch.Generator().manual_seed(document.train.seed),
    )
    means = []
    for _ in range(document.train.epochs or 0):
        model.train()
        total = 0.0
        for inputs, targets in loader:
            loss = loss_function(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(inputs)
        means.append(total / len(train))
        scheduler.step()
    return [tensor.numpy().tobytes() for tensor in model.state_dict().values()], means


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    "optimizer",
    [{"type": "SGD", "lr": 0.01, "momentum": 0.9}, {"type": "Adam"}, {"type": "AdamW", "lr": 0.01}],
    ids=str,
)
def test_weights_are_those_of_the_plain_loop_bit_for_bit(optimizer: Document, shuffle: bool) -> None:
    spec = checked(
        model__layers=HIDDEN,
        optimizer=optimizer,
        scheduler={"type": "StepLR", "step_size": 2, "gamma": 0.5},
        data__samples=50,
        train={"epochs": 5, "batch_size": 8, "shuffle": shuffle, "seed": 3},
    )
    state = training_state.begin(spec, CPU)
    rows = list(training(spec, state).run())
    expected, means = plain_loop(spec)
    assert weights(state) == expected
    assert [row["train_loss"] for row in rows] == pytest.approx(means, rel=1e-12)


def test_two_trainings_of_a_spec_give_the_same_bits() -> None:
    spec = checked(model__layers=HIDDEN)
    first, second = training_state.begin(spec, CPU), training_state.begin(spec, CPU)
    list(training(spec, first).run())
    second = training_state.begin(spec, CPU)
    list(training(spec, second).run())
    assert weights(first) == weights(second)


def test_another_seed_gives_other_bits() -> None:
    found = []
    for seed in (0, 1):
        spec = checked(train__seed=seed)
        state = training_state.begin(spec, CPU)
        list(training(spec, state).run())
        found.append(weights(state))
    assert found[0] != found[1]


def test_each_epoch_is_measured() -> None:
    spec = checked(train__epochs=3)
    rows = list(training(spec, training_state.begin(spec, CPU)).run())
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert set(rows[0]) == {"epoch", "lr", "train_loss", "test_loss", "test_mean_absolute_error", "seconds"}


def test_the_rate_of_each_epoch_is_the_one_it_was_trained_with() -> None:
    spec = checked(train__epochs=4, scheduler={"type": "StepLR", "step_size": 2, "gamma": 0.5})
    rows = list(training(spec, training_state.begin(spec, CPU)).run())
    assert [row["lr"] for row in rows] == [0.01, 0.01, 0.005, 0.005]


def test_a_sum_is_reported_as_a_sum_for_each_row() -> None:
    mean, total = (checked(loss__reduction=r, optimizer__lr=1e-30, train__epochs=1) for r in ("mean", "sum"))
    measured = [next(iter(training(spec, training_state.begin(spec, CPU)).run())) for spec in (mean, total)]
    for name in ("train_loss", "test_loss"):
        assert measured[0][name] == pytest.approx(measured[1][name], rel=1e-6)


@pytest.mark.parametrize("stop", [(0, 0), (0, 1), (2, 4), (3, 0), (5, 6)], ids=str)
def test_a_stopped_training_resumes_to_the_same_bits(
    stop: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = checked(
        model__layers=HIDDEN,
        data__samples=50,
        scheduler={"type": "StepLR", "step_size": 2},
        optimizer={"type": "Adam"},
        train={"epochs": 6, "batch_size": 8},
    )
    undisturbed = training_state.begin(spec, CPU)
    expected = list(training(spec, undisturbed).run())

    state = training_state.begin(spec, CPU)
    path = tmp_path / "last.pt"
    stopped = training(spec, state, lambda state: checkpoint.save(path, state))
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        list(stop_at(stopped, stop, patched).run())
    torch.manual_seed(99)  # whatever else the process draws
    resumed = checkpoint.resume(path, spec, CPU, 50)
    assert (resumed.epoch, resumed.step) == stop
    rows = list(training(spec, resumed).run())
    assert weights(resumed) == weights(undisturbed)
    last = {key: value for key, value in rows[-1].items() if key != "seconds"}
    assert last == {key: value for key, value in expected[-1].items() if key != "seconds"}


def stop_at(training: Training, stop: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> Training:
    """Let a signal come before step `stop[1]` of epoch `stop[0]`."""

    class Scripted:
        def __enter__(self) -> Scripted:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        @property
        def received(self) -> int | None:
            return 2 if (training.state.epoch, training.state.step) == stop else None

    monkeypatch.setattr("zoo.training.loop.Interruption", Scripted)
    return training


def test_a_loss_that_diverges_is_told_with_its_step_and_the_last_finite_loss() -> None:
    spec = checked(optimizer__lr=100.0, train={"epochs": 50, "batch_size": 4})
    plain = training_state.begin(spec, CPU)
    with pytest.raises(
        Diverged, match=r"the loss is (inf|nan) in epoch \d+, step \d of 5; the last finite loss: .*e\+"
    ) as told:
        list(training(spec, plain).run())
    assert told.value.remedy == "lower optimizer.lr (it is 100), for example --set optimizer.lr=0.1"


def test_a_loss_that_is_never_finite_says_so() -> None:
    spec = checked(data__weights=[1e30, 1.0])
    with pytest.raises(
        Diverged, match=r"the loss is inf in epoch 1, step 1 of 5; the last finite loss: there was none"
    ):
        list(training(spec, training_state.begin(spec, CPU)).run())


def test_a_test_loss_that_diverges_is_told() -> None:
    spec = checked(optimizer__lr=1e20, train={"epochs": 1, "batch_size": 20})
    with pytest.raises(
        Diverged, match=r"the test loss after epoch 1 is (inf|nan); the last finite loss: .*, in training"
    ):
        list(training(spec, training_state.begin(spec, CPU)).run())


def test_a_test_loss_that_diverges_amid_an_epoch_is_told_with_its_step() -> None:
    spec = checked(optimizer__lr=1e20, train={"epochs": 1, "batch_size": 4, "evaluate_every": 1})
    with pytest.raises(Diverged, match=r"the test loss in epoch 1, after step 1 of 5, is (inf|nan); the last finite"):
        list(training(spec, training_state.begin(spec, CPU)).run())


def test_the_loss_is_shown_while_training() -> None:
    spec = checked()
    running = training(spec, training_state.begin(spec, CPU))
    list(running.run())
    assert isinstance(running.watcher, Silent)
    assert [(moment.epoch, moment.step, moment.done) for moment in running.watcher.seen] == [(1, 5, 5), (2, 5, 10)]


STEPPED = [{"steps": 17}, {"epochs": 3}, {"epochs": 3, "evaluate_every": 4}, {"steps": 17, "evaluate_every": 17}]


@pytest.mark.parametrize("length", STEPPED, ids=str)
def test_how_often_a_model_is_measured_changes_no_weight(length: Document) -> None:
    found = []
    for changes in (length, {key: value for key, value in length.items() if key != "evaluate_every"}):
        spec = checked(model__layers=HIDDEN, data__samples=50, train={"batch_size": 8, **changes})
        state = training_state.begin(spec, CPU)
        list(training(spec, state).run())
        found.append(weights(state))
    assert found[0] == found[1]


def test_so_many_steps_are_the_plain_loop_that_is_left_in_the_middle() -> None:
    spec = checked(
        model__layers=HIDDEN,
        data__samples=50,
        scheduler={"type": "StepLR", "step_size": 1, "gamma": 0.5},
        train={"steps": 17, "batch_size": 8, "accumulation": 2},
    )
    state = training_state.begin(spec, CPU)
    rows = list(training(spec, state).run())
    assert [(row["epoch"], row["step"], row["lr"]) for row in rows] == [(1, 7, 0.01), (2, 14, 0.005), (3, 17, 0.0025)]

    train = load_rows(spec, "train")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    generator = torch.Generator().manual_seed(0)
    loader = DataLoader(TensorDataset(train.inputs, train.targets), batch_size=8, shuffle=True, generator=generator)
    for steps in (7, 7, 3):
        batches = list(loader)[:steps]
        for start in range(0, steps, 2):
            group = batches[start : start + 2]
            optimizer.zero_grad()
            for inputs, targets in group:
                loss = nn.functional.mse_loss(model(inputs), targets) / len(group)
                loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
            optimizer.step()
        scheduler.step()
    assert weights(state) == [tensor.numpy().tobytes() for tensor in model.state_dict().values()]


def test_a_measurement_covers_the_steps_since_the_last_one() -> None:
    by_step = checked(train={"epochs": 2, "batch_size": 4, "evaluate_every": 1, "shuffle": False})
    several = checked(train={"epochs": 2, "batch_size": 4, "evaluate_every": 3, "shuffle": False})
    losses = [float(row["train_loss"]) for row in training(by_step, training_state.begin(by_step, CPU)).run()]
    rows = list(training(several, training_state.begin(several, CPU)).run())
    assert [row["step"] for row in rows] == [3, 6, 9, 10]
    means = [sum(losses[start : start + 3]) / len(losses[start : start + 3]) for start in range(0, 10, 3)]
    assert [row["train_loss"] for row in rows] == pytest.approx(means, rel=1e-12)


def test_patience_counts_measurements() -> None:
    stopping = {"patience": 2, "min_delta": 1e9}
    train = {"epochs": 9, "batch_size": 4, "evaluate_every": 2, "early_stopping": stopping}
    spec = checked(data__validation=0.2, train=train)
    rows = list(training(spec, training_state.begin(spec, CPU, 16)).run())
    assert [row["step"] for row in rows] == [2, 4, 6, 8]


def test_a_rate_falls_on_a_plateau_of_measurements() -> None:
    scheduler = {"type": "ReduceLROnPlateau", "interval": "evaluation", "patience": 0, "threshold": 1e9}
    train = {"epochs": 2, "batch_size": 4, "evaluate_every": 2}
    spec = checked(data__validation=0.2, scheduler=scheduler | {"threshold_mode": "abs"}, train=train)
    rows = list(training(spec, training_state.begin(spec, CPU, 16)).run())
    assert [row["lr"] for row in rows] == pytest.approx([0.01, 0.01, 0.001, 0.0001])
