"""Seal: a file that carries the sha256 of its own content, so that a single changed bit is found.

The digest is that of the whole file with zeros in its own place. A safetensors file has it first in its header's
metadata, an archive of torch.save at its end, as a zip archive's comment: other programs read both as before.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Mapping
from pathlib import Path

_DIGITS = 64
_UNWRITTEN = b"0" * _DIGITS
_HEADER = 8  # bytes that say how long a safetensors header is
_IN_HEADER = b'{"__metadata__":{"sha256":"'
_IN_COMMENT = b"sha256 "


class SealError(ValueError):
    """A file carries no sha256, or another one than its content's."""


def sealed_tensors(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file with this metadata and its seal.

    Args:
        content: a safetensors file.
        metadata: what its header says beside the tensors.
    """
    size = int.from_bytes(content[:_HEADER], "little")
    header = json.loads(content[_HEADER : _HEADER + size])
    header = {"__metadata__": {"sha256": _UNWRITTEN.decode(), **metadata}} | header
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8 bytes
    whole = len(text).to_bytes(_HEADER, "little") + text + content[_HEADER + size :]
    return _sealed(whole, _HEADER + len(_IN_HEADER))


def sealed_archive(content: bytes) -> bytes:
    """Return an archive of torch.save with its seal."""
    comment = _IN_COMMENT + _UNWRITTEN
    # A zip archive ends with the length of its comment in two bytes, and the comment.
    return _sealed(content[:-2] + len(comment).to_bytes(2, "little") + comment, len(content) + len(_IN_COMMENT))


def require_seal(path: Path) -> None:
    """Refuse a file that is not as it was sealed.

    Raises:
        SealError: it carries no sha256, or another one than its content's.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise SealError("it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            place = _place(content)
            if content[place : place + _DIGITS] != _digest(content, place):
                raise SealError("its content is not what its sha256 says")


def _place(content: mmap.mmap) -> int:
    """Return where the digest begins."""
    if content[_HEADER : _HEADER + len(_IN_HEADER)] == _IN_HEADER:
        return _HEADER + len(_IN_HEADER)
    place = len(content) - _DIGITS
    if place < len(_IN_COMMENT) or content[place - len(_IN_COMMENT) : place] != _IN_COMMENT:
        raise SealError("it carries no sha256 of its content, or is cut off")
    return place


def _sealed(content: bytes, place: int) -> bytes:
    return content[:place] + _digest(content, place) + content[place + _DIGITS :]


def _digest(content: bytes | mmap.mmap, place: int) -> bytes:
    """Return the digest of the content with zeros at its place, as hexadecimal digits."""
    digest = hashlib.sha256()
    with memoryview(content) as view:
        for part in (view[:place], _UNWRITTEN, view[place + _DIGITS :]):
            digest.update(part)
            if isinstance(part, memoryview):
                part.release()
    return digest.hexdigest().encode()
