"""The place of a new run: found free, and claimed so that no other training takes it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import Diverged, Interrupted, OutputError, UsageError
from zoo.files import unfinished, writing
from zoo.run import RUNS

ENTRIES = {
    "spec.json",
    "environment.json",
    "frozen.json",
    "metrics.jsonl",
    "metrics.csv",
    "tensorboard",
    "model.safetensors",
    "checkpoints",
    "evaluation.json",
    "report.html",
    "export",
}
"""What a run directory holds; one that holds more is somebody's own and is never replaced."""
CLAIMS = 100  # tries; each one that fails was lost to another training


@dataclass(frozen=True)
class Destination:
    """Where a training writes."""

    out: Path | None = None
    """A directory; by default runs/NAME, or the next free runs/NAME-2."""
    overwrite: bool = False
    """Replace a run that is there."""

    def choose(self, name: str) -> Path:
        """Return the directory for a run of this spec.

        Raises:
            UsageError: it is there already, or is something else than a run.
        """
        path = self.out if self.out is not None else RUNS / name
        if self.out is None and not self.overwrite:
            number = 2
            while path.exists():
                path, number = RUNS / f"{name}-{number}", number + 1
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return path
        if not path.is_dir():
            raise UsageError(f"{path} is a file, not a directory", "give another --out")
        entries = {unfinished(entry.name) or entry.name for entry in path.iterdir()}
        if not {"spec.json", "environment.json"} <= entries <= ENTRIES:
            raise UsageError(f"{path} holds something else than a run", "give a new or empty directory with --out")
        if not self.overwrite:
            raise UsageError(f"{path} holds a run", "give another --out, or --overwrite to replace it")
        return path

    @contextmanager
    def claimed(self, name: str) -> Iterator[Path]:
        """Yield the directory for a run of this spec, made, and no other training's.

        A run that is replaced waits beside it as `.NAME.replaced-PID`, and is deleted when the block leaves a run
        behind: at its end, or Interrupted or Diverged. After any other error it is back in its place. A process that is
        killed in between (`kill -9`) leaves it waiting; a person may move it back.

        Raises:
            UsageError: as `choose`.
            OutputError: it cannot be made.
        """
        path = self.choose(name)
        if self.overwrite and path.exists():
            with _set_aside(path):
                yield self._made(name)
        else:
            yield self._made(name)

    def _made(self, name: str) -> Path:
        path = self.choose(name)
        for _ in range(CLAIMS):
            path = self.choose(name)
            with writing(path):
                try:
                    path.mkdir(parents=True, exist_ok=self.out is not None or self.overwrite)
                    (path / "checkpoints").mkdir()
                except FileExistsError:
                    continue  # another training took it in the meantime
            return path
        raise OutputError(f"cannot make {path}: something is in its way", "give another directory with --out")


@contextmanager
def _set_aside(path: Path) -> Iterator[None]:
    """Put an empty directory in the place of a run, which comes back where the block fails."""
    home = path.resolve()  # a link to a run stays a link
    old = home.with_name(f".{home.name}.replaced-{os.getpid()}")
    with writing(path):
        home.rename(old)
    replaced = False
    try:
        with writing(path):
            home.mkdir()
        yield
        replaced = True
    except (Interrupted, Diverged):
        replaced = True  # the new run is there, to go on with or to look into
        raise
    finally:
        if replaced:
            shutil.rmtree(old, ignore_errors=True)
        else:
            shutil.rmtree(home, ignore_errors=True)
            with writing(path):
                old.rename(home)
