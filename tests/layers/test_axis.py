"""Axes: where they stand, which are apart from the batch, and how many numbers they hold."""

import pytest

from zoo.errors import ShapeError
from zoo.layers.axis import apart, apart_all, joined, least, position
from zoo.layers.reduction import Mean
from zoo.shapes import Dimension, Shape

LAYER = Mean(type="Mean", dim=1)
STATE = Shape(2, "N", 3)
ROWS = Shape("N", 4, 5)


@pytest.mark.parametrize(("written", "stands"), [(0, 0), (2, 2), (-1, 2), (-3, 0)])
def test_an_axis_is_counted_from_both_ends(written: int, stands: int) -> None:
    assert position(LAYER, "dim", written, ROWS) == stands


@pytest.mark.parametrize("written", [3, -4])
def test_an_axis_that_is_not_there_is_refused(written: int) -> None:
    with pytest.raises(ShapeError):
        position(LAYER, "dim", written, ROWS)


@pytest.mark.parametrize(("shape", "written"), [(ROWS, 0), (ROWS, -3), (ROWS, 3), (STATE, 1), (STATE, -2)], ids=str)
def test_the_batch_is_apart_wherever_it_stands(shape: Shape, written: int) -> None:
    with pytest.raises(ShapeError):
        apart(LAYER, "dim", written, shape)


def test_several_axes_come_in_order() -> None:
    assert apart_all(LAYER, "dim", (-1, 1), ROWS) == (1, 2)


def test_an_axis_named_twice_is_refused() -> None:
    with pytest.raises(ShapeError):
        apart_all(LAYER, "dim", (2, -1), ROWS)


@pytest.mark.parametrize(
    ("sizes", "size"),
    [((), 1), ((2, 3), 6), (("T",), "T"), ((1, "T", 1), "T"), (("T", 2), None), (("N", "T"), None)],
    ids=str,
)
def test_joined_axes_have_the_product_of_their_sizes(sizes: tuple[Dimension, ...], size: Dimension | None) -> None:
    assert joined(sizes) == size


def test_a_sequence_holds_one_number_at_least() -> None:
    assert least(("T", 3, 2)) == 6
