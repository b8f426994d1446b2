"""Wire: the fields of a protobuf message, read in place without a schema, in bounded time and memory.

Nothing is copied but what is asked for, so that a file of many gigabytes is looked at without being loaded.
Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_FIELDS = 2_000_000  # in a file, worth about three seconds; a model of a thousand layers has about 20,000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_LONGEST = 10  # bytes of a varint


class WireError(ValueError):
    """The bytes are no protobuf message, or too much of one."""


@dataclass
class Budget:
    """How many fields may still be read."""

    left: int = field(default=MOST_FIELDS)

    def spend(self) -> None:
        """Count one field.

        Raises:
            WireError: too many have been read.
        """
        self.left -= 1
        if self.left < 0:
            raise WireError(f"it has more than {MOST_FIELDS:,} fields")


@dataclass(frozen=True)
class Message:
    """A stretch of a file that is one message."""

    content: bytes | mmap.mmap
    start: int
    end: int
    budget: Budget = field(default_factory=Budget)

    def __len__(self) -> int:
        return self.end - self.start

    def fields(self) -> Iterator[tuple[int, int | Message]]:
        """Yield the number and value of each field in turn: an integer, or a stretch of bytes.

        Raises:
            WireError: the bytes are not what they must be.
        """
        place = self.start
        while place < self.end:
            self.budget.spend()
            key, place = self._varint(place)
            number, kind = key >> 3, key & 7
            if not number:
                raise WireError(f"no field begins at byte {place}")
            if kind == _VARINT:
                value, place = self._varint(place)
                yield number, value
                continue
            if kind == _BYTES:
                size, place = self._varint(place)
            elif kind in _FIXED:
                size = _FIXED[kind]
            else:
                raise WireError(f"no field begins at byte {place}")
            if size > self.end - place:
                raise WireError(f"it ends in the middle of a field, at byte {self.end}")
            yield number, Message(self.content, place, place + size, self.budget)
            place += size

    def integers(self) -> Iterator[int]:
        """Yield the integers of a packed field."""
        place = self.start
        while place < self.end:
            self.budget.spend()
            value, place = self._varint(place)
            yield signed(value)

    def text(self) -> str:
        """Return the bytes as text.

        Raises:
            WireError: they are none.
        """
        try:
            return bytes(self.content[self.start : self.end]).decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireError(f"it holds no text at byte {self.start}") from error

    def _varint(self, place: int) -> tuple[int, int]:
        value = 0
        for shift in range(_LONGEST):
            if place >= self.end:
                raise WireError(f"it ends in the middle of a field, at byte {self.end}")
            byte = self.content[place]
            place += 1
            value |= (byte & 0x7F) << (7 * shift)
            if byte < 0x80:
                return value, place
        raise WireError(f"no number stands at byte {place - _LONGEST}")


def signed(value: int) -> int:
    """Return a varint as the int64 that it stands for."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value
