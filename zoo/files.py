"""Files written whole or not at all: a temporary sibling takes the place at the end."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import OutputError


def is_file(text: str) -> bool:
    """Return whether a text that a person gave names a file; one that can name none, too long or with NUL, does not."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating-system error inside the block into an OutputError that names `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}",
            "free some space there, check its permissions, or give another directory with --out",
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` when the block ends well.

    The content is on the disk (fsync) before the name changes, so a reader sees the old file or the new one.

    Raises:
        OutputError: the disk is full, read-only or forbids it; nothing half-written stays.
    """
    with writing(path):
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def unfinished(name: str) -> str:
    """Return what was written under the name of such a temporary, which a killed process leaves; "" for other names."""
    found = re.fullmatch(r"\.(.+)\.(\d+|[a-z0-9_]{8})", name)  # the number of a process, or what mkdtemp adds
    return found[1] if found else ""


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _exchange(made: Path, path: Path, old: Path) -> None:
    """Put `made` in the place of `path`; what was there goes to `old`, and comes back if that fails."""
    if not path.exists():
        made.rename(path)
        return
    path.rename(old)
    try:
        made.rename(path)
    except OSError:
        old.rename(path)
        raise


@contextmanager
def replacing_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory beside `path`; it takes the place of `path` when the block ends well.

    Raises:
        OutputError: as `replacing`.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        made = workshop / "new"
        with writing(path):
            made.mkdir()
            yield made
            _exchange(made, path, workshop / "old")
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


# Any: a JSON value.
def json_object(text: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: the text is not JSON, or something else than an object.
    """
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"{text.strip()[:40]} is not an object")
    return value
