"""Parallel: a step that several processes take together, each with its share of the batch.

A process' loss counts by what its mean is divided by, so that the gradients that torch averages over the processes are
those of the whole batch, however uneven the shares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from zoo.training.distributed import World
from zoo.training.feed import Feed
from zoo.training.stepper import Stepper
from zoo.training.synchronized import Share, synchronize


class _Whole(nn.Module):
    """A model beside a parameter that is never used: torch warns where it is to find such and there is none."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.model = model
        self.unused = nn.Parameter(torch.zeros(1, device=device))

    def forward(self, inputs: Tensor) -> Tensor:
        output: Tensor = self.model(inputs)
        return output


@dataclass(frozen=True)
class SharedStrides:
    """The steps of a training of several processes, one after the other."""

    alone: Stepper
    """What one process does with a loss."""
    feed: Feed
    share: Share

    def advance(self, order: Tensor | None, losses: Tensor, until: int) -> None:
        """Do a step from where the training stands, and write its loss, that of the whole batch.

        Args:
            order: of the epoch's rows; None for the one they have.
            losses: of the epoch's steps, (steps,).
            until: the step to stop before.
        """
        state = self.alone.state
        number = state.step
        losses[number] = self.step(*self.feed.batch(order, state.epoch, number))

    @cached_property
    def wrapped(self) -> nn.Module:
        """Return the model that averages its gradients over the processes.

        `find_unused_parameters` keeps torch from cutting its buckets anew after the first step, which would change the
        order of the sums among three or more, and so the bits, after a resume. It costs a step of
        the digits' perceptron 1.6 ms of CPU in place of 1.2, and one of ResNet-18 nothing that can be measured.
        """
        if self.share.world.shards:
            return self.alone.state.model
        device = self.alone.state.device
        gpu = [device] if device.type == "cuda" else None
        wrapped = DistributedDataParallel(
            _Whole(self.alone.state.model, device), device_ids=gpu, find_unused_parameters=True
        )
        wrapped.require_forward_param_sync = False  # buffers are alike: BatchNorm's statistics are those of all
        return wrapped

    @cached_property
    def forward(self) -> Callable[[Tensor], Tensor]:
        """Return the wrapped model, compiled where the spec says so."""
        # Any: torch.compile gives it no types.
        model: Any = self.wrapped
        forward: Callable[[Tensor], Tensor] = torch.compile(model, dynamic=False) if self.alone.train.compile else model
        return forward

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of the whole batch, (), after this process' share of it is learned from."""
        stepper = self.alone
        weight, world = self._weight(targets), self.share.world
        self._synchronize(stepper.moves_next)
        with stepper.precision():
            output = self.forward(inputs)
            # A mean over targets of which none counts is NaN, and 0 of it too.
            value = stepper.objective(output, targets) if weight else output.sum() * 0
        stepper.backward(value * (weight * world.size))
        stepper.count()
        return world.total(value.detach() * weight)

    def _synchronize(self, wanted: bool) -> None:
        """Let the next backward pass exchange gradients, or only add them up."""
        # Any: fully_shard gives a module its method while the program runs.
        model: Any = self.wrapped
        if isinstance(model, DistributedDataParallel):
            model.require_backward_grad_sync = wanted
        else:
            model.set_requires_gradient_sync(wanted)

    def _weight(self, targets: Tensor) -> float:
        """Return by what factor the losses of the shares add up to that of the batch."""
        objective = self.alone.objective
        start, stop = self.feed.span(self.alone.state.step)
        first, last = self.share.world.share(start, stop)
        rows = last - first
        self.share.empty = not rows
        if not objective.averaged:
            return float(rows > 0)
        if not objective.weighs or targets.is_floating_point():
            return rows / (stop - start)
        mass = objective.mass(targets).double() if rows else torch.zeros((), dtype=torch.float64, device=targets.device)
        return float(mass / self.share.world.total(mass.clone()))


def shared_strides(stepper: Stepper, feed: Feed, world: World) -> SharedStrides:
    """Return the steps of a training of several processes.

    Raises:
        UsageError: the model keeps statistics that they cannot share.
    """
    share = Share(world)
    synchronize(stepper.state.model, share)
    return SharedStrides(stepper, feed, share)
