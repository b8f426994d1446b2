"""Distributed: the processes of one training, what they tell one another, and how one of them leaves.

All of them draw the same order, each takes its share of each batch, and rank 0 alone writes and prints.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from zoo.errors import DeviceError, Interrupted, ProcessLost, UsageError, ZooError
from zoo.processes import Seat, seat

LEADER_SPEAKS = timedelta(seconds=3)  # what rank 0 is given to tell an error that all have
TOLD = "zoo/told"

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """Which process this is, of how many."""

    rank: int = 0
    """Counted from 0 over all machines; rank 0 writes and prints."""
    size: int = 1
    local_rank: int = 0
    """Counted from 0 on this machine."""
    local_size: int = 1
    shards: bool = False
    """Whether each process has a part of every tensor, so that all must run the model together."""

    alone: ClassVar[World]
    """A training of one process."""

    @property
    def several(self) -> bool:
        """Return whether there are others."""
        return self.size > 1

    def with_strategy(self, strategy: str) -> World:
        """Return the world of a training of this strategy."""
        return replace(self, shards=self.several and strategy == "fsdp")

    @property
    def leads(self) -> bool:
        """Return whether this process writes and prints."""
        return self.rank == 0

    def share(self, start: int, stop: int) -> tuple[int, int]:
        """Return this process' part of the rows of a batch from `start` to `stop`; shares differ by a row at most.

        Where there are fewer rows than processes, some shares are empty.
        """
        rows = stop - start
        return start + rows * self.rank // self.size, start + rows * (self.rank + 1) // self.size

    def some(self, start: int, stop: int) -> tuple[int, int]:
        """Return the share, or the first row where the share is empty: a model takes no batch without rows."""
        first, last = self.share(start, stop)
        return (first, last) if first < last else (start, start + 1)

    def total(self, tensor: Tensor) -> Tensor:
        """Return the tensor, which now holds the sum over all processes."""
        if self.several:
            dist.all_reduce(tensor)
        return tensor

    def largest(self, *numbers: int) -> list[int]:
        """Return the largest of each number over all processes."""
        if not self.several:
            return list(numbers)
        found = torch.tensor(numbers)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        largest: list[int] = found.tolist()
        return largest

    def gathered(self, value: T) -> list[T]:
        """Return what each process has, in the order of their ranks."""
        if not self.several:
            return [value]
        found: list[T] = [value] * self.size
        dist.all_gather_object(found, value)
        return found

    def led(self, value: T) -> T:
        """Return what rank 0 has."""
        if not self.several:
            return value
        found = [value]
        dist.broadcast_object_list(found)
        return found[0]

    def meet(self) -> None:
        """Wait until all processes are here."""
        self.largest(0)

    def require_agreement(self, subject: str, value: object) -> None:
        """Refuse to go on where processes have read different things.

        Raises:
            UsageError: a process has another value than rank 0.
        """
        values = self.gathered(value)
        others = [rank for rank, other in enumerate(values) if other != values[0]]
        if others:
            message = f"process {others[0]} of {self.size} has {subject} {values[others[0]]}, process 0 {values[0]}"
            raise UsageError(message, "give all machines the same files and the same options")

    def device_name(self, name: str) -> str:
        """Return the device that this process takes of those a person asks for: each one its own GPU.

        Raises:
            DeviceError: one GPU is named for several processes, or there are fewer GPUs than processes.
        """
        if not self.several or name == "cpu" or not torch.cuda.is_available():
            return name
        if name not in ("auto", "cuda"):
            remedy = "write --device cuda, or choose GPUs with CUDA_VISIBLE_DEVICES"
            raise DeviceError(f"--device {name} for {self.size} processes: each takes a GPU of its own", remedy)
        count = torch.cuda.device_count()
        if self.local_size > count:
            message = f"{self.local_size} processes on this machine, but {count} GPUs"
            raise DeviceError(message, f"start at most {count}, or write --device cpu")
        return f"cuda:{self.local_rank}"


World.alone = World()


@contextmanager
def joined() -> Iterator[World]:
    """Yield the world of this process; at the end it leaves the others, and tells an error that nobody has told yet.

    Raises:
        UsageError: the processes cannot talk to one another.
        SystemExit: an error ended the block, and the person has been told.
    """
    place = seat()
    if place is None or place.size == 1:
        yield World.alone
        return
    parent, store = os.getppid(), _join(place)
    world = World(place.rank, place.size, place.local_rank, place.local_size)
    try:
        yield world
    except ZooError as error:
        _tell(world, store if os.getppid() == parent else None, error, place.own)
        sys.exit(128 + error.signal_number if isinstance(error, Interrupted) else error.exit_status)
    except RuntimeError as error:
        if not is_lost(error):
            raise
        _tell(world, store if os.getppid() == parent else None, lost(), place.own)
        sys.exit(ProcessLost.exit_status)
    dist.destroy_process_group()


def _join(place: Seat) -> Store:
    """Return what all processes can write to and read from, once all have come.

    Raises:
        UsageError: torch cannot do it here.
    """
    if not dist.is_available() or not dist.is_gloo_available():
        raise UsageError(
            "this torch has no gloo, which processes talk by", "install torch from PyPI, or use one process"
        )
    try:
        reached: tuple[Store, int, int] = next(iter(rendezvous("env://")))
        store, rank, size = reached
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    except (RuntimeError, ValueError) as error:
        message = f"process {place.rank} cannot reach the others: {str(error).splitlines()[0]}"
        raise UsageError(message, "see that MASTER_ADDR and MASTER_PORT are reached from each machine") from error
    return store


def is_lost(error: BaseException) -> bool:
    """Return whether torch says that another process is gone."""
    said = str(error)
    return isinstance(error, dist.DistError) or "/gloo/" in said or "NCCL" in said or "Connection closed" in said


def lost() -> ProcessLost:
    """Return what to say where another process is gone."""
    return ProcessLost("another process of this training has ended", "go on with: zoo train --resume RUN")


def _tell(world: World, store: Store | None, error: ZooError, own: bool) -> None:
    """Print an error, once of all processes: rank 0 does where it has it too, and the launcher where one was killed.

    Without the store, which ends with the launcher, rank 0 alone speaks.
    """
    if isinstance(error, ProcessLost) and own:
        return  # the launcher knows which one it was, and how it ended
    if store is None:
        if world.leads:
            print(error, file=sys.stderr, flush=True)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if not world.leads:
                store.wait([TOLD], LEADER_SPEAKS)
        except RuntimeError:
            pass  # rank 0 has nothing to say, or is gone
        try:
            first = store.add(TOLD, 1) == 1
        except RuntimeError:
            first = world.leads
    if first:
        print(error, file=sys.stderr, flush=True)
