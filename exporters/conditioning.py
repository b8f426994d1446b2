"""Conditioning: how far float64 answers move with the last bits of float32 in all that a module computes on the way.

The error of torch's own float32 is one draw of that movement, and a lucky draw is no measure of what another honest
program may make of the same rows. Source: Parker 1997, Monte Carlo Arithmetic. In some draws equal numbers are rounded
alike, as a program does: what is off everywhere in a plain image is not lost in its mean. In others they are not, as in
sums: what is left of a plain image without its mean is only what the sums were off by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from exporters.arrays import Array

LAST_BIT = 2.0**-24  # of a float32, as a part of it
LANES = (
    64  # numbers that a mean adds for a last bit: of 112 x 112 equal ones onnxruntime is off by 720 bits, torch by 8
)
DRAWS = (False, False, False, True, True)  # whether equal numbers are rounded alike

Moves = tuple[tuple[float, ...], ...]
Answer = Callable[[Tensor], Sequence[Array]]


def moves(double: nn.Module, rows: Tensor, size: float, answer: Answer) -> Moves:
    """Return the largest movement in some draws: of each output, for each row.

    Args:
        double: the module in float64.
        rows: numbers.
        size: of a number whose last bit each number of the rows is moved by.
        answer: what the module answers to rows, each output.
    """
    generator = torch.Generator().manual_seed(1)
    truths, steps = answer(rows.double()), LAST_BIT * size
    draws = []
    for alike in DRAWS:
        chance = _alike if alike else _apart
        with _rounding(double, partial(chance, generator=generator)):
            moved = answer(rows.double() + chance(rows, generator) * steps)
        draws.append([_distances(*pair) for pair in zip(truths, moved, strict=True)])
    return tuple(tuple(map(float, np.max(output, axis=0))) for output in zip(*draws, strict=True))


@contextmanager
def _rounding(double: nn.Module, signs: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let the answer of every part of a module be off by last bits of float32, up or down by chance."""

    def rounded(answer: object, bits: float) -> object:
        if isinstance(answer, tuple):
            return tuple(rounded(part, bits) for part in answer)
        if not (isinstance(answer, Tensor) and answer.is_floating_point()):
            return answer
        return answer * (1 + signs(answer) * bits * LAST_BIT)

    def listen(part: nn.Module, given: tuple[object, ...], answer: object) -> object:
        return rounded(answer, _bits(part, given, answer))

    hooks = [part.register_forward_hook(listen) for part in double.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _bits(part: nn.Module, given: tuple[object, ...], answer: object) -> float:
    """Return how many last bits an answer may be off by: one, or more where a pooling adds many numbers in turn."""
    if not (given and isinstance(given[0], Tensor) and isinstance(answer, Tensor)) or answer.numel() == 0:
        return 1.0
    adds = next(part.children(), None) is None and next(part.parameters(), None) is None
    return max(1.0, given[0].numel() / answer.numel() / LANES) if adds else 1.0


def _apart(numbers: Tensor, generator: torch.Generator) -> Tensor:
    """Return -1 or 1 for each number, in float64: in float32 there is nothing between 1 and 1 + LAST_BIT."""
    return torch.randint(0, 2, numbers.shape, generator=generator).double() * 2 - 1


def _alike(numbers: Tensor, generator: torch.Generator) -> Tensor:
    """Return -1 or 1 for each number, the same for equal ones, in float64."""
    factor = 2 * int(torch.randint(2**29, 2**30, (), generator=generator)) + 1
    mixed = numbers.float().view(torch.int32).long() * factor  # multiplicative hashing: high bits depend on all bits
    return (mixed >> 31 & 1).double() * 2 - 1


def _distances(first: Array, second: Array) -> Array:
    """Return the largest finite difference in each row."""
    both = np.isfinite(first) & np.isfinite(second)
    apart = np.abs(np.where(both, first, 0) - np.where(both, second, 0))
    return np.array([row.max(initial=0.0) for row in apart])
