"""One side of a comparison: the same training by zoo or by another library, in a process of its own.

Run by peers.py: it writes a line with a number of steps and of seconds, the side trains on until both are reached,
answers with what that took, and waits. So each library trains in the way that it teaches, with its own loop and its
own callbacks, and only its steady state is timed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter, process_time

import array_sides
import torch
from array_sides import SHOWN
from torch import Tensor, nn, optim

from training import CPU, WORKS, Ours, Plain, Work, from_memory
from zoo.build import initialized_model, load_rows
from zoo.check import CheckedSpec, check_file
from zoo.data import Rows
from zoo.economy import settle
from zoo.training.objective import Objective, objective_of


@dataclass
class Side:
    """What is trained, and the clock that is told of every step."""

    work: Work
    checked: CheckedSpec
    data: Path
    loss: Callable[[], float] = lambda: float("nan")
    """What is told after the first command."""
    _wanted: float = 0
    _until: float = 0.0
    _steps: int = 0
    _begun: tuple[float, float] = (0.0, 0.0)
    _answers: object = field(default_factory=lambda: sys.stdout)

    @cached_property
    def rows(self) -> Rows:
        """Return the training split, decoded and transformed."""
        rows = load_rows(self.checked, "train")
        assert isinstance(rows, Rows)
        return rows

    @cached_property
    def model(self) -> nn.Module:
        """Return the model with the weights that every side begins with."""
        torch.manual_seed(self.checked.spec.train.seed)
        return initialized_model(self.checked).train()

    @cached_property
    def objective(self) -> Objective:
        """Return the loss of the spec."""
        return objective_of(self.checked, CPU)

    @cached_property
    def batches(self) -> Iterable[tuple[Tensor, Tensor]]:
        """Return the DataLoader of the tutorial."""
        return self.tutorials.batches(self.checked, self.data)  # type: ignore[misc]  # it has some

    @property
    def tutorials(self) -> Work:
        """Return the work with a DataLoader, as the tutorials have one also where tensors stand in memory."""
        return self.work if self.work.batches is not None else replace(self.work, batches=from_memory)

    @property
    def large(self) -> bool:
        """Return whether a step takes so long that few are enough to come to a steady state."""
        return self.work.batches is None

    @property
    def shown(self) -> slice:
        """Return the rows whose loss is told."""
        return slice(SHOWN // 20 if self.large else SHOWN)

    @property
    def sgd(self) -> tuple[float, float]:
        """Return lr and momentum of SGD, by which the specs of simple layers train."""
        optimizer = self.checked.spec.optimizer
        return getattr(optimizer, "lr"), getattr(optimizer, "momentum")  # noqa: B009  # one of a union

    def optimizer(self) -> optim.Optimizer:
        """Return torch's optimizer of the model."""
        return self.checked.spec.optimizer.build(self.model.named_parameters())

    def loss_of(self, model: nn.Module) -> float:
        """Return the loss of the first rows."""
        with torch.no_grad():
            return float(self.objective(model(self.rows.inputs[self.shown]), self.rows.targets[self.shown]))

    def begin(self, loss: Callable[[], float]) -> None:
        """Wait for the first command; `loss` gives the loss of the first rows."""
        self.loss = loss
        sys.stdout = sys.stderr  # libraries print, too
        self._wait()

    def tell(self, steps: int = 1) -> None:
        """Count so many steps; answer and wait where that was the last of a command."""
        self._steps += steps
        now = perf_counter()
        if self._steps < self._wanted or now < self._until:
            return
        answer = {"steps": self._steps, "cpu": process_time() - self._begun[0], "wall": now - self._begun[1]}
        print(json.dumps(answer | {"loss": self.loss()}), file=sys.__stdout__, flush=True)
        self.loss = lambda: float("nan")
        self._wait()

    def _wait(self) -> None:
        line = sys.stdin.readline()
        if not line:
            os._exit(0)  # libraries catch what is raised inside their loops
        self._wanted, seconds = json.loads(line)
        self._steps = 0
        self._begun = process_time(), perf_counter()
        self._until = self._begun[1] + seconds


def tutorial(side: Side) -> None:
    """Train by the tutorial's own loop."""
    _by_hand(side, Plain(side.checked, side.tutorials, side.data))


def in_memory(side: Side) -> None:
    """Train by the same loop over tensors in memory, batched by index."""
    _by_hand(side, Plain(side.checked, replace(side.work, batches=None), side.data))


