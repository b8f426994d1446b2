"""Captured: the gradients of a step as a CUDA graph, whose kernels one call starts in place of Python one by one.

The graph reads its batch from tensors of its own and leaves loss and gradients in others; what follows the gradients
(clipping, the optimizer's move, the mean of the weights) is that of the plain step. It must be faster to be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import torch
from torch import Tensor, optim

from zoo.training.recording import NotRecordable
from zoo.training.replay import Batches
from zoo.training.snapshot import Snapshot
from zoo.training.stepper import Stepper

ROUNDS = 10  # in which both ways are timed in turn; the shortest time of each counts
WORTH = 0.9  # of the plain gradients' time; what takes longer is not worth the memory that a graph keeps


class NotFaster(Exception):
    """A graph that wins nothing, where the GPU itself takes the time."""


@dataclass(frozen=True)
class Captured:
    """The gradients of a step of one size of batch."""

    start: Callable[[], None]
    """Starts the kernels."""
    inputs: Tensor
    targets: Tensor
    loss: Tensor
    """(), of the last batch."""
    learned: tuple[Tensor, ...]
    """The parameters that have a gradient."""
    taken: tuple[Tensor, ...]
    """The gradients of the last batch."""
    update: None = None
    """The optimizer's move is no part of it."""
    block: int = 1
    """It does a single step."""

    def run(self, batches: Batches, losses: Tensor, start: int, stop: int) -> None:
        """Give the parameters the gradients of the step `start`, the only one before `stop`, and write its loss.

        Raises:
            RuntimeError: torch refuses it.
        """
        rows = slice(start * batches.size, stop * batches.size)
        with torch.no_grad():
            if batches.order is None:
                self.inputs.copy_(batches.inputs[rows])
                self.targets.copy_(batches.targets[rows])
            else:
                torch.index_select(batches.inputs, 0, batches.order[rows], out=self.inputs)
                torch.index_select(batches.targets, 0, batches.order[rows], out=self.targets)
            self.start()
            losses[start].copy_(self.loss)
        for parameter, gradient in zip(self.learned, self.taken, strict=True):
            parameter.grad = gradient

    def gradients(self) -> tuple[Tensor, ...]:
        """Return copies of the gradients."""
        return tuple(parameter.grad.clone() for parameter in self.learned if parameter.grad is not None)


def captured_step(stepper: Stepper, inputs: Tensor, targets: Tensor) -> Captured:
    """Return the gradients of a step as a graph; the training stands afterwards where it stood.

    Args:
        stepper: whose model has been trained for some steps.
        inputs: of a batch, which are overwritten later.
        targets: the same.

    Raises:
        NotFaster: the plain way takes about as long.
        NotRecordable: torch cannot capture the step, because it asks the GPU for a number, for instance.
    """
    state = stepper.state
    before = Snapshot.of(state)
    inputs, targets = inputs.clone(), targets.clone()

    def work() -> Tensor:
        state.optimizer.zero_grad()
        loss = stepper.loss(inputs, targets)
        take_gradients(loss, state.optimizer)
        return loss.detach()

    try:
        start, loss = graph_of(work, state.device)
        learned = tuple(p for group in state.optimizer.param_groups for p in group["params"] if p.grad is not None)
        step = Captured(start, inputs, targets, loss, learned, tuple(p.grad for p in learned if p.grad is not None))
        if not _shortest(start, state.device) < WORTH * _shortest(work, state.device):
            raise NotFaster
    except RuntimeError as error:
        raise NotRecordable(f"CUDA cannot capture one: {str(error).strip().splitlines()[0]}") from error
    finally:
        before.restore(state)
        state.optimizer.zero_grad()
    return step


def graph_of(work: Callable[[], Tensor], device: torch.device) -> tuple[Callable[[], None], Tensor]:
    """Return what starts the kernels of some work, and the tensor that the work gives, which they write anew.

    It is done once beforehand beside the training's stream, as torch asks for: kernels choose their ways in it.

    Raises:
        RuntimeError: CUDA cannot capture it.
    """
    with torch.cuda.device(device):
        graph = torch.cuda.CUDAGraph()
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch gives it no types
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside), _refusing_waits():
            work()
        torch.cuda.current_stream().wait_stream(beside)
        # Of this thread alone: another one may bring the next rows meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            given = work()
    return graph.replay, given


@contextmanager
def _refusing_waits() -> Iterator[None]:
    """Let an operator that waits for the GPU fail; one that fails within a capture leaves generators in the middle."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def _shortest(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that some work takes, its kernels included."""
    wait, times = partial(torch.get_device_module(device).synchronize, device), []
    for _ in range(ROUNDS):
        wait()
        begun = perf_counter()
        work()
        wait()
        times.append(perf_counter() - begun)
    return min(times)


def take_gradients(loss: Tensor, optimizer: optim.Optimizer) -> None:
    """Give the parameters their gradients; backward() would copy those that a recorder holds on to."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    given: set[int] = set()
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
        if gradient is not None:
            place = gradient.untyped_storage()._cdata  # of a sum, both summands have one gradient
            if gradient.stride() != parameter.stride() or place in given:
                gradient = torch.empty_like(parameter).copy_(gradient)  # as backward() lays it out
            given.add(place)
        parameter.grad = gradient
