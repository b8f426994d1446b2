"""Axes: where a number stands in a drawing, and which numbers are written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

WIDE = 100.0  # largest / smallest from which on a logarithmic axis shows more


@dataclass(frozen=True)
class Axis:
    """One side of a drawing: numbers from `low` to `high` at pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return the pixel of a number."""
        low, high, here = (math.log10(x) if self.logarithmic else x for x in (self.low, self.high, value))
        part = (here - low) / (high - low)
        return self.start + part * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return a few round numbers on the axis."""
        return _powers(self.low, self.high) if self.logarithmic else _steps(self.low, self.high)


def axis_of(values: Iterable[float], start: float, end: float, may_bend: bool = False) -> Axis:
    """Return an axis that all numbers fit on, with a little air.

    Args:
        values: finite numbers, at least one.
        start: pixel of the smallest.
        end: pixel of the largest.
        may_bend: whether it is to be logarithmic where the numbers are positive and far apart.
    """
    found = list(values)
    low, high = min(found), max(found)
    if may_bend and low > 0 and high / low > WIDE:
        return Axis(low / 1.2, high * 1.2, start, end, True)
    air = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    return Axis(low - air, high + air, start, end)


def span(low: float, high: float, start: float, end: float) -> Axis:
    """Return an axis from one number to another, without air; some where they are the same."""
    return Axis(low, high, start, end) if high > low else Axis(low - 0.5, low + 0.5, start, end)


def _steps(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * size for size in (1, 2, 2.5, 5, 10) if power * size >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12 - math.floor(math.log10(step))) for index in range(first, last + 1)]


def _powers(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    every = max(1, -(-(last - first + 1) // 6))
    return [10.0**power for power in range(first, last + 1, every)]
