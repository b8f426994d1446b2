"""Indices: a shape that knows which axes its places are in."""

from zoo.layers.indices import Indices
from zoo.shapes import Shape

POOLED = Shape("N", 3, 2, 2, longest=7)


def test_they_are_whole_numbers_of_the_pooled_sizes() -> None:
    indices = Indices(POOLED, (5, 5))
    assert (indices.dims, indices.dtype, indices.longest) == (POOLED.dims, "int64", 7)


def test_they_equal_a_shape_of_the_same_sizes() -> None:
    indices, plain = Indices(POOLED, (5, 5)), POOLED.with_dtype("int64")
    assert indices == plain
    assert plain == indices
    assert hash(plain) == hash(indices)
    assert indices != POOLED


def test_other_axes_know_it_no_more() -> None:
    assert not isinstance(Indices(POOLED, (5, 5)).with_dims("N", 12), Indices)
