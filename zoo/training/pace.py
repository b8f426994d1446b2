"""Pace: when a training looks up from its steps, and what it hears then.

One process asks its clock at each step. Several must look up at the same step, so they agree each time on how many
steps to take until the next.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field

from zoo.training.distributed import World
from zoo.training.interruption import Interruption

MOST_STEPS = 1000  # between two meetings of several processes


@dataclass
class Pace:
    """The time of the next look, and the signal that was heard."""

    interruption: Interruption
    world: World
    every: float
    """Seconds between two looks, about."""
    _looked: float = field(default_factory=time.perf_counter)
    _agreed: int | None = None
    _steps: int = 1
    _left: int = 1
    _parent: int = field(default_factory=os.getppid)

    @property
    def signal(self) -> int | None:
        """Return the number of the signal to end by; of several processes, one that all have heard of."""
        return self._agreed if self.world.several else self.interruption.received

    def is_due(self) -> bool:
        """Return whether to look up after this step."""
        now = time.perf_counter()
        if not self.world.several:
            if now - self._looked <= self.every:
                return False
            self._looked = now
            return True
        self._left -= 1
        if self._left:
            return False
        self._meet(now)
        return True

    def _meet(self, now: float) -> None:
        """Agree on the signal, and on the steps until the next meeting: what the slowest does in the time."""
        heard = self.interruption.received or 0
        if os.getppid() != self._parent:
            heard = signal.SIGTERM  # the launcher is gone, and nobody is left to end these processes
        step = int((now - self._looked) / self._steps * 1e9)
        agreed, slowest = self.world.largest(heard, step)
        self._agreed = agreed or None
        wanted = int(self.every * 1e9 / max(1, slowest))
        self._steps = self._left = max(1, min(wanted, 2 * self._steps, MOST_STEPS))
        self._looked = time.perf_counter()
