"""The progress of a training on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_LINES = 20  # epochs that are shown at most, the first and the last among them


class TrainingProgress:
    """A progress bar on a terminal, plain lines elsewhere; both on stderr."""

    def __init__(self, epochs: int, done: int = 0) -> None:
        self._epochs = epochs
        self._every = max(1, -(-epochs // PLAIN_LINES))
        self._done = done
        self._announced = False
        self._bar: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> TrainingProgress:
        if sys.stderr.isatty():
            self._bar = self._start_bar()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar[0].stop()

    def _start_bar(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            console=Console(stderr=True, markup=False, highlight=False),
            transient=True,
        )
        progress.start()
        return progress, progress.add_task(f"epoch {self._done + 1}/{self._epochs}", total=self._epochs)

    def _say(self, line: str) -> None:
        if self._bar is not None:
            self._bar[0].console.print(line)
        else:
            print(line, file=sys.stderr, flush=True)

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Move the bar."""
        if self._bar is not None:
            progress, task = self._bar
            description = f"epoch {epoch}/{self._epochs}  loss {loss:.4g}"
            progress.update(task, completed=epoch - 1 + step / steps, description=description)

    def on_epoch(self, row: Mapping[str, float | int]) -> None:
        """Say the measurements of the epoch, where it is one that is shown."""
        epoch = int(row["epoch"])
        if self._every > 1 and not self._announced:
            self._say(f"every {self._every}th of {self._epochs} epochs is shown; all are in metrics.jsonl")
            self._announced = True
        if epoch in (1, self._epochs) or epoch % self._every == 0:
            numbers = "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name not in ("epoch", "lr"))
            self._say(f"epoch {epoch}/{self._epochs}  {numbers}")


class Unseen:
    """Who looks on in a process that prints nothing, because another one does."""

    def on_step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Say nothing of a step."""

    def on_epoch(self, row: Mapping[str, float | int]) -> None:
        """Say nothing of an epoch."""


@contextmanager
def watching(shown: bool, epochs: int, done: int = 0) -> Iterator[TrainingProgress | Unseen]:
    """Yield who looks on while a model is trained."""
    if not shown:
        yield Unseen()
        return
    with TrainingProgress(epochs, done) as progress:
        yield progress
