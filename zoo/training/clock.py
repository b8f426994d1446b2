"""Clock: when the next checkpoint is due, so that a killed training loses seconds and a saving one loses little."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from zoo.training.distributed import World

EVERY = 10.0  # seconds between two checkpoints; each costs a write to the disk
SHARE = 20  # a checkpoint may take at most 1 / SHARE of the time


@dataclass
class Clock:
    """The time of the next checkpoint."""

    due: float = field(default_factory=lambda: time.perf_counter() + EVERY)
    """On the clock of time.perf_counter, in seconds."""
    world: World = World.alone
    """Whose processes save together."""

    def run(self, save: Callable[[], None]) -> None:
        """Save when it is time; the slower that is, the longer until the next one."""
        begun = time.perf_counter()
        if not any(self.world.largest(begun >= self.due)):
            return
        save()
        ended = time.perf_counter()
        self.due = ended + max(EVERY, SHARE * (ended - begun))
