"""The progress of a training on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zoo.terminal import mute

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from zoo.training.watching import Moment, Row

PLAIN_LINES = 20  # measurements that are shown at most, the first and the last among them


class TrainingProgress:
    """A progress bar on a terminal, plain lines elsewhere; both on stderr."""

    def __init__(self) -> None:
        self._moment: Moment | None = None
        self._measured = ""
        self._announced = False
        self._bar: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar[0].stop()

    def on_step(self, moment: Moment) -> None:
        """Move the bar: how far the training is, its loss, learning rate and newest measurement, rate and end."""
        self._moment = moment
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar = _start_bar(moment.plan.total)
        words = f"{_place(moment)}  loss {moment.loss:.4g}  lr {moment.lr:.3g}{self._measured}"
        progress, task = self._bar
        progress.update(task, completed=moment.done, description=words, rate=_rate(moment))

    def on_row(self, row: Row) -> None:
        """Say a measurement, where it is one that is shown."""
        moment = self._moment
        assert moment is not None  # a step comes before each measurement
        plan = moment.plan
        number, several = -(-moment.done // plan.every), -(-plan.evaluations // PLAIN_LINES)
        self._measured = "".join(f"  {name} {row[name]:.4g}" for name in _judging(row))
        if several > 1 and not self._announced:
            what = "measurements" if plan.counts_steps else "epochs"
            self._say(f"every {several}th of {plan.evaluations} {what} is shown; all are in metrics.jsonl")
            self._announced = True
        if number in (1, plan.evaluations) or number % several == 0:
            hidden = ("epoch", "step", "lr")
            numbers = "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name not in hidden)
            self._say(f"{_place(moment)}  {numbers}  {_rate(moment)}")

    def _say(self, line: str) -> None:
        if self._bar is not None:
            self._bar[0].console.print(line)
            return
        try:
            print(line, file=sys.stderr, flush=True)
        except BrokenPipeError:  # nobody reads any more, which is no reason to end a training
            mute(sys.stderr)


class Unseen:
    """Who looks on in a process that prints nothing, because another one does."""

    def on_step(self, moment: Moment) -> None:
        """Say nothing of a step."""

    def on_row(self, row: Row) -> None:
        """Say nothing of an epoch."""


@contextmanager
def watching(shown: bool) -> Iterator[TrainingProgress | Unseen]:
    """Yield who looks on while a model is trained."""
    if not shown:
        yield Unseen()
        return
    with TrainingProgress() as progress:
        yield progress


def _place(moment: Moment) -> str:
    plan = moment.plan
    return f"step {moment.done}/{plan.total}" if plan.counts_steps else f"epoch {moment.epoch}/{plan.epochs}"


def _rate(moment: Moment) -> str:
    return f"{moment.rate:,.0f} rows/s"


def _judging(row: Row) -> list[str]:
    """Return the name of the measurement that judges a model best: a metric before the loss, validation before test."""
    names = [name for split in ("validation_", "test_") for name in row if name.startswith(split)]
    splits = [name for name in names if name.startswith(names[0].partition("_")[0])]
    return splits[1:2] or splits[:1]


def _start_bar(total: int) -> tuple[Progress, TaskID]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True, markup=False, highlight=False),
        transient=True,
    )
    progress.start()
    return progress, progress.add_task("", total=total, rate="")
