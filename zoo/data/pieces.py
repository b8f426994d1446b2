"""Pieces of a file, read when they are asked for; nothing of the file stays in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from zoo.errors import DataError, reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_pieces(path: str, places: Sequence[int], size: int) -> NDArray[np.uint8]:
    """Return the bytes from each place on, (pieces, size).

    Raises:
        DataError: the file is absent, or ends before.
    """
    import numpy as np

    pieces = np.empty((len(places), size), dtype=np.uint8)
    try:
        with open(path, "rb", buffering=0) as file:
            for first, last in _runs(places, size):
                file.seek(places[first])
                wanted = pieces[first:last].reshape(-1).data
                while len(wanted):
                    read = file.readinto(wanted)
                    if not read:
                        raise DataError(f"{path} ends too early", "give the whole file")
                    wanted = wanted[read:]
    except OSError as error:
        raise DataError(f"cannot read {path}: {reason(error)}", "check the file and its permissions") from error
    return pieces


def _runs(places: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    """Yield first and last piece, the last not included, of those that follow one another in the file."""
    first = 0
    for last in range(1, len(places) + 1):
        if last == len(places) or places[last] != places[last - 1] + size:
            yield first, last
            first = last
