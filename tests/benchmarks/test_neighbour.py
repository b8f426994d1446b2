"""The row of the busy neighbour says what it measured, and fails where a step takes too long."""

from __future__ import annotations

import neighbour
import pytest


@pytest.mark.parametrize(("times", "slow"), [(1.49, False), (1.51, True)])
def test_a_step_may_take_half_as_long_again(times: float, slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbour, "slowdown", lambda spec, changes, rounds: (times, 1))
    shown, failed = neighbour.row("linear3", "linear3", [], 1)
    assert f"{times}" in shown
    assert failed == slow
