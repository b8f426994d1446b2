"""Generators: the random numbers of several processes, which differ, and come back on a resume.

Rank 0 draws as one process does. Another rank's generators start from a seed that follows from the training's and from
the rank. A rank that a checkpoint does not know, because there were fewer, starts from where the training stands too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch

from zoo.device import generator_states, set_generators
from zoo.training.distributed import World
from zoo.training.state import State


def seed_generators(world: World, seed: int, where: str = "") -> None:
    """Let every rank but the first draw numbers of its own."""
    if world.leads:
        return
    digest = hashlib.blake2b(f"{seed}/rank {world.rank}{where}".encode(), digest_size=8).digest()
    torch.manual_seed(int.from_bytes(digest, "little"))


def collect_generators(world: World, state: State) -> None:
    """Note the generators of the other ranks in the state that rank 0 writes."""
    state.others = world.gathered(generator_states(state.device))[1:]


def restore_generators(world: World, state: State, seed: int) -> None:
    """Set this rank's generators as the checkpoint has them that the state came from."""
    if world.leads:
        return
    if world.rank > len(state.others):
        seed_generators(world, seed, f", epoch {state.epoch}, step {state.step}")
        return
    set_generators(state.device, state.others[world.rank - 1])


def _whole_state(state: State) -> State:
    """Return the state with all its tensors whole; where they are shared out, every process takes part."""
    if state.whole is None:
        return state
    from zoo.training.sharded import gathered  # imports FSDP, which few trainings need

    return gathered(state)


def saving(world: World, save: Callable[[State], None]) -> Callable[[State], None]:
    """Return what all processes do when rank 0 saves: give it what they have alone, and wait until it is done."""

    def save_together(state: State) -> None:
        collect_generators(world, state)
        whole = _whole_state(state)
        if world.leads:
            save(whole)
        world.meet()

    return save_together if world.several else save
