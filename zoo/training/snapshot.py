"""Snapshot: all numbers that a step of the training changes, to do the step again from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.device import generator_states, set_generators
from zoo.training.selection import same_bits
from zoo.training.state import State


@dataclass(frozen=True)
class Snapshot:
    """All numbers that a step changes."""

    tensors: tuple[Tensor, ...]
    generators: Mapping[str, Tensor]
    step: int

    @classmethod
    def of(cls, state: State) -> Snapshot:
        """Return copies of the weights, buffers and optimizer state, and where the generators stand."""
        tensors = tuple(tensor.detach().clone() for tensor in tensors_of(state))
        return cls(tensors, generator_states(state.device), state.step)

    def restore(self, state: State) -> None:
        """Give the state these numbers."""
        with torch.no_grad():
            for tensor, value in zip(tensors_of(state), self.tensors, strict=True):
                tensor.copy_(value)
        set_generators(state.device, self.generators)
        state.step = self.step

    def same(self, other: Snapshot) -> bool:
        """Return whether all is the same bit for bit."""
        mine, theirs = (*self.generators.values(), *self.tensors), (*other.generators.values(), *other.tensors)
        return all(same_bits(one, two) for one, two in zip(mine, theirs, strict=True))


def tensors_of(state: State) -> Iterator[Tensor]:
    """Yield the weights, buffers and optimizer state."""
    yield from state.model.parameters()
    yield from state.model.buffers()
    for values in state.optimizer.state.values():
        yield from (value for value in values.values() if isinstance(value, Tensor))
