"""Interruption: the first signal is noted, the next acts as outside."""

from __future__ import annotations

import os
import signal

import pytest

from zoo.training.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_only_noted(number: signal.Signals) -> None:
    with Interruption() as interruption:
        assert interruption.received is None
        os.kill(os.getpid(), number)
        assert interruption.received == number


def second_ctrl_c() -> None:
    with Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_the_second_ctrl_c_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt):
        second_ctrl_c()


def test_the_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
