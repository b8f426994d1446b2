"""The training loop: short, and bit for bit the plain PyTorch loop of the tutorials.

Rows live on the device and are batched by index. The loss of each step stays there too; it is read a few times a
second, so that no step waits for it, and a NaN is still reported with the step it came in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import nn

from zoo.data import Rows
from zoo.errors import Diverged, Interrupted
from zoo.spec import Spec
from zoo.training.evaluation import evaluate
from zoo.training.interruption import Interruption
from zoo.training.state import State

READ_EVERY = 0.2  # seconds between two looks at the loss

Row = dict[str, float | int]
"""One line of metrics.jsonl."""


class Watcher(Protocol):
    """Who looks on while a model is trained."""

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """See a loss, a few times a second; `step` of `steps` are done in `epoch`, counted from 1."""

    def on_epoch(self, row: Row) -> None:
        """See the measurements after an epoch."""


@dataclass(frozen=True)
class Training:
    """One training: where it stands, what it works on, and who is told."""

    state: State
    spec: Spec
    train: Rows
    """On the state's device, like `test`."""
    test: Rows
    watcher: Watcher
    save: Callable[[State], None]
    """Writes a checkpoint."""

    @cached_property
    def loss(self) -> nn.Module:
        """Return the spec's loss."""
        return self.spec.loss.build()

    def run(self) -> Iterator[Row]:
        """Train to the end, and yield the measurements after each epoch.

        Raises:
            Diverged: a loss is NaN or infinite.
            Interrupted: a signal came; a checkpoint is written first.
            OutputError: a checkpoint cannot be written.
        """
        state, spec = self.state, self.spec
        with Interruption() as interruption:
            while state.epoch < spec.train.epochs:
                started = time.perf_counter()
                state.model.train()
                train_loss = self._epoch(interruption)
                rate = float(state.optimizer.param_groups[0]["lr"])
                if state.scheduler is not None:
                    state.scheduler.step()
                state.next_epoch()
                measured = evaluate(state.model, self.loss, spec.metrics, self.test)
                if not math.isfinite(measured["loss"]):
                    raise Diverged(
                        f"the test loss after epoch {state.epoch} is {measured['loss']}; "
                        f"the last finite loss: {state.last_loss:.6g}, in training",
                        self._remedy(),
                    )
                row: Row = {"epoch": state.epoch, "lr": rate, "train_loss": train_loss}
                row |= {f"test_{name}": value for name, value in measured.items()}
                row["seconds"] = round(time.perf_counter() - started, 4)
                yield row
                self.watcher.on_epoch(row)

    def _epoch(self, interruption: Interruption) -> float:
        """Train from `state.step` to the end of the epoch; return the mean loss of its rows."""
        state, size, rows = self.state, self.spec.train.batch_size, self.train
        model, optimizer, loss = state.model, state.optimizer, self.loss
        steps = -(-len(rows) // size)
        order = state.draw_order(len(rows)) if self.spec.train.shuffle else None
        losses = state.begin_losses(steps)
        seen, looked = state.step, time.perf_counter()
        while state.step < steps:
            if interruption.received is not None:
                self.save(state)
                where = f"in epoch {state.epoch + 1} of {self.spec.train.epochs}, after step {state.step} of {steps}"
                raise Interrupted(where, "zoo train --resume", interruption.received)
            start = state.step * size
            if order is None:
                # A copy, as DataLoader makes: an in-place first layer would overwrite the data.
                inputs, targets = rows.inputs[start : start + size].clone(), rows.targets[start : start + size]
            else:
                batch = order[start : start + size]
                inputs, targets = rows.inputs[batch], rows.targets[batch]
            value = loss(model(inputs), targets)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses[state.step] = value.detach()
            state.step += 1
            if time.perf_counter() - looked > READ_EVERY:
                self._look(losses[seen : state.step], seen, steps)
                seen, looked = state.step, time.perf_counter()
        self._look(losses[seen:], seen, steps)
        counts = torch.full((steps,), size if self.spec.loss.reduction == "mean" else 1, dtype=torch.float64)
        if self.spec.loss.reduction == "mean":
            counts[-1] = len(rows) - size * (steps - 1)
        return float((losses.cpu().double() * counts).sum() / len(rows))

    def _look(self, losses: torch.Tensor, first: int, steps: int) -> None:
        """Read losses, the first of which is of step `first`, counted from 0; show the last one.

        Raises:
            Diverged: one of them is NaN or infinite.
        """
        for step, loss in enumerate(losses.tolist(), first + 1):
            if not math.isfinite(loss):
                before = "there was none" if self.state.last_loss is None else f"{self.state.last_loss:.6g}"
                where = f"in epoch {self.state.epoch + 1}, step {step} of {steps}"
                raise Diverged(f"the loss is {loss} {where}; the last finite loss: {before}", self._remedy())
            self.state.last_loss = loss
        if self.state.last_loss is not None:
            self.watcher.on_step(self.state.epoch + 1, first + len(losses), steps, self.state.last_loss)

    def _remedy(self) -> str:
        rate = float(self.state.optimizer.param_groups[0]["lr"])
        return f"lower optimizer.lr (it is {rate:g}), for example --set optimizer.lr={rate / 10:g}"
