"""Watching: what those are told who look on while a model is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from zoo.plan import Plan

Row = dict[str, float | int]
"""One line of metrics.jsonl."""


@dataclass(frozen=True)
class Moment:
    """How far a training has come."""

    plan: Plan
    epoch: int
    """The one that runs, counted from 1."""
    step: int
    """Steps done in it."""
    loss: float
    """Of the last step."""
    lr: float
    """Learning rate of the next step."""
    rate: float
    """Rows trained on in a second, since the last measurement."""

    @property
    def done(self) -> int:
        """Return how many steps of the whole training are done."""
        return (self.epoch - 1) * self.plan.steps + self.step


class Watcher(Protocol):
    """Who looks on while a model is trained."""

    def on_step(self, moment: Moment) -> None:
        """See how far it has come: a few times a second, and before each measurement."""

    def on_row(self, row: Row) -> None:
        """See a measurement."""
