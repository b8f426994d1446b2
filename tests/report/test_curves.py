"""Curves and axes: what is drawn is where it should be, and thinning keeps what counts."""

from __future__ import annotations

import pytest

from zoo.report.axes import axis_of
from zoo.report.curves import MOST_POINTS, thinned


def test_thinning_keeps_ends_peaks_and_dips() -> None:
    points = [(float(i), 5.0) for i in range(10_000)]
    points[1234], points[8765] = (1234.0, 99.0), (8765.0, -99.0)
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS
    assert {points[0], points[-1], points[1234], points[8765]} <= set(kept)
    assert list(kept) == sorted(kept)


def test_a_short_line_stays_as_it_is() -> None:
    points = [(1.0, 2.0), (2.0, 1.0)]
    assert thinned(points) == points


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-1e-9, 1e-9], [1e30, -1e30], [0.123, 0.124], [1e-300, 1.0]])
def test_every_number_has_its_place_and_ticks_stand_inside(values: list[float]) -> None:
    axis = axis_of(values, 200, 10, may_bend=True)
    assert all(10 <= axis.place(value) <= 200 for value in values)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 8
    assert all(axis.low <= tick <= axis.high or tick == pytest.approx(axis.low) for tick in ticks)


def test_numbers_far_apart_are_drawn_on_a_logarithmic_axis() -> None:
    assert axis_of([1e-6, 1.0], 0, 1, may_bend=True).logarithmic
    assert not axis_of([0.0, 1.0], 0, 1, may_bend=True).logarithmic
    assert axis_of([1e-6, 1.0], 0, 1, may_bend=True).place(1e-3) == pytest.approx(0.5)
