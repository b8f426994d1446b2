"""Stream: a split that does not fit into memory, read step by step by other processes while the model is trained.

The rows, their order and their random numbers are those of a split in memory, and so are the weights, bit for bit.
Processes are torch's DataLoader workers. Its generator is one of our own, because it would draw from torch's global
one, which dropout and the order of the rows follow from.
"""

from __future__ import annotations

import multiprocessing
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zoo.build import chain
from zoo.data.augmentation import augmented
from zoo.data.stored import Stored
from zoo.economy import cores
from zoo.errors import DataError, WorkerLost
from zoo.transforms import Transform

MOST_WORKERS = 8  # by default; more seldom pay


class Step(NamedTuple):
    """What a step needs."""

    numbers: Sequence[int]
    """Of the rows."""
    seed: int | None
    """Of the augmentation of this epoch; None where nothing is augmented."""


class Refused(NamedTuple):
    """An error on its way out of a worker; torch would make a traceback of it."""

    message: str
    remedy: str


@dataclass(frozen=True)
class Reader(Dataset[Any]):  # Any: torch wants a type for what differs by worker
    """What a worker has: it makes the rows of a step."""

    stored: Stored
    early: tuple[Transform, ...]
    random: tuple[Transform, ...]
    threads: int | None
    """How many decode at once."""

    def __getitem__(self, step: Step) -> tuple[Tensor, Tensor] | Refused:
        """Return inputs and targets, before the late transforms."""
        try:
            return self.read(step)
        except DataError as error:
            return Refused(error.message, error.remedy)

    def read(self, step: Step) -> tuple[Tensor, Tensor]:
        """Return inputs and targets, before the late transforms.

        Raises:
            DataError: a row is absent or damaged.
        """
        rows = self.stored.read(step.numbers, self.threads)
        inputs = self._early(rows.inputs)
        if step.seed is not None and self.random:
            inputs = augmented(inputs, step.numbers, self._random, step.seed)
        return inputs, rows.targets

    @cached_property
    def _early(self) -> Callable[[Tensor], Tensor]:
        return chain(self.early)

    @cached_property
    def _random(self) -> list[Callable[[Tensor], Tensor]]:
        return [transform.build() for transform in self.random]


class Stream:
    """A split that is read when it is asked for, in the place of `Rows`."""

    def __init__(
        self, reader: Reader, late: Iterable[Transform], device: torch.device, workers: int, mirrors: bool = False
    ) -> None:
        self.reader = reader
        self.device = device
        self.workers = workers
        self.mirrors = mirrors  # whether the targets are the inputs as the model is given them
        self._late = chain(late)
        self._steps: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._next: tuple[int, int] | None = None  # epoch and step

    def __len__(self) -> int:
        return len(self.reader.stored)

    @property
    def targets(self) -> Tensor:
        """Return the targets of all rows, on the CPU."""
        return self.reader.stored.targets

    def batches(self, starts: Iterable[int], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and targets of so many rows from each of these on, as the model is given them.

        Raises:
            DataError: a row is absent or damaged.
            WorkerLost: a process that reads has died.
        """
        return self._read(Step(range(start, min(start + size, len(self))), None) for start in starts)

    def stands_at(self, epoch: int, step: int) -> bool:
        """Return whether the next batch is of this step of this epoch."""
        return self._next == (epoch, step)

    def begin(self, epoch: int, step: int, steps: Iterable[Step]) -> None:
        """Read ahead from a step on, counted from 0.

        Args:
            epoch: which one.
            step: the first that is needed.
            steps: that one, and all that follow in the epoch.
        """
        self.close()
        self._steps, self._next = self._read(steps), (epoch, step)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of the next step.

        Raises:
            DataError: a row is absent or damaged.
            WorkerLost: a process that reads has died.
        """
        epoch, step = self._next or (0, 0)
        try:
            batch = next(self._steps)
        except DataError:
            self.close()
            raise
        self._next = epoch, step + 1
        return batch

    def close(self) -> None:
        """End the workers of the epoch."""
        self._steps, self._next = iter(()), None

    def _read(self, steps: Iterable[Step]) -> Iterator[tuple[Tensor, Tensor]]:
        for found in self._from_workers(steps) if self.workers else map(self.reader.__getitem__, steps):
            if isinstance(found, Refused):
                raise DataError(found.message, found.remedy)
            inputs, targets = (tensor.to(self.device, non_blocking=True) for tensor in found)
            inputs = self._late(inputs)
            yield inputs, inputs if self.mirrors else targets

    def _from_workers(self, steps: Iterable[Step]) -> Iterator[tuple[Tensor, Tensor] | Refused]:
        loader = DataLoader(
            self.reader,
            batch_size=None,
            sampler=steps,
            num_workers=self.workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),
            pin_memory=self.device.type == "cuda",
            multiprocessing_context=_context(),
        )
        with _unheard():
            batches = iter(loader)
        try:
            yield from batches
        except (RuntimeError, ConnectionError, EOFError) as error:
            lost = re.search(r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\)", str(error))
            if lost is None and isinstance(error, RuntimeError):
                raise
            # A process that dies while it hands over a batch leaves half of it in the pipe.
            who = "" if lost is None else f" (pid {lost[1].strip()})"
            raise WorkerLost(
                f"a process that reads rows has died{who}: "
                f"the machine ran out of memory or of shared memory, or somebody ended it",
                "write fewer data.workers (0: none), or a smaller train.batch_size",
            ) from error


def default_workers(laborious: bool) -> int:
    """Return how many processes read a split."""
    if not laborious:
        return 0
    return min(MOST_WORKERS, cores())


def _as_it_is(step: object) -> object:
    """Return what a worker made; torch would make tensors of the words in it."""
    return step


def _context() -> multiprocessing.context.BaseContext | None:
    """Return what starts workers in a moment; where that is not safe, torch's own choice."""
    return multiprocessing.get_context("fork") if sys.platform == "linux" else None


@contextmanager
def _unheard() -> Iterator[None]:
    """Let the workers that start inside never hear Ctrl-C, and let a death among them be found by who waits for rows.

    A terminal sends Ctrl-C to them as well, while it is the training that ends them. And torch would raise the error
    of a death wherever the training stands, be it amid a move of the weights.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before, children = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}), signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, children)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
