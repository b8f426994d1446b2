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
LANES = 64  # equal numbers that a pooling adds for a last bit: of 112 x 112, onnxruntime is off by 720, torch by 8
POOLINGS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
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

    def rounded(answer: object, bits: Tensor | float = 1.0) -> object:
        if isinstance(answer, tuple):
            return tuple(map(rounded, answer))
        if not (isinstance(answer, Tensor) and answer.is_floating_point()):
            return answer
        return answer * (1 + signs(answer) * bits * LAST_BIT)

    def listen(part: nn.Module, given: tuple[Tensor, ...], answer: object) -> object:
        if isinstance(part, POOLINGS) and isinstance(answer, Tensor):
            return rounded(answer, _lost(given[0], answer))
        return rounded(answer)

    hooks = [part.register_forward_hook(listen) for part in double.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _lost(given: Tensor, pooled: Tensor) -> Tensor | float:
    """Return the last bits that pooled numbers may be off by: all that is equal in a channel is rounded one way."""
    lanes = given.numel() / max(1, pooled.numel()) / LANES
    if lanes <= 1 or given.dim() < 3:
        return 1.0
    numbers = given.flatten(2).float()
    equal = (numbers == numbers.median(2, keepdim=True).values).double().mean(2)
    return (equal * lanes).clamp(min=lanes**0.5).reshape(*equal.shape, *[1] * (given.dim() - 2))


def _apart(numbers: Tensor, generator: torch.Generator) -> Tensor:
    """Return -1 or 1 for each number, in float64: in float32 there is nothing between 1 and 1 + LAST_BIT."""
    return torch.randint(0, 2, numbers.shape, generator=generator).double() * 2 - 1


def _alike(numbers: Tensor, generator: torch.Generator) -> Tensor:
    """Return -1 or 1 for each number, the same for equal ones and for opposite ones, in float64."""
    factor, summand = torch.randint(2**29, 2**30, (2,), generator=generator).tolist()
    # Multiplicative hashing: a high bit depends on all bits.
    mixed = numbers.float().abs().view(torch.int32).long() * (2 * factor + 1) + 4 * summand
    signs: Tensor = (mixed >> 31 & 1).double() * 2 - 1
    return signs


def _distances(first: Array, second: Array) -> Array:
    """Return the largest finite difference in each row."""
    both = np.isfinite(first) & np.isfinite(second)
    apart = np.abs(np.where(both, first, 0) - np.where(both, second, 0))
    return np.array([row.max(initial=0.0) for row in apart])
