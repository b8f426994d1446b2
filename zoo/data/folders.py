"""Folders that a person names."""

from __future__ import annotations

from pathlib import Path


def is_folder(path: Path) -> bool:
    """Return whether a path names a folder; one that can name none, too long or with NUL, does not."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
