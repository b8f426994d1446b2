"""Conditioning: how far float64 answers move with the last bits of float32 in all that a module computes on the way.

The error of torch's own float32 is one draw of that movement, and a lucky draw is no measure of what another honest
program may make of the same rows. Source: Parker 1997, Monte Carlo Arithmetic. In some draws equal numbers are rounded
alike, as a program does: what is off everywhere in a plain image is not lost in its mean. In others they are not, as in
sums: what is left of a plain image without its mean is only what the sums were off by. Sums of many equal numbers are
off by more than their last bit: see exporters.summing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from exporters.arrays import Array
from exporters.doubling import as_double
from exporters.summing import LAST_BIT, Losing

DRAWS = (False, False, False, True, True)  # whether equal numbers are rounded alike
LOSSES = 2  # draws of what sums lose

Moves = tuple[tuple[float, ...], ...]
Answer = Callable[[Tensor], Sequence[Array]]


def moves(double: nn.Module, rows: Tensor, size: float, answer: Answer, sums: bool = True) -> Moves:
    """Return the largest movement in some draws: of each output, for each row.

    Args:
        double: the module in float64.
        rows: numbers, or pixels, which are what they are.
        size: of a number whose last bit each number of the rows is moved by.
        answer: what the module answers to rows, each output.
        sums: whether those of many numbers lose more than their last bit.
    """
    generator = torch.Generator().manual_seed(1)
    exact, steps = as_double(rows), LAST_BIT * size
    draws = []
    for alike in DRAWS:
        chance = _alike if alike else _apart
        moved = exact + chance(rows, generator) * steps if rows.is_floating_point() else exact
        with _rounding(double, partial(chance, generator=generator), sums):
            draws.append(answer(moved))
    return _largest(answer(exact), draws)


def losses(truths: Sequence[Array], rows: Tensor, answer: Answer) -> Moves:
    """Return the largest movement by what sums of many numbers lose, in some draws: of each output, for each row.

    Args:
        truths: what the module in float64 answers.
        rows: to these rows.
        answer: what it answers, each output.
    """
    generator = torch.Generator().manual_seed(1)
    draws = []
    for _ in range(LOSSES):
        with Losing(partial(_alike, generator=generator)):
            draws.append(answer(rows))
    return _largest(truths, draws)


def _largest(truths: Sequence[Array], draws: Sequence[Sequence[Array]]) -> Moves:
    """Return how far the draw that is furthest is from the truth: of each output, for each row."""
    distances = [[_distances(*pair) for pair in zip(truths, drawn, strict=True)] for drawn in draws]
    return tuple(tuple(map(float, np.max(output, axis=0))) for output in zip(*distances, strict=True))


@contextmanager
def _rounding(double: nn.Module, signs: Callable[[Tensor], Tensor], sums: bool) -> Iterator[None]:
    """Let the answer of every part of a module be off by last bits of float32, up or down by chance."""

    def rounded(answer: object) -> object:
        if isinstance(answer, tuple):
            return tuple(map(rounded, answer))
        if not (isinstance(answer, Tensor) and answer.is_floating_point()):
            return answer
        return answer * (1 + signs(answer) * LAST_BIT)

    hooks = [part.register_forward_hook(lambda part, given, answer: rounded(answer)) for part in double.modules()]
    try:
        with Losing(signs) if sums else nullcontext():
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _apart(numbers: Tensor, generator: torch.Generator) -> Tensor:
    """Return -1 or 1 for each number, in float64: in float32 there is nothing between 1 and 1 + LAST_BIT."""
    return torch.randint(0, 2, numbers.shape, generator=generator).double() * 2 - 1


def _alike(numbers: Tensor, generator: torch.Generator) -> Tensor:
    """Return -1 or 1 for each number, the same for equal ones and for opposite ones, in float64."""
    factor, summand = torch.randint(2**29, 2**30, (2,), generator=generator).tolist()
    # A float32 moved by its last bit lies between two of them, and what float64 computes just above or below.
    known = (numbers * (1 + LAST_BIT / 4)).float()
    # Multiplicative hashing: a high bit depends on all bits.
    mixed = known.abs().view(torch.int32).long() * (2 * factor + 1) + 4 * summand
    signs: Tensor = (mixed >> 31 & 1).double() * 2 - 1
    return signs


def _distances(first: Array, second: Array) -> Array:
    """Return the largest finite difference in each row."""
    both = np.isfinite(first) & np.isfinite(second)
    apart = np.abs(np.where(both, first, 0) - np.where(both, second, 0))
    return np.array([row.max(initial=0.0) for row in apart])
