"""Reading: the loss of each step stays on the device, and is read a few times a second, so that no step waits for it.

A loss that is no number is still reported with the step it came in.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from zoo.checked import CheckedSpec
from zoo.errors import Diverged
from zoo.plan import Plan
from zoo.training.state import State
from zoo.training.watching import Moment, Watcher

CALM = 0.1  # a learning rate that few trainings diverge with


@dataclass
class Reader:
    """Reads the losses of the steps from one measurement to the next."""

    state: State
    checked: CheckedSpec
    plan: Plan
    watcher: Watcher

    def __post_init__(self) -> None:
        self._seen = self._first = self.state.epoch * self.plan.steps + self.state.step
        self._begun = time.perf_counter()

    def read(self) -> None:
        """Read the losses of the epoch that are new; show the last one.

        Raises:
            Diverged: one of them is NaN or infinite.
        """
        state, plan = self.state, self.plan
        begun = state.epoch * plan.steps
        losses = [] if state.losses is None else state.losses[self._seen - begun : state.step].tolist()
        for step, loss in enumerate(losses, self._seen - begun + 1):
            if not math.isfinite(loss):
                before = "there was none" if state.last_loss is None else f"{state.last_loss:.6g}"
                where = f"in epoch {state.epoch + 1}, step {step} of {plan.steps}"
                message = f"the loss is {loss} {where}; the last finite loss: {before}"
                raise Diverged(message, calmer(self.checked, rate_of(state)))
            state.last_loss = loss
        self._seen = begun + state.step
        if state.last_loss is not None:
            rows = plan.rows_after(self._seen) - plan.rows_after(self._first)
            rate = rows / (time.perf_counter() - self._begun)
            self.watcher.on_step(Moment(plan, state.epoch + 1, state.step, state.last_loss, rate_of(state), rate))


def rate_of(state: State) -> float:
    """Return the learning rate of the next step, of the parameters that no group takes."""
    return float(state.optimizer.param_groups[0]["lr"])


def calmer(checked: CheckedSpec, rate: float) -> str:
    """Return what to write when a training diverges at this learning rate."""
    highest = getattr(checked.spec.scheduler, "max_lr", None)
    option = "optimizer.lr" if highest is None else "scheduler.max_lr"  # what sets the rate
    rate = rate if highest is None else max(highest) if isinstance(highest, tuple) else highest
    return f"lower {option} (it is {rate:g}), for example --set {option}={min(rate / 10, CALM):g}"
