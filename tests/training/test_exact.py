"""Exactness: the replayed steps give the weights of the tutorials' loop, bit for bit, on one thread of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from conftest import Document, linear, noise
from zoo.build import initialized_model, load_rows
from zoo.check import CheckedSpec, check
from zoo.source import Source, read_source
from zoo.training import state as training_state
from zoo.training import strides
from zoo.training.loop import Training
from zoo.training.objective import objective_of
from zoo.training.state import State
from zoo.training.watching import Moment, Row

CPU = torch.device("cpu")
SGD = {"type": "SGD", "lr": 0.01}
MOMENTUM = {"type": "SGD", "lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.001}
ADAM = {"type": "Adam"}
ADAMW = {"type": "AdamW", "lr": 0.002}
CNN: list[Document] = [
    {"type": "Conv2d", "out_channels": 6, "kernel_size": 3},
    {"type": "BatchNorm2d"},
    {"type": "ReLU"},
    {"type": "MaxPool2d", "kernel_size": 2},
    {"type": "Dropout", "p": 0.3},
    {"type": "Flatten"},
    {"type": "Linear", "out_features": "classes"},
]


@pytest.fixture(autouse=True)
def _replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are replayed, in the fastest ways, however few there are and however long they take; on one thread."""
    torch.set_num_threads(1)
    monkeypatch.setattr(strides, "PAYS", 0.0)
    monkeypatch.setattr(strides, "SEEKS", 0)
    monkeypatch.setattr(strides, "SLOW", float("inf"))


class Silent:
    """A watcher that looks away."""

    def on_step(self, moment: Moment) -> None:
        pass

    def on_row(self, row: Row) -> None:
        pass


def checked(document: Document) -> CheckedSpec:
    return check(Source("spec.json", "", document))


def classifying(layers: list[Document], size: list[int], **changes: Any) -> CheckedSpec:
    """A spec of 200 steps: 4 epochs of 50, the last of them smaller."""
    written: Document = {"loss": {"type": "CrossEntropyLoss"}, "metrics": [], "train": {"epochs": 4, "batch_size": 8}}
    return checked(linear(data=noise(397, size, 10), model__layers=layers, **(written | changes)))


def trained(spec: CheckedSpec) -> tuple[State, Training]:
    splits = {split: load_rows(spec, split) for split in spec.spec.data.splits}
    state = training_state.begin(spec, CPU, len(splits["train"]))
    training = Training(state, spec, splits, Silent(), lambda state: None)
    list(training.run())
    return state, training


def bits(state: dict[str, torch.Tensor]) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in state.values()]


Optimize = Callable[[nn.Module], torch.optim.Optimizer]


def plain(
    spec: CheckedSpec, model: nn.Module, scheduled: bool = False, optimize: Optimize | None = None
) -> list[bytes]:
    """The weights after the tutorials' loop; the model is freshly drawn from the spec's seed."""
    document, rows = spec.spec, load_rows(spec, "train")
    optimizer = document.optimizer.build(model.named_parameters()) if optimize is None else optimize(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5) if scheduled else None
    loader = DataLoader(
        TensorDataset(rows.inputs, rows.targets),
        batch_size=document.train.batch_size,
        shuffle=document.train.shuffle,
        generator=torch.Generator().manual_seed(document.train.seed),
    )
    objective = objective_of(spec, CPU)
    model.train()
    plan = document.train.plan(len(rows))
    for epoch in range(plan.epochs):
        for inputs, targets in list(loader)[: plan.steps_of(epoch)]:
            loss = objective.loss(*objective.arrange(model(inputs), targets))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return bits(model.state_dict())


def require_exact(
    spec: CheckedSpec,
    build: Callable[[], nn.Module] | None = None,
    scheduled: bool = False,
    optimize: Optimize | None = None,
) -> Training:
    """Both loops give the same bits, and the steps were replayed."""
    state, training = trained(spec)
    assert training.strides.replays
    torch.manual_seed(spec.spec.train.seed)
    model = initialized_model(spec) if build is None else build()
    assert bits(state.model.state_dict()) == plain(spec, model, scheduled, optimize)
    return training


def linear3(optimizer: Document) -> CheckedSpec:
    return checked(
        linear(
            data={"type": "LinearFunction", "weights": [1.3, 2.9, 3.7], "samples": 100, "low": 1, "high": 50},
            optimizer=optimizer,
            train={"epochs": 2, "batch_size": 1, "shuffle": False, "seed": 5},
        )
    )


def perceptron(optimizer: Document) -> CheckedSpec:
    layers: list[Document] = [{"type": "Flatten"}]
    for width in (128, 64):
        layers += [{"type": "Linear", "out_features": width}, {"type": "ReLU"}]
    return classifying([*layers, {"type": "Linear", "out_features": "classes"}], [1, 28, 28], optimizer=optimizer)


@pytest.mark.parametrize(
    "optimizer", [{"type": "SGD", "lr": 0.00016666}, MOMENTUM | {"lr": 1e-6}, ADAM, ADAMW], ids=str
)
def test_linear3(optimizer: Document) -> None:
    training = require_exact(linear3(optimizer), lambda: nn.Sequential(nn.Linear(3, 1)))
    assert training.strides.replay is not None
    assert training.strides.replay.update is not None


