"""Threads: how many a training uses, where the environment does not say.

Small steps are fastest on one thread: shared among two, the 0.4 ms of a step of the digits' perceptron become 0.56 ms,
and many times that beside a busy neighbour. What is small follows from the spec alone, so that its bits do not depend
on the number of cores.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from zoo.check import CheckedSpec
from zoo.costs import has_small_steps
from zoo.economy import cores


def settle_threads(checked: CheckedSpec) -> None:
    """Use one thread where steps are small, unless OMP_NUM_THREADS says how many."""
    if "OMP_NUM_THREADS" not in os.environ and has_small_steps(checked):
        torch.set_num_threads(1)


def share_cores(processes: int) -> None:
    """Use the part of the cores that one of so many processes has, unless OMP_NUM_THREADS says how many."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), cores() // processes)))


@contextmanager
def settled_threads(checked: CheckedSpec) -> Iterator[None]:
    """Let the block use as many threads as its training does by itself; torch has its own number again at the end."""
    before = torch.get_num_threads()
    settle_threads(checked)
    try:
        yield
    finally:
        torch.set_num_threads(before)
