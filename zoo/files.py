"""Files written whole or not at all: a temporary sibling takes the place at the end."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

from zoo.errors import OutputError

_WRITING = ".writing"  # how the names of temporaries end
_WORKSHOP = re.compile(r"\.[a-z0-9_]{8}\.making")  # behind the name: what mkdtemp puts there


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
        above = next((above for above in path.parents if os.path.exists(above) and not os.path.isdir(above)), None)
        if above is not None:
            raise OutputError(f"cannot write {path}: {above} is no directory", "give another place") from error
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}",
            "free some space there, check its permissions, or give another directory with --out",
        ) from error


def reserve(size: int, *paths: Path) -> None:
    """Let the system say now whether files of so many bytes each fit beside one another.

    This is for a writer that ends the process where a disk is full, as torch's archives do.

    Raises:
        OSError: they do not.
    """
    try:
        for path in paths:
            with path.open("wb") as file:
                if hasattr(os, "posix_fallocate"):  # not on macOS
                    os.posix_fallocate(file.fileno(), 0, size)
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` when the block ends well.

    The content is on the disk (fsync) before the name changes, so a reader sees the old file or the new one. A process
    that is killed (`kill -9`) leaves `.NAME.PID.writing`; the next that writes this file removes it.

    Raises:
        OutputError: the disk is full, read-only or forbids it; nothing half-written stays.
    """
    with writing(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise OutputError(f"cannot write {path}: it is a device, a pipe or a socket", "give the name of a file")
        remove_abandoned(path.parent, path.name)
        temporary = path.with_name(f".{path.name}.{os.getpid()}{_WRITING}")
        held = _held(temporary)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(held)


def _held(temporary: Path) -> int:
    """Return the descriptor of a new file, which is locked as long as this process lives."""
    while True:
        held = os.open(temporary, os.O_CREAT | os.O_RDWR, 0o666)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        if os.fstat(held).st_nlink:
            return held
        os.close(held)  # removed before it was locked


def remove_abandoned(folder: Path, name: str = "*") -> None:
    """Remove the temporaries in a folder whose processes are no more; those of living ones are locked.

    Args:
        folder: where files were written.
        name: of the file that was to be written; by default any.
    """
    for left in folder.glob(f".{name if name == '*' else escape(name)}.*{_WRITING}"):
        if not unfinished(left.name):
            continue
        with suppress(OSError):  # gone by now, locked, or another's
            held = os.open(left, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(held).st_ino == left.stat().st_ino:
                    left.unlink()
            finally:
                os.close(held)


def unfinished(name: str) -> str:
    """Return what was written under the name of such a temporary, which a killed process leaves; "" for other names."""
    found = re.fullmatch(r"\.(.+)\.(\d+\.writing|[a-z0-9_]{8}\.making)", name)  # the number of a process, or a workshop
    return found[1] if found else ""


@contextmanager
def no_empty_folders(path: Path) -> Iterator[None]:
    """Remove what the block makes of a folder and of those above it and leaves empty, as a download that fails does."""
    absent = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        yield
    finally:
        for folder in absent:
            with suppress(OSError):  # it holds something, or was never made
                folder.rmdir()


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

    A process that is killed (`kill -9`) leaves `.NAME.…` beside it; the next one removes it, and puts back what the
    killed one had moved out of the way.

    Raises:
        OutputError: as `replacing`.
    """
    with workshop(path) as folder, writing(path):
        made = folder / "new"
        made.mkdir()
        yield made
        _exchange(made, path, folder / "old")


@contextmanager
def workshop(path: Path) -> Iterator[Path]:
    """Yield an empty directory beside `path`, which is gone at the end; those of killed processes go before.

    Raises:
        OutputError: it cannot be made.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder, held = _workshop(path)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _workshop(path: Path) -> tuple[Path, int]:
    """Return a new directory beside `path`, and the descriptor that locks it, after those of the killed are gone."""
    with _locked(path.parent):
        for left in path.parent.iterdir():
            name = left.name
            if (
                name.startswith(f".{path.name}.")
                and _WORKSHOP.fullmatch(name.removeprefix(f".{path.name}"))
                and not left.is_symlink()
            ):
                _remove_left(left, path)
        made = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".making", dir=path.parent))
        held = os.open(made, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        return made, held


def _remove_left(left: Path, path: Path) -> None:
    """Remove the workshop of a process that is no more; one whose process lives is locked."""
    held = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if not _lockable(held):
            return
        if (left / "old").exists() and not path.exists():
            (left / "old").rename(path)
        shutil.rmtree(left, ignore_errors=True)
    finally:
        os.close(held)


def _lockable(held: int) -> bool:
    """Return whether nobody else holds a file, which is locked now; not on a file system without locks."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    held = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


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
