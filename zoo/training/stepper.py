"""Stepper: what one step does to the weights: forward, backward, and, when it is time, the move."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn, optim

from zoo.plan import Plan
from zoo.train import Train
from zoo.training import optimization
from zoo.training.objective import Objective
from zoo.training.state import State

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(train: Train, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which the forward pass and the loss are computed."""
    return nullcontext() if train.precision == "fp32" else torch.autocast(device.type, DTYPES[train.precision])


@dataclass(frozen=True)
class Stepper:
    """The steps of a training; with the options at their defaults, those of the plain PyTorch loop bit for bit."""

    state: State
    train: Train
    objective: Objective
    plan: Plan
    scheduler: optim.lr_scheduler.LRScheduler | None
    """The one that counts steps, if any."""
    tail: nn.Module | None = None
    """What is left of the model behind features that are known; None for all of it."""

    @cached_property
    def forward(self) -> Callable[[Tensor], Tensor]:
        """Return the model, compiled where the spec says so.

        Each size of a batch has code of its own: code for any size, which torch makes after a smaller last step, draws
        dropout otherwise, and a training that is resumed would have it from another step on.
        """
        # Any: torch.compile gives it no types.
        model: Any = self.state.model if self.tail is None else self.tail
        forward: Callable[[Tensor], Tensor] = torch.compile(model, dynamic=False) if self.train.compile else model
        return forward

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, (), after its gradients are added and the weights moved, where it is time."""
        value = self.gradients(inputs, targets)
        self.count()
        return value

    @property
    def moves_next(self) -> bool:
        """Return whether the weights move at the end of the next step."""
        following = self.state.step + 1
        return following % self.train.accumulation == 0 or following == self.plan.steps_of(self.state.epoch)

    def count(self) -> None:
        """Count a step whose gradients are added, and move the weights where it is time."""
        moves = self.moves_next
        self.state.step += 1
        if moves:
            self.clip()
            self.after_move(self.move())

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, (), that gradients can be taken of."""
        with self.precision():
            return self.objective(self.forward(inputs), targets)

    def gradients(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, (), after its gradients are added."""
        value = self.loss(inputs, targets)
        self.backward(value)
        return value.detach()

    def backward(self, value: Tensor) -> None:
        """Add the gradients of a loss, ()."""
        state, count = self.state, self.train.accumulation
        place = state.step % count
        first = state.step - place
        if place == 0:
            state.optimizer.zero_grad()
        share = value if count == 1 else value / min(count, self.plan.steps_of(state.epoch) - first)
        scaled: Tensor = share if state.scaler is None else state.scaler.scale(share)
        scaled.backward()  # type: ignore[no-untyped-call]  # torch gives it no types

    @property
    def between_moves(self) -> bool:
        """Return whether no gradient waits, so that a checkpoint holds all there is."""
        state = self.state
        return state.step % self.train.accumulation == 0 or state.step == self.plan.steps_of(state.epoch)

    def precision(self) -> AbstractContextManager[object]:
        """Return the context in which the forward pass and the loss are computed."""
        return autocast(self.train, self.state.device)

    def move(self) -> bool:
        """Move the weights by the gradients; return whether they moved."""
        state = self.state
        if state.scaler is None:
            optimization.step(state.optimizer)
            return True
        before = state.scaler.get_scale()
        state.scaler.step(state.optimizer)
        state.scaler.update()
        return state.scaler.get_scale() >= before  # a step whose gradients overflow is left out

    def after_move(self, moved: bool) -> None:
        """Do what follows the weights: their running mean, and the scheduler that counts steps."""
        if self.state.average is not None:
            self.state.average.update_parameters(self.state.model)
        if self.scheduler is not None and moved:
            self.scheduler.step()

    def clip(self) -> None:
        """Shorten the gradients, where the spec says so."""
        norm, value = self.train.clip_grad_norm, self.train.clip_grad_value
        if norm is None and value is None:
            return
        if self.state.scaler is not None:
            self.state.scaler.unscale_(self.state.optimizer)
        if norm is not None:
            nn.utils.clip_grad_norm_(self.state.model.parameters(), norm)
        if value is not None:
            nn.utils.clip_grad_value_(self.state.model.parameters(), value)
