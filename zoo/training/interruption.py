"""Ctrl-C and SIGTERM, heard between two steps so that what is saved is whole."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context in which the first signal is only noted; a second one acts as it does outside."""

    def __init__(self) -> None:
        self.received: int | None = None
        """Number of the signal, once one came."""

    def __enter__(self) -> Self:
        self._outside = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._outside.items():
            signal.signal(number, handler)
