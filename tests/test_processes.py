"""What a launcher says to a process, and what processes cannot share."""

from __future__ import annotations

import pytest

from zoo.errors import UsageError
from zoo.processes import Seat, require_alone_or_own, require_rows, seat


def test_more_processes_than_rows_of_a_batch_are_refused() -> None:
    require_rows(4, 4)
    with pytest.raises(UsageError, match="5 processes cannot share batches of 4 rows"):
        require_rows(4, 5)


def test_a_seat_is_read_from_what_the_launcher_says() -> None:
    said = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert seat({}) is None
    assert seat(said) == Seat(3, 4, 1, 2, own=False)
    assert seat({**said, "TORCHELASTIC_RUN_ID": "zoo-12"}) == Seat(3, 4, 1, 2, own=True)
    with pytest.raises(UsageError, match="LOCAL_RANK"):
        seat({"RANK": "0", "WORLD_SIZE": "2"})


def test_processes_are_not_started_under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    require_alone_or_own(None)
    with pytest.raises(UsageError, match="torchrun has started 2 processes already"):
        require_alone_or_own(2)
