"""The clock: checkpoints come in time and cost little."""

from __future__ import annotations

import time

from zoo.training.clock import EVERY, SHARE, Clock


def test_nothing_is_saved_before_it_is_due() -> None:
    saved: list[int] = []
    Clock(due=time.perf_counter() + 60).run(lambda: saved.append(1))
    assert saved == []


def test_a_quick_checkpoint_is_due_again_soon() -> None:
    saved: list[int] = []
    clock = Clock(due=0.0)
    before = time.perf_counter()
    clock.run(lambda: saved.append(1))
    clock.run(lambda: saved.append(2))
    assert saved == [1]
    assert 0 <= clock.due - before - EVERY < 10  # a busy machine may pause


def test_a_slow_checkpoint_waits_longer_for_the_next() -> None:
    clock = Clock(due=0.0)
    clock.run(lambda: time.sleep(0.6))
    assert clock.due - time.perf_counter() > 0.55 * SHARE