def _by_hand(side: Side, plain: Plain) -> None:
    side.begin(lambda: side.loss_of(plain.model))
    while True:
        plain.run(1)
        side.tell()


def zoo(side: Side) -> None:
    """Train by zoo's loop."""
    ours, stride = Ours(side.checked), side.work.steps * side.work.faster
    side.begin(lambda: side.loss_of(ours.model))
    while True:
        ours.run(stride)
        side.tell(stride)


def zoo_near(side: Side) -> None:
    """Train by zoo's loop to other last bits."""
    spec = side.checked.spec
    near = spec.model_copy(update={"train": spec.train.model_copy(update={"exact": False})})
    zoo(replace(side, checked=replace(side.checked, spec=near)))


def lightning(side: Side) -> None:
    """Train by Lightning's Trainer, which is asked for nothing beside the training."""
    from lightning.pytorch import Callback, LightningModule, Trainer

    class Module(LightningModule):  # type: ignore[misc]  # not installed where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.model = side.model

        def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
            inputs, targets = batch
            return side.objective(self.model(inputs), targets)

        def configure_optimizers(self) -> optim.Optimizer:
            return side.optimizer()

    class Told(Callback):  # type: ignore[misc]  # as above
        def on_train_batch_end(self, *passed: object) -> None:
            side.tell()

    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary"), False)
    trainer = Trainer(max_epochs=-1, accelerator="cpu", devices=1, callbacks=[Told()], **quiet)
    side.begin(lambda: side.loss_of(side.model))
    trainer.fit(Module(), side.batches)


def fabric(side: Side) -> None:
    """Train by a loop with Lightning Fabric."""
    from lightning.fabric import Fabric

    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    model, optimizer = made.setup(side.model, side.optimizer())
    _by_library(side, model, optimizer, made.setup_dataloaders(side.batches), made.backward)


def accelerate(side: Side) -> None:
    """Train by a loop with Accelerate."""
    from accelerate import Accelerator

    made = Accelerator(cpu=True)
    model, optimizer, batches = made.prepare(side.model, side.optimizer(), side.batches)
    _by_library(side, model, optimizer, batches, made.backward)


def _by_library(
    side: Side,
    model: nn.Module,
    optimizer: optim.Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    backward: Callable[[Tensor], None],
) -> None:
    side.begin(lambda: side.loss_of(side.model))
    while True:
        for inputs, targets in batches:
            loss = side.objective(model(inputs), targets)
            optimizer.zero_grad()
            backward(loss)
            optimizer.step()
            side.tell()


def skorch(side: Side) -> None:
    """Train by skorch, on arrays: NeuralNetRegressor, NeuralNetClassifier, or NeuralNet for a class in each place."""
    from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
    from skorch.callbacks import Callback

    class Told(Callback):  # type: ignore[misc]  # as above
        def on_batch_end(self, *passed: object, **named: object) -> None:
            side.tell()

    class Loss(nn.Module):
        def forward(self, output: Tensor, targets: Tensor) -> Tensor:
            return side.objective(output, targets)

    train, targets = side.checked.spec.train, side.rows.targets
    classifies = isinstance(side.objective.loss, nn.CrossEntropyLoss)
    kind = NeuralNet if targets.dim() > 1 and classifies else NeuralNetClassifier if classifies else NeuralNetRegressor
    net = kind(
        side.model,
        criterion=Loss,
        optimizer=lambda *parameters, **options: side.optimizer(),
        batch_size=train.batch_size,
        max_epochs=10**9,
        iterator_train__shuffle=train.shuffle,
        train_split=None,
        callbacks=[("told", Told())],
        callbacks__print_log=None,
    )
    side.begin(lambda: side.loss_of(side.model))
    net.fit(side.rows.inputs.numpy(), targets.numpy())


SIDES: dict[str, Callable[[Side], None]] = {
    each.__name__: each  # by the names of peers.py
    for each in (tutorial, in_memory, zoo, zoo_near, lightning, fabric, accelerate, skorch)
} | array_sides.SIDES


def main() -> None:
    """Train until stdin ends: python sides.py SIDE SPEC DATA."""
    name, spec, data = sys.argv[1:]
    (work,) = (work for work in WORKS if work.spec == spec)
    torch.set_num_threads(1)
    settle()  # as `zoo train` does; here for every side
    checked = check_file(work.spec, [change.format(data=data) for change in work.changes])
    SIDES[name](Side(work, checked, Path(data)))


if __name__ == "__main__":
    main()
