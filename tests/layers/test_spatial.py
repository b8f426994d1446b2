"""Windows: how many places they have on an axis."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement import declared
from zoo.errors import ShapeError
from zoo.layers.spatial import Window, holdable, positions, spread
from zoo.shapes import Shape


def slides(window: Window, size: int) -> int:
    """Count the places one by one."""
    end = size + window.before + window.after
    starts = range(0, end, window.stride)
    if window.ceil:  # the last may reach beyond the end, and begins before its padding
        inside = [start for start in starts if start < size + window.before]
        return len([start for start in inside if start - window.stride + window.reach < end])
    return len([start for start in starts if start + window.reach <= end])


WINDOWS = st.builds(
    Window,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 5),
    before=st.integers(0, 3),
    after=st.integers(0, 3),
    dilation=st.integers(1, 3),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(WINDOWS, st.integers(1, 12))
def test_the_places_are_those_that_one_counts(window: Window, size: int) -> None:
    counted = slides(window, size)
    assert max(0, window.places(size)) == counted
    assert (counted > 0) == (size >= window.smallest)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(WINDOWS)
def test_it_keeps_every_size_or_says_that_it_does_not(window: Window) -> None:
    assert window.keeps == all(window.places(size) == size for size in range(1, 20))


def test_one_number_is_for_all_axes() -> None:
    assert (spread(3, 2), spread((3, 4), 2)) == ((3, 3), (3, 4))


def test_positions_are_the_sides_multiplied() -> None:
    assert positions(Shape("N", 7, 3, 4)) == 12
    assert (positions(Shape("N", 7, "T")), positions(Shape("N", 7, "T", longest=9))) == (1, 9)


def test_rows_that_no_machine_holds_are_refused() -> None:
    layer = declared({"type": "ConstantPad3d", "padding": 0, "value": 0})
    with pytest.raises(ShapeError, match="no machine holds"):
        holdable(layer, Shape("N", 2**31 - 1, 2**31 - 1))
