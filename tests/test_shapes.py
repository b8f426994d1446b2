"""Shape: axes and dtype of a batch, and how a person reads them."""

from dataclasses import FrozenInstanceError

import pytest

from zoo.shapes import Shape

IMAGES = Shape("N", 3, 224, 112)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (IMAGES, "(N, 3, 224, 112)"),
        (Shape("N", 1), "(N, 1)"),
        (Shape("N"), "(N,)"),
        (Shape("N", dtype="int64"), "(N,) of int64"),
        (Shape("N", 1, 28, 28, dtype="uint8"), "(N, 1, 28, 28) of uint8"),
    ],
    ids=str,
)
def test_a_shape_reads_as_a_tuple_and_names_a_dtype_other_than_float32(shape: Shape, text: str) -> None:
    assert str(shape) == text


def test_the_dtype_is_float32_unless_it_is_said() -> None:
    assert IMAGES.dtype == "float32"


@pytest.mark.parametrize(("shape", "rank"), [(Shape("N"), 1), (Shape("N", 1), 2), (IMAGES, 4)], ids=str)
def test_the_rank_counts_the_batch(shape: Shape, rank: int) -> None:
    assert shape.rank == rank


@pytest.mark.parametrize(("shape", "row"), [(Shape("N"), ()), (Shape("N", 7), (7,)), (IMAGES, (3, 224, 112))], ids=str)
def test_the_row_is_every_axis_but_the_batch(shape: Shape, row: tuple[int, ...]) -> None:
    assert shape.row == row


@pytest.mark.parametrize(("shape", "size"), [(Shape("N"), 1), (Shape("N", 7), 7), (IMAGES, 75_264)], ids=str)
def test_the_row_size_is_how_many_numbers_a_row_holds(shape: Shape, size: int) -> None:
    assert shape.row_size == size


@pytest.mark.parametrize("shape", [Shape("N", "T"), Shape("N", 3, "T"), Shape("N", "T", 3)], ids=str)
def test_a_row_with_a_symbolic_axis_has_no_sizes(shape: Shape) -> None:
    with pytest.raises(TypeError) as refusal:
        _ = shape.row
    assert str(refusal.value) == f"{shape} has a symbolic axis beside the batch"


def test_other_axes_keep_the_dtype() -> None:
    assert Shape("N", 4, dtype="uint8").with_dims("N", 2, 2) == Shape("N", 2, 2, dtype="uint8")


def test_another_dtype_keeps_the_axes() -> None:
    assert IMAGES.with_dtype("uint8") == Shape("N", 3, 224, 112, dtype="uint8")


def test_equal_axes_and_dtypes_are_equal_shapes() -> None:
    assert Shape("N", 3, 224, 112) == IMAGES


def test_equal_shapes_have_equal_hashes() -> None:
    assert hash(Shape("N", 3, 224, 112)) == hash(IMAGES)


@pytest.mark.parametrize(
    "other", [Shape("N", 3, 112, 224), Shape("N", 3, 224), IMAGES.with_dtype("uint8"), Shape("M", 3, 224, 112)], ids=str
)
def test_other_axes_or_another_dtype_are_another_shape(other: Shape) -> None:
    assert other != IMAGES


@pytest.mark.parametrize("attribute", ["dims", "dtype"])
def test_a_shape_never_changes(attribute: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(Shape("N"), attribute, None)