@pytest.mark.parametrize("optimizer", [SGD, MOMENTUM, ADAM, ADAMW], ids=str)
def test_the_digits_perceptron(optimizer: Document) -> None:
    require_exact(
        perceptron(optimizer),
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
        ),
    )


@pytest.mark.parametrize("optimizer", [SGD, MOMENTUM, ADAM, ADAMW], ids=str)
def test_a_cnn_with_batch_normalisation_and_dropout(optimizer: Document) -> None:
    def build() -> nn.Module:
        features = (nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3), nn.Flatten())
        return nn.Sequential(*features, nn.Linear(150, 10))

    require_exact(classifying(CNN, [1, 12, 12], optimizer=optimizer), build)


def resnet18(narrower: int, steps: int, optimizer: Document | None = None) -> CheckedSpec:
    """The zoo's ResNet-18 on 3×32×32 images in steps of 4, all its layers with so many times fewer channels."""
    document = dict(read_source("resnet18").value)
    for layer in document["model"]["layers"]:
        for width in layer.keys() & {"out", "out_channels"}:
            layer[width] //= narrower
    changes = {"data": noise(200, [3, 32, 32], 10), "train": {"steps": steps, "batch_size": 4}}
    return checked(document | changes | ({} if optimizer is None else {"optimizer": optimizer}))


def gpt(text: Path, optimizer: Document) -> CheckedSpec:
    """The zoo's small GPT, in 200 steps of 2 rows of 8 letters."""
    text.write_text("To be, or not to be: that is the question.\n" * 20)
    document = dict(read_source("gpt_mini").value)
    document["data"] |= {"file": str(text), "context": 8}
    return checked(document | {"optimizer": optimizer, "train": {"steps": 200, "batch_size": 2}})


def test_resnet18_for_twelve_steps() -> None:
    require_exact(resnet18(1, 12))


@pytest.mark.parametrize("optimizer", [MOMENTUM, ADAM, ADAMW], ids=str)
def test_resnet18_with_an_eighth_of_its_channels(optimizer: Document) -> None:
    require_exact(resnet18(8, 200, optimizer))


@pytest.mark.parametrize("optimizer", [SGD, ADAM, ADAMW], ids=str)
def test_the_small_gpt(optimizer: Document, tmp_path: Path) -> None:
    require_exact(gpt(tmp_path / "input.txt", optimizer))


@pytest.mark.parametrize("options", [{"amsgrad": True}, {"weight_decay": 0.1}, {"maximize": True}], ids=str)
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_each_option_of_adam(name: str, options: Document) -> None:
    require_exact(classifying(CNN, [1, 12, 12], optimizer={"type": name} | options))


@pytest.mark.parametrize("options", [{"momentum": 0.5, "dampening": 0.1}, {"maximize": True}], ids=str)
def test_each_option_of_sgd(options: Document) -> None:
    require_exact(classifying(CNN, [1, 12, 12], optimizer=SGD | options))


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "NAdam"])
def test_other_optimizers_move_replayed_gradients(name: str) -> None:
    training = require_exact(classifying(CNN, [1, 12, 12], optimizer={"type": name}))
    assert training.strides.replay is not None
    assert training.strides.replay.update is None


def test_parameter_groups_move_at_their_own_rates() -> None:
    groups = [{"match": "*.bias", "lr": 0.1, "weight_decay": 0.0}]
    require_exact(classifying(CNN, [1, 12, 12], optimizer={"type": "AdamW", "groups": groups}))


@pytest.mark.parametrize(
    ("kind", "options"),
    [("AdamW", {"lr": 0.002, "weight_decay": 0.3}), ("SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.05})],
)
def test_biases_and_norms_that_do_not_decay_are_a_second_group_by_hand(kind: str, options: dict[str, float]) -> None:
    def optimize(model: nn.Module) -> torch.optim.Optimizer:
        decayed = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
        spared = [parameter for parameter in model.parameters() if parameter.dim() < 2]
        groups = [{"params": decayed, **options}, {"params": spared, **options, "weight_decay": 0.0}]
        made: torch.optim.Optimizer = getattr(torch.optim, kind)(groups)
        return made

    spec = classifying(CNN, [1, 12, 12], optimizer={"type": kind, "decay": "matrices", **options})
    training = require_exact(spec, optimize=optimize)
    assert training.strides.replay is not None
    assert training.strides.replay.update is not None
    other = classifying(CNN, [1, 12, 12], optimizer={"type": kind, **options})
    assert bits(trained(other)[0].model.state_dict()) != bits(training.state.model.state_dict())


def test_a_scheduler_moves_the_replayed_rate() -> None:
    scheduler = {"type": "StepLR", "step_size": 1, "gamma": 0.5}
    require_exact(classifying(CNN, [1, 12, 12], optimizer=ADAM, scheduler=scheduler), scheduled=True)


def test_two_trainings_of_a_spec_give_the_same_bits() -> None:
    spec = classifying(CNN, [1, 12, 12], optimizer=ADAM)
    (first, _), (second, _) = trained(spec), trained(spec)
    assert bits(first.model.state_dict()) == bits(second.model.state_dict())


def test_replayed_steps_pause_for_a_measurement_wherever_it_comes() -> None:
    changes = {"epochs": None, "steps": 130, "evaluate_every": 7}
    require_exact(classifying(CNN, [1, 12, 12], optimizer=ADAM, train={"batch_size": 8} | changes))
