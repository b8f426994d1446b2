"""The destination of a bundle: found free before any work is done. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exporters.certificate import FILE_NAME
from zoo.errors import UsageError


@dataclass(frozen=True)
class Destination:
    """Where a bundle goes."""

    folder: Path
    overwrite: bool = False
    """Replace what an earlier export left there."""

    def require_free(self) -> None:
        """Refuse a folder that holds something.

        Raises:
            UsageError: it is a file, or holds something that may not be replaced.
        """
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file, not a directory", "give another --out")
        if not any(self.folder.iterdir()):
            return
        if not (self.folder / FILE_NAME).is_file():
            raise UsageError(f"{self.folder} holds something else than an export", "give a new or empty --out")
        if not self.overwrite:
            raise UsageError(f"{self.folder} holds an export", "give another --out, or --overwrite to replace it")
