"""How well a training fills a device: samples/s, and the shares of what the device computes and moves at most.

Run: python tests/benchmarks/ceilings.py --data ../shared/data [--device cuda] [--rounds N] [WORK …]

The ceilings are measured on the device itself, in the same run: a product of two large square matrices of float32, and
a copy of a large tensor. What a step needs is counted from the spec's shapes: six operations for each multiply-add
(forward, and twice as many backward), and each weight, gradient, number of optimizer state and activation moved once
each way; a share is that over the time of a step, over the ceiling. On a GPU each work is trained twice, with steps
plain and captured as CUDA graphs, in turn.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest
import torch

from training import WORKS, Ours, Work
from zoo.check import check_file
from zoo.costs import costs
from zoo.device import describe, find_device
from zoo.training import strides

SECONDS = 1.0  # that the last part of a round lasts, about
OPERATIONS = 6  # for a multiply-add of the forward pass
WARM = 60  # steps, in which one is captured and proven


@dataclass(frozen=True)
class Ceilings:
    """What a device does at most."""

    operations: float
    """In a second."""
    bytes: float
    """Moved in a second, those that are read and those that are written."""


def wait(device: torch.device) -> None:
    """Wait until the device has done all it was asked."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize(device)


def ceilings(device: torch.device) -> Ceilings:
    """Return what the device does at most, measured."""
    size = 1024 if device.type == "cpu" else 8192
    one, two = torch.randn(2, size, size, device=device)
    many = torch.empty(2**26 if device.type == "cpu" else 2**30, dtype=torch.uint8, device=device)
    other = torch.empty_like(many)
    return Ceilings(
        2 * size**3 / _shortest(lambda: one @ two, device),
        2 * many.numel() / _shortest(lambda: other.copy_(many), device),
    )


def _shortest(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that some work takes."""
    times = []
    for _ in range(10):
        wait(device)
        begun = perf_counter()
        work()
        wait(device)
        times.append(perf_counter() - begun)
    return min(times)


@dataclass(frozen=True)
class Speed:
    """What was measured of one work."""

    name: str
    batch_size: int
    seconds: float
    """Of a step; the median."""
    operations: int
    """That a step needs."""
    bytes: int | None
    """That a step moves at least; None where a part is not known from the spec."""
    recorded: bool
    """Whether its steps are replayed, on a GPU as a graph."""

    def row(self, most: Ceilings) -> str:
        """Return the line of the table."""
        computed = self.operations / self.seconds / most.operations
        moved = "     –" if self.bytes is None else f"{self.bytes / self.seconds / most.bytes:6.1%}"
        way = "recorded" if self.recorded else "plain"
        return f"{self.name:42} {self.batch_size / self.seconds:12.0f} {computed:10.1%} {moved:>8}  {way}"


def measured(work: Work, data: Path, device: torch.device, rounds: int) -> list[Speed]:
    """Return what a step takes, in each way that the device has, in turn."""
    checked = check_file(work.spec, [change.format(data=data) for change in work.changes])
    found, size = costs(checked), checked.spec.train.batch_size
    moved = None if found.memory.total is None else 2 * found.memory.total
    sides = [Ours(checked, device)]
    sides[0].run(WARM)
    if device.type != "cpu":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(strides, "CAPTURING", ())
            sides.append(Ours(checked, device))
            sides[1].run(WARM)
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, taken in zip(sides, times, strict=True):
            taken.append(_seconds(side, device))
    operations = OPERATIONS * found.multiply_adds * size
    return [
        Speed(work.name, size, median(taken), operations, moved, side.replays)
        for side, taken in zip(sides, times, strict=True)
    ]


def _seconds(side: Ours, device: torch.device) -> float:
    """Return the seconds of a step over about a round."""
    steps, taken = 1, 0.0
    while taken < SECONDS / 2:
        steps *= 2
        wait(device)
        begun = perf_counter()
        side.run(steps)
        wait(device)
        taken = perf_counter() - begun
    return taken / steps


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder with MNIST, FashionMNIST and tinyshakespeare"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("works", nargs="*", metavar="WORK", help="names of specs; by default all")
    asked = parser.parse_args()
    device = find_device(asked.device)
    most = ceilings(device)
    print(f"{describe(device)}: {most.operations / 1e9:.0f} GFLOP/s, {most.bytes / 1e9:.0f} GB/s")
    print(f"{'work':42} {'samples/s':>12} {'arithmetic':>10} {'memory':>8}  steps", flush=True)
    for work in WORKS:
        if not asked.works or work.spec in asked.works:
            for speed in measured(work, asked.data.resolve(), device, asked.rounds):
                print(speed.row(most), flush=True)


if __name__ == "__main__":
    main()
