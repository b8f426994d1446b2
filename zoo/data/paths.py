"""Paths that a person names, and what stands there instead of the file that is meant."""

from __future__ import annotations

import os
import re
from pathlib import Path

from zoo.errors import DataError
from zoo.nearest import nearest

_EXTENSION = re.compile(r"\.[A-Za-z]\w*\Z")  # how the name of a file ends, and no number does


def is_folder(path: Path) -> bool:
    """Return whether a path names a folder; one that can name none, too long or with NUL, does not."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def no_file(path: str) -> str:
    """Return what is said of a path where a file is wanted and none is."""
    return f"{path} is a folder, not a file" if is_folder(Path(path)) else f"no such file: {path}"


def beginning(given: str) -> str:
    """Return the end of a remedy that says where a relative path begins; nothing for another."""
    return "" if os.path.isabs(given) else f"; relative paths begin in {os.getcwd()}"


def refuse_path(given: str, otherwise: str) -> None:
    """Refuse what is no row, and is no file either, where it is the path of something else or ends as files do.

    Args:
        given: what a person wrote.
        otherwise: what to write.

    Raises:
        DataError: it is a folder, a pipe, or nothing.
    """
    if given and is_folder(Path(given)):
        raise DataError(f"{given} is a folder", otherwise)
    if os.path.exists(given):
        raise DataError(f"{given} is no regular file", "write -, and give it on standard input: zoo predict RUN - < it")
    if os.sep in given or _EXTENSION.search(given):
        raise absent(given, otherwise)


def absent(given: str, otherwise: str) -> DataError:
    """Return the error of a file that is not there, which names the one beside it that is probably meant."""
    try:
        meant = nearest(Path(given).name, os.listdir(Path(given).parent))
    except (OSError, ValueError):
        meant = None
    return DataError(f"no such file: {given}", otherwise if meant is None else f'did you mean "{meant}"?')
