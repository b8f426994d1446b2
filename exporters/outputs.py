"""Outputs: what a file gives; several of one model where the decision stands in the file too. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from exporters.arrays import Array
from zoo.shapes import Shape


class Told(Protocol):
    """An output as far as its answers are judged."""

    @property
    def name(self) -> str:
        """Return what it is called."""

    @property
    def chosen(self) -> int | None:
        """Return the axis of the first output along which this says where the largest number stands."""


@dataclass(frozen=True)
class Output:
    """What a file gives under one name."""

    name: str
    shape: Shape
    chosen: int | None = None
    """The axis of the first output along which this says where the largest number stands; None for plain numbers."""


def gap(scores: Array, chosen: Array, axis: int) -> float:
    """Return by how much the largest score leads before the chosen one; infinite where what is chosen is no place.

    Args:
        scores: in float64.
        chosen: the place of a score along `axis`, for each place of the others.
        axis: of the scores.
    """
    last = np.moveaxis(scores, axis, -1)
    if chosen.shape != last.shape[:-1] or chosen.dtype.kind != "i":
        return float("inf")
    if ((chosen < 0) | (chosen >= last.shape[-1])).any():
        return float("inf")
    found = np.take_along_axis(last, chosen[..., None], -1)[..., 0]
    return float((last.max(-1) - found).max(initial=0.0))
