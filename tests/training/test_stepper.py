"""What the way of training says is what a plain PyTorch loop with the same words does, bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from conftest import linear
from zoo.build import load_rows
from zoo.check import CheckedSpec, check
from zoo.losses import LOSSES, Loss
from zoo.source import Source
from zoo.training import checkpoint
from zoo.training import state as training_state
from zoo.training.feed import feed_of
from zoo.training.loop import Training
from zoo.training.objective import class_counts
from zoo.training.state import State
from zoo.training.watching import Moment, Row

TO_FLOAT = {"type": "ToDtype", "dtype": "float32", "scale": True}
CPU = torch.device("cpu")
LAYERS = [
    {"type": "Linear", "out_features": 8},
    {"type": "BatchNorm1d"},
    {"type": "ReLU"},
    {"type": "Dropout", "p": 0.3},
    {"type": "Linear", "out_features": 1},
]


class Silent:
    """A watcher that looks away."""

    def on_step(self, moment: Moment) -> None:
        pass

    def on_row(self, row: Row) -> None:
        pass


def checked(train: dict[str, Any], **changes: object) -> CheckedSpec:
    document = linear(
        model__layers=LAYERS,
        data__validation=0.2,
        data__samples=25,
        train={"epochs": 2, "batch_size": 3, **train},
        **changes,
    )
    return check(Source("spec.json", "", document))


def training(spec: CheckedSpec, state: State, kept: Callable[[State], None] = lambda state: None) -> Training:
    splits = {split: load_rows(spec, split) for split in spec.spec.data.splits}
    return Training(state, spec, splits, Silent(), lambda state: None, kept)


def trained(spec: CheckedSpec) -> State:
    state = training_state.begin(spec, CPU, len(load_rows(spec, "train")))
    list(training(spec, state).run())
    return state


def bits(model: nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in model.state_dict().values()]


@dataclass
class Plain:
    """The loop of the tutorials, with places to put something in."""

    spec: CheckedSpec
    accumulation: int = 1
    dtype: torch.dtype | None = None
    clip: Callable[[nn.Module], object] = lambda model: None
    mean: AveragedModel | None = None
    ema: float | None = None
    scaler: torch.amp.GradScaler | None = None
    model: nn.Module = field(init=False)

    def run(self) -> nn.Module:
        rows, document = load_rows(self.spec, "train"), self.spec.spec
        torch.manual_seed(document.train.seed)
        width = rows.inputs.shape[1]
        self.model = nn.Sequential(nn.Linear(width, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        if self.ema is not None:
            mean: Any = get_ema_multi_avg_fn(self.ema)  # type: ignore[no-untyped-call]  # torch gives it no types
            self.mean = AveragedModel(self.model, multi_avg_fn=mean, use_buffers=True)
        loader = DataLoader(
            TensorDataset(rows.inputs, rows.targets),
            batch_size=document.train.batch_size,
            shuffle=True,
            generator=torch.Generator().manual_seed(document.train.seed),
        )
        for _ in range(document.train.epochs or 0):
            self.model.train()
            batches = list(loader)
            for start in range(0, len(batches), self.accumulation):
                group = batches[start : start + self.accumulation]
                optimizer.zero_grad()
                for inputs, targets in group:
                    loss = self._loss(inputs, targets)
                    share = loss / len(group) if self.accumulation > 1 else loss
                    (share if self.scaler is None else self.scaler.scale(share)).backward()
                if self.scaler is None:
                    self.clip(self.model)
                    optimizer.step()
                else:
                    self.scaler.unscale_(optimizer)
                    self.clip(self.model)
                    self.scaler.step(optimizer)
                    self.scaler.update()
                if self.mean is not None:
                    self.mean.update_parameters(self.model)
        return self.model

    def _loss(self, inputs: Tensor, targets: Tensor) -> Any:
        with torch.autocast("cpu", self.dtype or torch.bfloat16, enabled=self.dtype is not None):
            return nn.functional.mse_loss(self.model(inputs), targets)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("count", [2, 4, 7])
def test_accumulated_gradients_are_their_mean(count: int) -> None:
    spec = checked({"accumulation": count})
    assert bits(trained(spec).model) == bits(Plain(spec, accumulation=count).run())


def test_a_norm_is_clipped() -> None:
    spec = checked({"clip_grad_norm": 0.1})
    plain = Plain(spec, clip=lambda model: nn.utils.clip_grad_norm_(model.parameters(), 0.1)).run()
    assert bits(trained(spec).model) == bits(plain)


def test_values_are_clipped() -> None:
    spec = checked({"clip_grad_value": 0.01})
    plain = Plain(spec, clip=lambda model: nn.utils.clip_grad_value_(model.parameters(), 0.01)).run()
    assert bits(trained(spec).model) == bits(plain)


def test_clipping_changes_the_weights() -> None:
    assert bits(trained(checked({"clip_grad_norm": 0.1})).model) != bits(trained(checked({})).model)


def test_bf16_is_torchs_autocast() -> None:
    spec = checked({"precision": "bf16"})
    assert bits(trained(spec).model) == bits(Plain(spec, dtype=torch.bfloat16).run())


@pytest.mark.parametrize("changes", [{}, {"accumulation": 3}, {"clip_grad_norm": 0.1}], ids=str)
def test_fp16_is_torchs_autocast_with_its_scaler(changes: dict[str, Any]) -> None:
    spec = checked({"precision": "fp16"} | changes)
    plain = Plain(spec, accumulation=changes.get("accumulation", 1), dtype=torch.float16)
    plain.scaler = torch.amp.GradScaler("cpu")
    if "clip_grad_norm" in changes:
        plain.clip = lambda model: nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    assert bits(trained(spec).model) == bits(plain.run())


def test_fp16_trains_with_a_scaled_loss() -> None:
    state = trained(checked({"precision": "fp16"}))
    assert state.scaler is not None
    assert all(tensor.isfinite().all() for tensor in state.model.state_dict().values())
    assert bits(state.model) != bits(trained(checked({})).model)


def test_the_mean_of_the_weights_is_torchs_and_is_what_is_measured() -> None:
    spec = checked({"ema": 0.9})
    plain = Plain(spec, ema=0.9)
    plain.run()
    state = trained(spec)
    assert plain.mean is not None
    assert bits(state.measured) == bits(plain.mean.module)
    assert bits(state.measured) != bits(state.model)


def test_the_balanced_sampler_draws_as_torchs_weighted_one() -> None:
    targets = torch.tensor([0] * 9 + [1])
    weights = (1 / torch.bincount(targets).double())[targets]
    generator = torch.Generator().manual_seed(3)
    state = training_state.begin(checked({"seed": 3}), CPU)
    torch.empty((), dtype=torch.int64).random_(generator=generator)
    expected = list(WeightedRandomSampler(weights.tolist(), 10, generator=generator))
    drawn = state.draw_order(10, weights).tolist()
    assert drawn == expected
    assert 2 <= sum(row == 9 for row in drawn) <= 8


STOPPING = {"early_stopping": {"patience": 1, "min_delta": 1e9}, "epochs": 30}


def test_a_training_stops_when_nothing_becomes_better() -> None:
    state = trained(checked(STOPPING))
    assert (state.best_evaluation, state.epoch) == (1, 3)


def test_the_best_weights_are_kept_when_they_come() -> None:
    spec = checked(STOPPING)
    kept: list[tuple[int, list[bytes]]] = []
    state = training_state.begin(spec, CPU, len(load_rows(spec, "train")))
    list(training(spec, state, lambda state: kept.append((state.epoch, bits(state.measured)))).run())
    assert [epoch for epoch, _ in kept] == [1]
    assert kept[0][1] != bits(state.measured)


EVERYTHING = {
    "epochs": 4,
    "accumulation": 2,
    "clip_grad_norm": 0.5,
    "ema": 0.8,
    "precision": "fp16",
    "early_stopping": {"patience": 9},
}


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_training_with_everything_goes_on_to_the_same_bits(epochs: int, tmp_path: Any) -> None:
    spec = checked(EVERYTHING, scheduler={"type": "StepLR", "step_size": 3, "interval": "step"})
    rows = len(load_rows(spec, "train"))
    whole = trained(spec)
    state = training_state.begin(spec, CPU, rows)
    running = training(spec, state).run()
    for _ in range(epochs):
        next(running)
    checkpoint.save(tmp_path / "last.pt", state)
    torch.manual_seed(99)
    resumed = checkpoint.resume(tmp_path / "last.pt", spec, CPU, rows)
    list(training(spec, resumed).run())
    assert bits(resumed.model) == bits(whole.model)
    assert bits(resumed.measured) == bits(whole.measured)
    assert copy.copy(resumed.best) == whole.best


def test_what_stands_below_a_frozen_layer_alone_stays_in_evaluation() -> None:
    layers = [
        {"type": "Linear", "out_features": 4, "id": "body"},
        {"type": "BatchNorm1d", "affine": False, "id": "norm"},
        {"type": "Dropout", "id": "drop"},
        {"type": "Linear", "out_features": 1, "id": "head"},
    ]
    document = linear(model__layers=layers, freeze=["body.*"], data__samples=24)
    spec = check(Source("spec.json", "", document))
    assert spec.frozen_layers == ("body", "norm", "drop")
    before = bits(training_state.begin(spec, CPU).model)
    state = training_state.begin(spec, CPU, 24)
    list(training(spec, state).run())
    after = bits(state.model)
    names = list(state.model.state_dict())
    moved = [name for name, old, new in zip(names, before, after, strict=True) if old != new]
    assert moved == ["head.weight", "head.bias"]


def test_balanced_weights_are_those_of_the_training_split() -> None:
    targets = torch.tensor([0] * 6 + [1] * 2)
    declared = LOSSES.validate({"type": "CrossEntropyLoss", "weight": "balanced"})
    assert isinstance(declared, Loss)
    counts = class_counts(targets, 2).tolist()
    weight = declared.balanced(counts).build().get_buffer("weight")
    assert weight.tolist() == pytest.approx([8 / (2 * 6), 8 / (2 * 2)])


def test_the_balanced_sampler_of_a_feed_weighs_rows_by_their_class() -> None:
    data = {"type": "FakeImages", "size": 12, "image_size": [1, 2, 2], "num_classes": 3, "transforms": [TO_FLOAT]}
    layers = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
    document = linear(data=data, model__layers=layers, loss={"type": "CrossEntropyLoss"}, metrics=[])
    document["train"] = {"epochs": 1, "batch_size": 4, "sampler": "balanced"}
    spec = check(Source("spec.json", "", document))
    rows = load_rows(spec, "train")
    weights = feed_of(spec, rows).weights
    assert weights is not None
    for number in set(rows.targets.tolist()):
        assert float(weights[rows.targets == number].sum()) == pytest.approx(1)
