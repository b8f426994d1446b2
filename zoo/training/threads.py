"""Threads: how many a training uses, where the environment does not say.

Small steps are fastest on one thread: shared among two, the 0.4 ms of a step of the digits' perceptron become 0.56 ms,
and many times that beside a busy neighbour. What is small follows from the spec alone, so that its bits do not depend
on the number of cores.
"""

from __future__ import annotations

import os

import torch

from zoo.check import CheckedSpec
from zoo.costs import costs

SMALL = 2**26  # multiply-adds of a step's forward pass; LeNet-5 with 128 rows has 2**25.7


def settle_threads(checked: CheckedSpec) -> None:
    """Use one thread where steps are small, unless OMP_NUM_THREADS says how many."""
    if "OMP_NUM_THREADS" not in os.environ and costs(checked).multiply_adds * checked.spec.train.batch_size < SMALL:
        torch.set_num_threads(1)
