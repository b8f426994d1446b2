"""The place of a new run: found free, and claimed so that no other training takes it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import OutputError, UsageError
from zoo.files import writing
from zoo.run import RUNS

ENTRIES = {
    "spec.json",
    "environment.json",
    "metrics.jsonl",
    "model.safetensors",
    "checkpoints",
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
        entries = {entry.name for entry in path.iterdir()}
        if not {"spec.json", "environment.json"} <= entries <= ENTRIES:
            raise UsageError(f"{path} holds something else than a run", "give a new or empty directory with --out")
        if not self.overwrite:
            raise UsageError(f"{path} holds a run", "give another --out, or --overwrite to replace it")
        return path

    def claim(self, name: str) -> Path:
        """Return the directory for a run of this spec, made, and no other training's.

        Raises:
            UsageError: as `choose`.
            OutputError: it cannot be made.
        """
        path = self.choose(name)
        for _ in range(CLAIMS):
            path = self.choose(name)
            with writing(path):
                if self.overwrite and path.exists():
                    shutil.rmtree(path)
                try:
                    path.mkdir(parents=True, exist_ok=self.out is not None)
                    (path / "checkpoints").mkdir()
                except FileExistsError:
                    continue  # another training took it in the meantime
            return path
        raise OutputError(f"cannot make {path}: something is in its way", "give another directory with --out")
