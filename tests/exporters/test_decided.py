from __future__ import annotations

from exporters.decided import Decisions, Score


def fault(torch: float, file: float, allowed: float) -> str:
    """What is said of a metric's two sides."""
    score = Score(name="mean_absolute_error", torch=torch, file=file)
    return Decisions(rows=10, allowed=allowed, flips=(), scores=(score,)).fault


def test_a_metric_that_no_flip_explains_may_not_differ() -> None:
    assert fault(0.5, 0.5002, 1e-5) == "mean_absolute_error is 0.5 by torch and 0.5002 by the file"


def test_a_metric_of_the_size_of_last_bits_may_differ_by_these() -> None:
    assert fault(0.000404434, 0.000406456, 7.2e-4) == ""
