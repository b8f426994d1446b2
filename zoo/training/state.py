"""State: all that a training is at a step.

The sampler draws as `DataLoader(shuffle=True, generator=g)` does, the numbers that go unused included, so that the same
seed gives the same batches.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn, optim

from zoo.build import build_optimizer, initialized_model
from zoo.check import CheckedSpec
from zoo.training.average import Average


@dataclass
class State:
    """Model, optimizer, scheduler, generators, and how far the training has come."""

    model: nn.Module
    optimizer: optim.Optimizer
    scheduler: optim.lr_scheduler.LRScheduler | None
    sampler: torch.Generator
    """Draws the order of the rows; on the CPU whatever the device."""
    device: torch.device
    spec_sha256: str
    """Of which spec the training is."""
    epoch: int = 0
    """Whole epochs done."""
    step: int = 0
    """Steps done in the epoch that has begun."""
    losses: torch.Tensor | None = None
    """The loss of each step of the epoch that has begun, (steps,); those not yet done are 0."""
    last_loss: float | None = None
    """The last finite loss that was read."""
    sampler_before: torch.Tensor | None = None
    """The sampler's state before the order of the epoch that has begun was drawn."""
    scaler: torch.amp.GradScaler | None = None
    """Scales the loss, where the precision needs it."""
    average: Average | None = None
    """The running mean of the weights, where the spec keeps one."""
    best: float | None = None
    """The best measurement so far, where the spec stops early."""
    best_evaluation: int = 0
    """Which measurement it was, counted from 1."""
    evaluations: int = 0
    """Measurements done."""
    carried: float = 0.0
    """The losses of the rows since the last measurement, summed over the epochs that have ended since."""
    drawn: torch.Tensor | None = None
    """The order of the epoch that has begun, once it is drawn; a checkpoint holds what it is drawn from."""
    others: list[dict[str, torch.Tensor]] = field(default_factory=list)
    """The generators of the other processes, in the order of their ranks."""
    whole: State | None = None
    """Where the tensors are shared out over processes: what is brought up to date for writing, on the CPU."""

    @property
    def measured(self) -> nn.Module:
        """Return the model that is measured and kept: the mean of the weights, or the weights."""
        module: nn.Module = self.model if self.average is None else self.average.module
        return module

    def order(self, rows: int, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the order of the epoch that has begun, as `draw_order` gives it."""
        if self.drawn is None:
            self.drawn = self.draw_order(rows, weights)
        return self.drawn

    def draw_order(self, rows: int, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the epoch's order of the rows, (rows,), on the device; with weights, rows drawn with replacement."""
        self.sampler_before = self.sampler.get_state()
        torch.empty((), dtype=torch.int64).random_(generator=self.sampler)  # DataLoader's seed for its workers
        if weights is not None:
            return torch.multinomial(weights, rows, replacement=True, generator=self.sampler).to(self.device)
        order = torch.randperm(rows, generator=self.sampler)
        torch.randperm(rows, generator=self.sampler)  # RandomSampler's order of the remainder, which is empty
        return order.to(self.device)

    def begin_losses(self, steps: int) -> torch.Tensor:
        """Return the buffer for the epoch's losses; after a resume it holds those of the steps already done."""
        if self.losses is None:
            self.losses = torch.zeros(steps, device=self.device)
        return self.losses

    def next_epoch(self) -> None:
        """Count the epoch as done."""
        self.epoch, self.step = self.epoch + 1, 0
        self.losses = self.sampler_before = self.drawn = None


def begin(checked: CheckedSpec, device: torch.device, rows: int | None = None) -> State:
    """Return the state before the first step, as `torch.manual_seed(seed)` followed by building gives it.

    Args:
        checked: the spec.
        device: where the training runs.
        rows: how many an epoch has; by default as many as the data declares.

    Raises:
        RunError: tensors that the spec loads are not there.
    """
    torch.manual_seed(checked.spec.train.seed)
    return prepared(checked, initialized_model(checked), device, rows)


def prepared(checked: CheckedSpec, model: nn.Module, device: torch.device, rows: int | None) -> State:
    """Return the state of a model before the first step, with all that trains it."""
    model = model.to(device)
    expected = checked.example.training_rows or 1 if rows is None else rows
    optimizer, scheduler = build_optimizer(checked, model.named_parameters(), expected)
    train = checked.spec.train
    sampler = torch.Generator().manual_seed(train.seed)
    state = State(model, optimizer, scheduler, sampler, device, checked.spec.sha256())
    if train.precision == "fp16":
        state.scaler = torch.amp.GradScaler(device.type)
    if train.ema is not None:
        state.average = Average(model, train.ema)
    return state
