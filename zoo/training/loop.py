"""The training loop: short, and bit for bit the plain PyTorch loop of the tutorials.

Rows live on the device and are batched by index. From one measurement to the next lies a stretch of steps: by default
an epoch, else as many as the spec says, wherever epochs end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NoReturn

import torch
from torch import nn

from zoo.check import CheckedSpec
from zoo.data import Rows, Split
from zoo.errors import Interrupted, WorkerLost
from zoo.plan import Plan
from zoo.training.clock import Clock
from zoo.training.distributed import World
from zoo.training.features import HeldOut, Known, known_features, repeats
from zoo.training.feed import Feed, feed_of
from zoo.training.frozen import still_modules
from zoo.training.interruption import Interruption
from zoo.training.measuring import improved, measure, schedule
from zoo.training.near import NearStrides
from zoo.training.objective import Objective, objective_of
from zoo.training.pace import Pace
from zoo.training.parallel import SharedStrides, shared_strides
from zoo.training.reading import Reader, rate_of
from zoo.training.state import State
from zoo.training.stepper import Stepper
from zoo.training.streaming import Stream
from zoo.training.strides import Strides
from zoo.training.watching import Row, Watcher

READ_EVERY = 0.2  # seconds between two looks at the loss


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
        repeated = repeats(self.checked.spec, self.state, len(self.splits["train"])) and not self.world.several
        kept = {split: rows for split, rows in self.splits.items() if split != "train"}
        return {split: HeldOut(self.objective, rows, self.world, repeated) for split, rows in kept.items()}

    @cached_property
    def stepper(self) -> Stepper:
        """Return what a step does."""
        declared = self.checked.spec.scheduler
        scheduler = self.state.scheduler if declared is not None and declared.interval == "step" else None
        return Stepper(self.state, self.checked.spec.train, self.objective, self.plan, scheduler, self.known.tail)

    @cached_property
    def strides(self) -> Strides:
        """Return what does the steps of one process, one or many at once."""
        done = self.state.epoch * self.plan.steps + self.state.step
        return Strides(self.stepper, self.feed, self.plan.total - done)

    @cached_property
    def course(self) -> Strides | NearStrides | SharedStrides:
        """Return what does the steps."""
        if self.world.several:
            return shared_strides(self.stepper, self.feed, self.world)
        return self.strides if self.checked.spec.train.exact else NearStrides(self.strides)

    @cached_property
    def plan(self) -> Plan:
        """Return when epochs end, when the model is measured, and when all is done."""
        return self.checked.spec.train.plan(len(self.splits["train"]))

    @cached_property
    def still(self) -> list[nn.Module]:
        """Return the modules that stay in evaluation mode."""
        return list(still_modules(self.state.model, self.checked.frozen_layers))

    @property
    def ended(self) -> bool:
        """Return whether all steps are done, or nothing better has come for too long."""
        state, stopping = self.state, self.checked.spec.train.early_stopping
        waited = state.evaluations - state.best_evaluation
        return state.evaluations >= self.plan.evaluations or (stopping is not None and waited > stopping.patience)

    def run(self) -> Iterator[Row]:
        """Train to the end, and yield each measurement.

        Raises:
            Diverged: a loss is NaN or infinite.
            Interrupted: a signal came; a checkpoint is written first.
            OutputError: a checkpoint cannot be written.
        """
        with Interruption() as interruption, _deterministic(self.checked.spec.train.deterministic):
            pace = Pace(interruption, self.world, READ_EVERY)
            while not self.ended:
                started = time.perf_counter()
                train_loss = self._stretch(pace)
                row = self._measured(train_loss, pace)
                row["seconds"] = round(time.perf_counter() - started, 4)
                yield row
                self.watcher.on_row(row)

    def checkpoint(self) -> None:
        """Write a checkpoint where it is time, and no gradient waits."""
        if self.stepper.between_moves:
            self.clock.run(partial(self.save, self.state))

    def _stretch(self, pace: Pace) -> float:
        """Train up to the next measurement; return the mean loss of the rows since the last one."""
        state, plan = self.state, self.plan
        first, end = plan.stretch(state.evaluations)
        reader = Reader(state, self.checked, plan, self.watcher)
        state.model.train()
        for module in self.still:
            module.eval()
        while True:
            begun = state.epoch * plan.steps
            losses = self._steps(pace, reader, max(0, first - begun), min(plan.steps, end - begun))
            if begun + state.step == end:
                return (state.carried + losses) / (plan.rows_after(end) - plan.rows_after(first))
            state.carried += losses
            self._end_epoch(None)

    def _steps(self, pace: Pace, reader: Reader, first: int, end: int) -> float:
        """Train from `state.step` up to a step of the epoch; return its rows' losses from step `first` on, summed."""
        state, feed, stepper = self.state, self.feed, self.stepper
        order = state.order(len(feed.rows), feed.weights) if self.checked.spec.train.shuffle else None
        losses = state.begin_losses(feed.steps)
        while state.step < end:
            if pace.signal is not None and stepper.between_moves:
                self._interrupt(pace.signal)
            try:
                self.course.advance(order, losses, end)
            except WorkerLost as error:
                self._give_up(error, pace)
                continue
            if pace.is_due():
                reader.read()
                self.checkpoint()
        reader.read()
        counts = feed.counts if self.objective.averaged else torch.ones_like(feed.counts)
        return float((losses.cpu().double() * counts)[first:end].sum())

    def _measured(self, train_loss: float, pace: Pace) -> Row:
        """Measure the model; note that, and the end of an epoch; keep the weights where they are better than before."""
        state, plan, checked = self.state, self.plan, self.checked
        row: Row = {"epoch": state.epoch + 1}
        if plan.counts_steps:
            row["step"] = plan.stretch(state.evaluations)[1]
        row |= {"lr": rate_of(state), "train_loss": train_loss}
        try:
            row |= measure(checked, state, self.held_out, plan.steps)
        except WorkerLost as error:
            self._give_up(error, pace)
            raise
        state.evaluations, state.carried = state.evaluations + 1, 0.0
        self._end_epoch(row)
        if improved(checked, state, row):
            self.keep_best(state)
        return row

    def _interrupt(self, signal_number: int) -> NoReturn:
        """Write a checkpoint between two moves of the weights, and leave."""
        self.save(self.state)
        state = self.state
        where = f"in epoch {state.epoch + 1} of {self.plan.epochs}, after step {state.step} of {self.feed.steps}"
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

    def _end_epoch(self, row: Row | None) -> None:
        """Move the learning rate, and count the epoch if it is at its end."""
        ended = self.state.step == self.plan.steps
        schedule(self.checked, self.state, row, ended)
        if ended:
            self.state.next_epoch()


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
