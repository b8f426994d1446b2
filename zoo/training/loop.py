"""The training loop: short, and bit for bit the plain PyTorch loop of the tutorials.

Rows live on the device and are batched by index. The loss of each step stays there too; it is read a few times a
second, so that no step waits for it, and a NaN is still reported with the step it came in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NoReturn, Protocol

import torch
from torch import optim

from zoo.check import CheckedSpec
from zoo.data import Rows, Split
from zoo.errors import Diverged, Interrupted, WorkerLost
from zoo.training.clock import Clock
from zoo.training.distributed import World
from zoo.training.features import HeldOut, Known, known_features, repeats
from zoo.training.feed import Feed, feed_of
from zoo.training.frozen import still_modules
from zoo.training.interruption import Interruption
from zoo.training.objective import Objective, objective_of
from zoo.training.pace import Pace
from zoo.training.parallel import SharedStrides, shared_strides
from zoo.training.state import State
from zoo.training.stepper import Stepper
from zoo.training.streaming import Stream
from zoo.training.strides import Strides

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
    checked: CheckedSpec
    splits: Mapping[Split, Rows | Stream]
    """What the source has of train, validation and test, on the state's device."""
    watcher: Watcher
    save: Callable[[State], None]
    """Writes a checkpoint."""

    keep_best: Callable[[State], None] = lambda state: None
    """Writes the weights that are the best so far."""
    clock: Clock = field(default_factory=Clock)
    """Says when a checkpoint is due."""
    world: World = World.alone
    """The processes that train together."""

    @cached_property
    def objective(self) -> Objective:
        """Return the spec's loss and metrics."""
        counted = self.splits["train"].targets if self.checked.spec.loss.counts_classes else None
        return objective_of(self.checked, self.state.device, counted)

    @cached_property
    def feed(self) -> Feed:
        """Return the steps of an epoch; their rows are features where these are known."""
        return self.known.feed

    @cached_property
    def known(self) -> Known:
        """Return the steps behind what the frozen layers give, computed once where that pays and is the same."""
        feed = feed_of(self.checked, self.splits["train"], self.world)
        return known_features(self.checked.spec, self.state, feed)

    @cached_property
    def held_out(self) -> dict[Split, HeldOut]:
        """Return the evaluation of each split that is not trained on."""
        repeated = repeats(self.checked.spec, self.state)
        kept = {split: rows for split, rows in self.splits.items() if split != "train"}
        return {split: HeldOut(self.objective, rows, self.world, repeated) for split, rows in kept.items()}

    @cached_property
    def stepper(self) -> Stepper:
        """Return what a step does."""
        declared = self.checked.spec.scheduler
        scheduler = self.state.scheduler if declared is not None and declared.interval == "step" else None
        return Stepper(self.state, self.checked.spec.train, self.objective, self.feed.steps, scheduler, self.known.tail)

    @cached_property
    def strides(self) -> Strides:
        """Return what does the steps of one process, one or many at once."""
        steps, done = self.feed.steps, self.state.epoch * self.feed.steps + self.state.step
        return Strides(self.stepper, self.feed, self.checked.spec.train.epochs * steps - done)

    @cached_property
    def course(self) -> Strides | SharedStrides:
        """Return what does the steps."""
        return shared_strides(self.stepper, self.feed, self.world) if self.world.several else self.strides

    @property
    def ended(self) -> bool:
        """Return whether all epochs are done, or no better one has come for too long."""
        state, train = self.state, self.checked.spec.train
        stopping = train.early_stopping
        waited = state.epoch - state.best_epoch
        return state.epoch >= train.epochs or (stopping is not None and waited > stopping.patience)

    def run(self) -> Iterator[Row]:
        """Train to the end, and yield the measurements after each epoch.

        Raises:
            Diverged: a loss is NaN or infinite.
            Interrupted: a signal came; a checkpoint is written first.
            OutputError: a checkpoint cannot be written.
        """
        state = self.state
        frozen = still_modules(state.model, self.checked.frozen_layers)
        with Interruption() as interruption, _deterministic(self.checked.spec.train.deterministic):
            pace = Pace(interruption, self.world, READ_EVERY)
            while not self.ended:
                started = time.perf_counter()
                state.model.train()
                for module in frozen:
                    module.eval()
                train_loss = self._epoch(pace)
                rate = float(state.optimizer.param_groups[0]["lr"])
                row: Row = {"epoch": state.epoch + 1, "lr": rate, "train_loss": train_loss}
                try:
                    row |= self._measure("validation") if "validation" in self.splits else {}
                    row |= self._measure("test")
                except WorkerLost as error:
                    self._give_up(error, pace)
                state.next_epoch()
                self._schedule(row)
                self._compare(row)
                row["seconds"] = round(time.perf_counter() - started, 4)
                yield row
                self.watcher.on_epoch(row)

    def _measure(self, split: Split) -> Row:
        """Return the loss and the metrics of a split.

        Raises:
            Diverged: the loss is NaN or infinite.
        """
        measured = self.held_out[split].evaluate(self.state.measured)
        for name, value in measured.items():
            if not math.isfinite(value):
                raise Diverged(
                    f"the {split} {name} after epoch {self.state.epoch + 1} is {value}; "
                    f"the last finite loss: {self.state.last_loss:.6g}, in training",
                    self._remedy(),
                )
        return {f"{split}_{name}": value for name, value in measured.items()}

    def _schedule(self, row: Row) -> None:
        """Move the learning rate at the end of an epoch."""
        declared, scheduler = self.checked.spec.scheduler, self.state.scheduler
        if scheduler is None or declared is None or declared.interval == "step":
            return
        if isinstance(scheduler, optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step(row[f"validation_{declared.watched}"])
        else:
            scheduler.step()

    def _compare(self, row: Row) -> None:
        """Note and keep the weights that are better than any before."""
        stopping = self.checked.spec.train.early_stopping
        if stopping is None:
            return
        value = float(row[f"validation_{stopping.metric}"])
        if stopping.better(value, self.state.best):
            self.state.best, self.state.best_epoch = value, self.state.epoch
            self.keep_best(self.state)

    def _epoch(self, pace: Pace) -> float:
        """Train from `state.step` to the end of the epoch; return the mean loss of its rows."""
        state, feed, stepper = self.state, self.feed, self.stepper
        steps = feed.steps
        order = state.draw_order(len(feed.rows), feed.weights) if self.checked.spec.train.shuffle else None
        losses = state.begin_losses(steps)
        seen = state.step
        while state.step < steps:
            if pace.signal is not None and stepper.between_moves:
                self._interrupt(pace.signal)
            try:
                self.course.advance(order, losses, steps)
            except WorkerLost as error:
                self._give_up(error, pace)
                continue
            if pace.is_due():
                self._look(losses[seen : state.step], seen, steps)
                seen = state.step
                if stepper.between_moves:
                    self.clock.run(partial(self.save, state))
        self._look(losses[seen:], seen, steps)
        counts = feed.counts if self.objective.averaged else torch.ones(steps, dtype=torch.float64)
        return float((losses.cpu().double() * counts).sum() / feed.counts.sum())

    def _interrupt(self, signal_number: int) -> NoReturn:
        """Write a checkpoint between two moves of the weights, and leave."""
        self.save(self.state)
        state, epochs = self.state, self.checked.spec.train.epochs
        where = f"in epoch {state.epoch + 1} of {epochs}, after step {state.step} of {self.feed.steps}"
        raise Interrupted(where, "zoo train --resume", signal_number)

    def _give_up(self, error: WorkerLost, pace: Pace) -> None:
        """Leave with a checkpoint after a process that reads rows was lost; return where gradients wait to be used.

        A signal that is sent to a group of processes ends the readers too. Several processes that train together write
        a checkpoint together, and the others are not here.

        Raises:
            WorkerLost: the error.
            Interrupted: a signal came.
        """
        if self.world.several:
            raise error
        if pace.signal is not None:
            if self.stepper.between_moves:
                self._interrupt(pace.signal)
            return
        if self.stepper.between_moves:
            self.save(self.state)
        raise error

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


@contextmanager
def _deterministic(wanted: bool) -> Iterator[None]:
    """Let torch refuse kernels whose results vary, where that is wanted; its setting comes back at the end."""
    before = torch.are_deterministic_algorithms_enabled()
    if not wanted or before:
        yield  # a call that changes nothing would still import torch's compiler
        return
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
