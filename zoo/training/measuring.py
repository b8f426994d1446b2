"""Measuring: what a training is measured by on the way, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import optim

from zoo.checked import CheckedSpec
from zoo.data import Split
from zoo.errors import Diverged
from zoo.training.features import HeldOut
from zoo.training.reading import calmer, rate_of
from zoo.training.state import State
from zoo.training.watching import Row


def measure(checked: CheckedSpec, state: State, held_out: Mapping[Split, HeldOut], steps: int) -> Row:
    """Return the loss and the metrics of the validation split, where there is one, and of the test split.

    Args:
        checked: the spec.
        state: as it stands.
        held_out: the splits.
        steps: how many an epoch has.

    Raises:
        Diverged: one of them is NaN or infinite.
    """
    splits: tuple[Split, ...] = ("validation", "test")
    found: Row = {}
    for split in splits:
        measured = held_out[split].evaluate(state.measured) if split in held_out else {}
        for name, value in measured.items():
            if not math.isfinite(value):
                ended, epoch = state.step == steps, state.epoch + 1
                where = f"after epoch {epoch}" if ended else f"in epoch {epoch}, after step {state.step} of {steps},"
                raise Diverged(
                    f"the {split} {name} {where} is {value}; the last finite loss: {state.last_loss:.6g}, in training",
                    calmer(checked, rate_of(state)),
                )
            found[f"{split}_{name}"] = value
    return found


def schedule(checked: CheckedSpec, state: State, row: Row | None, epoch_ended: bool) -> None:
    """Move the learning rate after a measurement, at the end of an epoch, or both; steps are counted elsewhere."""
    declared, scheduler = checked.spec.scheduler, state.scheduler
    if scheduler is None or declared is None or declared.interval == "step":
        return
    interval: str = declared.interval  # ReduceLROnPlateau knows one more than the others
    if isinstance(scheduler, optim.lr_scheduler.ReduceLROnPlateau):
        if row is not None and (epoch_ended or interval == "evaluation"):
            scheduler.step(row[f"validation_{declared.watched}"])
    elif epoch_ended:
        scheduler.step()


def improved(checked: CheckedSpec, state: State, row: Row) -> bool:
    """Return whether a measurement is better than any before, where the spec stops early; then it is noted."""
    stopping = checked.spec.train.early_stopping
    if stopping is None:
        return False
    value = float(row[f"validation_{stopping.metric}"])
    if not stopping.better(value, state.best):
        return False
    state.best, state.best_evaluation = value, state.evaluations
    return True
