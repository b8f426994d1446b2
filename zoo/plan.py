"""Plan: at which steps a training ends its epochs, is measured, and ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Interval = Literal["epoch", "step", "evaluation"]
"""What can be counted: epochs, moves of the weights, or measurements."""


@dataclass(frozen=True)
class Plan:
    """The course of a training on so many rows; steps are counted from 0 over the whole training."""

    rows: int
    """Rows of an epoch that are trained on."""
    batch_size: int
    """Rows in a step."""
    steps: int
    """Steps in an epoch."""
    total: int
    """Steps of the training."""
    every: int
    """Steps from one measurement to the next; the last one comes at the end of the training."""
    accumulation: int = 1
    """Steps whose gradients are averaged before the weights move."""
    counts_steps: bool = False
    """Whether a measurement must say its step, because it need not come at the end of an epoch."""

    @property
    def epochs(self) -> int:
        """Return how many epochs begin; the last may end early."""
        return -(-self.total // max(1, self.steps))

    @property
    def evaluations(self) -> int:
        """Return how often the model is measured."""
        return -(-self.total // max(1, self.every))

    @property
    def moves(self) -> int:
        """Return how often the weights move."""
        whole, rest = divmod(self.total, max(1, self.steps))
        return whole * -(-self.steps // self.accumulation) + -(-rest // self.accumulation)

    def intervals(self, interval: Interval) -> int:
        """Return how many epochs, moves or measurements there are."""
        return {"epoch": self.epochs, "step": self.moves, "evaluation": self.evaluations}[interval]

    def steps_of(self, epoch: int) -> int:
        """Return how many steps an epoch has, counted from 0: fewer in one with which the training ends early."""
        return min(self.steps, self.total - epoch * self.steps)

    def stretch(self, evaluations: int) -> tuple[int, int]:
        """Return the step with which training goes on after so many measurements, and that before which it pauses."""
        start = min(evaluations * self.every, self.total)
        return start, min(start + self.every, self.total)

    def rows_after(self, done: int) -> int:
        """Return how many rows so many steps of the training take."""
        epochs, step = divmod(done, self.steps)
        return epochs * self.rows + min(step * self.batch_size, self.rows)
