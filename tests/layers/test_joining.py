"""MatMul: the matrix product of two layers, as torch gives it."""

from contextlib import suppress

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from agreement import LENGTH, REFUSALS, declared, expected, given, sizes_of
from zoo.errors import ShapeError
from zoo.graph import layer_module
from zoo.shapes import Dimension, Shape

SIZES: st.SearchStrategy[Dimension] = st.sampled_from((1, 2, 2, 3, "T"))
MATMUL = declared({"type": "MatMul", "from": "other"})
TAKEN: list[bool] = []


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Shape, Shape]:
    """Draw two shapes, most of which fit one another."""
    rank = draw(st.integers(3, 5))
    lead = draw(st.lists(SIZES, min_size=rank - 3, max_size=rank - 3))
    rows, inner, columns = draw(SIZES), draw(SIZES), draw(SIZES)
    one, other = ["N", *lead, rows, inner], ["N", *lead, inner, columns]
    if draw(st.booleans()):
        changed = draw(st.sampled_from((one, other)))
        changed[draw(st.integers(1, rank - 1))] = draw(SIZES)
    if draw(st.integers(0, 9)) == 0:
        other.pop(1)
    return Shape(*one), Shape(*other)


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@drawn(pairs())
def holds(shapes: tuple[Shape, Shape]) -> None:
    outputs = []
    for length in (LENGTH, LENGTH + 2):
        batches = tuple(given(shape, 3, length) for shape in shapes)
        with suppress(*REFUSALS):
            outputs.append((length, torch.matmul(*batches)))
    try:
        result = MATMUL.infer(shapes)
    except ShapeError:
        assert len(outputs) < 2 or len({shape.rank for shape in shapes}) > 1, shapes
        return TAKEN.append(False)
    module = layer_module(MATMUL, shapes)
    for length, output in outputs:
        assert sizes_of(output) == expected(result, 3, length), shapes
        assert torch.equal(module(*(given(shape, 3, length) for shape in shapes)), output)
    assert len(outputs) == 2, shapes
    return TAKEN.append(True)


def test_it_is_torchs_own() -> None:
    holds()
    assert sum(TAKEN) > len(TAKEN) / 3


@pytest.mark.parametrize(
    "shapes",
    [(Shape("N", 3, 4), Shape("N", 4, 5)), (Shape("N", 2, 3, 4), Shape("N", 1, 4, 5))],
    ids=str,
)
def test_its_costs_are_those_that_torch_counts(shapes: tuple[Shape, Shape]) -> None:
    with FlopCounterMode(display=False) as counter:
        torch.matmul(*(given(shape, 1) for shape in shapes))
    assert 2 * MATMUL.cost(shapes) == counter.get_total_flops()


def test_a_sequence_costs_as_much_as_its_longest() -> None:
    shapes = Shape("N", "T", 4, longest=10), Shape("N", 4, "T", longest=10)
    assert MATMUL.cost(shapes) == 10 * 4 * 10


@pytest.mark.parametrize(
    ("shapes", "message", "remedy"),
    [
        (
            (Shape("N", 2, 3), Shape("N", 2, 3)),
            "MatMul needs as many rows from the one in from as the layer above has columns, 3",
            'exchange axes of one of the two: {"type": "Transpose"} above it',
        ),
        (
            (Shape("N", 2, 3), Shape("N", 3)),
            "MatMul needs matrices on both sides, with the batch on the first axis and as many axes",
            'give both (N, rows, columns): {"type": "Unsqueeze"} or "Permute" above it',
        ),
        (
            (Shape("N", 2, 2, 3), Shape("N", 4, 3, 2)),
            "MatMul needs axes before the matrices that agree or are 1",
            "make them alike, or give one side an axis of size 1",
        ),
        (
            (Shape("N", 2, 3),) * 3,
            "MatMul needs one id in from",
            "write one, and another MatMul below",
        ),
        ((Shape("N", 2, 3),), "MatMul needs something to join with", 'write "from": ["ID"]'),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(shapes: tuple[Shape, ...], message: str, remedy: str) -> None:
    with pytest.raises(ShapeError) as refused:
        MATMUL.infer(shapes)
    assert (refused.value.message, refused.value.remedy) == (message, remedy)
