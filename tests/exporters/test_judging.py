"""Judging: how far a file's answer to a single probe may be off."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.judging import judge
from exporters.probing import PROBES, PROBES_NAME
from exporters.questions import OutputRecord, Question, Questions
from exporters.runtimes import Answers

HELD_OUT = np.linspace(-1, 1, 64).reshape(64, 1)
PROBED = np.array([[0.5], [0.5], [0.5], [0.5], [1e4]])  # noise is answered 10,000 times as large as any row


def verdict(row: int, share: float, moves: float) -> str:
    """What becomes of a file that is wrong by a share of its answer to one probe, whose last bits move it so far."""
    batch = HELD_OUT.astype(np.float32)
    rows, ones = PROBED.astype(np.float32), np.ones((1, len(PROBED))) * moves
    held_out = Question("batch of 64", batch, (HELD_OUT,), (batch,))
    probes = Question(PROBES_NAME, rows, (PROBED,), (rows,), PROBES, tuple(map(tuple, ones.tolist())))
    asked = Questions((held_out,), (probes,), (OutputRecord(name="y"),))
    answer = rows.copy()
    answer[row] *= 1 + share
    found = judge(asked.outputs, asked, Answers(((batch,), (answer,)), ""), "a runtime", "optimised")
    return max(comparison.verdict != "equal" for comparison in found.comparisons) * "refused" or "equal"


@pytest.mark.parametrize("row", [0, 4])
def test_a_fault_on_one_probe_is_refused_however_far_last_bits_move_it(row: int) -> None:
    assert verdict(row, share=1e-2, moves=1e9) == "refused"


@pytest.mark.parametrize("row", [0, 4])
def test_a_probe_that_last_bits_move_may_be_off_by_that(row: int) -> None:
    assert verdict(row, share=5e-4, moves=1e9) == "equal"
    assert verdict(row, share=5e-4, moves=0.0) == "refused"


def test_a_far_probe_loosens_no_other() -> None:
    assert verdict(0, share=1e-1, moves=1e9) == "refused"
