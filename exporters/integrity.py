"""Integrity: whether a bundle is, byte for byte, what was certified."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import ValidationError

from exporters import certificate
from exporters.certificate import FILE_NAME, Certificate, FileRecord
from exporters.questions import FILE_NAME as GOLDEN
from zoo import notation
from zoo.errors import ProofFailed, reason

VERSION = 5
LARGEST = 16 * 2**20  # bytes of a certificate; one with 1,000 flips and 20 executions has 0.5 MB
PIECE = 2**20  # bytes read at a time
Kind = Literal["file", "empty folder", "other"]
_REMEDY = "ask for the bundle again, or export it again"


def read(folder: Path) -> Certificate:
    """Return the certificate of a bundle.

    Raises:
        ProofFailed: there is none, or it is not as it was written.
    """
    path = folder / FILE_NAME
    try:
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode):
            raise _failed(f"{FILE_NAME} is no plain file")
        if state.st_size > LARGEST:
            raise _failed(f"{FILE_NAME} has {state.st_size:,} bytes, and {LARGEST:,} are the most")
        text = path.read_bytes().decode("utf-8")
        document = notation.read(text)
    except FileNotFoundError as error:
        raise _failed(f"{folder} has no {FILE_NAME}: nothing is proven of it") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, notation.Unfit) as error:
        raise _failed(f"{FILE_NAME} cannot be read: {reason(error)}") from error
    version = document.get("certificate_version") if isinstance(document, dict) else None
    if not isinstance(version, int):
        raise _failed(f"{FILE_NAME} has no certificate_version")
    if version != VERSION:
        raise _failed(
            f"{FILE_NAME} was written by another version of zoo (certificate {version}, this one reads {VERSION}); "
            "export again"
        )
    try:
        made = Certificate.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _failed(f"{FILE_NAME} is not as its schema says: {where}: {first['msg']}") from error
    if certificate.sealed(made).sha256 != made.sha256 or certificate.text(made) != text:
        raise _failed(f"{FILE_NAME} has been changed since it was written")
    return made


def require_files(made: Certificate, folder: Path) -> None:
    """Refuse a folder that holds anything else than what was certified.

    Raises:
        ProofFailed: files are changed, missing, added, or lie elsewhere; all are named.
    """
    faults = damage(made, folder)
    if faults:
        raise _failed("; ".join(faults))


def damage(made: Certificate, folder: Path) -> list[str]:
    """Return what is otherwise than it was certified: each changed, missing and added file."""
    listed = {record.name: record for record in made.files}
    outside = [name for name in listed if not _inside(name) or name == FILE_NAME]
    if outside:
        return [f"{FILE_NAME} lists {name[:80]!r}, which is no name of a file in the bundle" for name in outside]
    needed = {GOLDEN, *(proof.file for proof in made.proofs), *(proof.file for proof in made.reduced)}
    unlisted = sorted(needed - listed.keys())
    if len(listed) != len(made.files) or unlisted:
        return [f"{FILE_NAME} lists {unlisted[0] if unlisted else 'a file'} not once"]
    entries = dict(_walk(folder))
    faults = {name: _fault(name, kind, listed, folder) for name, kind in entries.items()}
    links = {name for name, kind in entries.items() if kind == "other"}  # what should lie behind one is not missed too
    for name in listed.keys() - entries.keys():
        if not links & {*map(str, PurePosixPath(name).parents)}:
            faults[name] = f"{name} is missing"
    return [fault for _, fault in sorted(faults.items()) if fault]


def _fault(name: str, kind: Kind, listed: Mapping[str, FileRecord], folder: Path) -> str:
    """Return what is wrong with an entry of the folder; nothing where nothing is."""
    if kind == "other":
        return f"{name[:200]!r} is a link, or no file"
    if kind == "empty folder":
        known = any(record.startswith(name) for record in listed)  # its files are missing, and that is said
        return "" if known else f"the folder {name[:200]!r} is empty, and the certificate does not know it"
    if name in listed:
        return _changed(listed[name], folder / name)
    return "" if name == FILE_NAME else f"{name[:200]!r} is in the bundle, and the certificate does not know it"


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    plain = name == path.as_posix() and "\\" not in name and "\0" not in name
    return plain and bool(path.parts) and not path.is_absolute() and not {"..", "."} & set(path.parts)


def _walk(folder: Path) -> Iterator[tuple[str, Kind]]:
    """Yield the name of each file, link and empty folder, whose name ends with a stroke."""
    left = [(folder, "")]
    while left:
        place, above = left.pop()
        empty = True
        with os.scandir(place) as entries:
            for entry in entries:
                empty, name = False, f"{above}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    left.append((Path(entry.path), f"{name}/"))
                else:
                    yield name, "file" if entry.is_file(follow_symlinks=False) else "other"
        if empty and above:
            yield above, "empty folder"


def _changed(record: FileRecord, path: Path) -> str:
    """Return how a file's bytes are others than certified; nothing where they are the same."""
    size = path.stat().st_size
    if size != record.bytes:
        return f"{record.name} has been changed: it has {size:,} bytes, not {record.bytes:,}"
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return "" if digest.hexdigest() == record.sha256 else f"{record.name} has been changed: its sha256 is another"


def _failed(message: str) -> ProofFailed:
    return ProofFailed(message, _REMEDY)
