"""Layers that give a row other axes: as torch does, with the batch apart."""

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from agreement import assert_agrees, declared
from holding import Options, Own, axes, floats_only, hold, options, refusal, shapes
from writing import assert_exports
from zoo.layers import Layer
from zoo.layers.shaping import Flatten, Squeeze, Unflatten
from zoo.shapes import Shape

PARTS = st.lists(st.sampled_from((1, 2, 3, 4, 6, -1, -1)), min_size=1, max_size=3)


def over_the_batch(layer: Layer, shape: Shape) -> bool:
    """The batch stays apart, and a sequence of any length stays whole; torch's are of 5 steps."""
    first, last = shape.dims.index("N") - shape.rank, shape.dims.index("N")
    if isinstance(layer, Flatten):
        return not shape.batched or first in (layer.start_dim, layer.end_dim) or 0 in (layer.start_dim, layer.end_dim)
    assert isinstance(layer, Unflatten)
    return layer.dim in (first, last) or not shape.batched


def reshaped(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    return Own(lambda x: x.reshape(x.shape[0], *written["shape"]))


def squeezed(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    return Own(lambda x: x.squeeze(written["dim"]))


def unsqueezed(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    return Own(lambda x: x.unsqueeze(written["dim"]))


def test_flatten_is_torchs_own() -> None:
    def stricter(layer: Layer, shape: Shape) -> bool:
        return over_the_batch(layer, shape) or "T" in shape.dims

    hold("Flatten", options(start_dim=axes, end_dim=axes), shapes(), stricter)


def test_unflatten_is_torchs_own() -> None:
    def stricter(layer: Layer, shape: Shape) -> bool:
        assert isinstance(layer, Unflatten)
        return over_the_batch(layer, shape) or shape.dims[layer.dim] == "T"

    parts = st.sampled_from(([2, -1], [-1], [1, 2], [2, 3], [-1, 2, 1], [4], [3, -1], [-1, -1])) | PARTS
    drawn = st.fixed_dictionaries({"dim": st.sampled_from((1, 2, -1, -1)), "unflattened_size": parts})
    hold("Unflatten", drawn, shapes(low=2, high=3), stricter)


def test_reshape_is_torchs_own() -> None:
    drawn = st.fixed_dictionaries({"shape": PARTS})
    hold("Reshape", drawn, shapes(high=3), lambda layer, shape: not shape.batched or "T" in shape.dims, reshaped)


def test_squeeze_is_torchs_own() -> None:
    def stricter(layer: Layer, shape: Shape) -> bool:
        """An axis that is not of size 1 would stay."""
        assert isinstance(layer, Squeeze)
        named = (layer.dim,) if isinstance(layer.dim, int) else layer.dim
        return any(shape.dims[axis] != 1 for axis in named)

    shape = st.builds(lambda sizes: Shape("N", *sizes), st.lists(st.sampled_from((1, 1, 1, 3, "T")), max_size=3))
    single = st.integers(-3, 3)
    drawn = st.fixed_dictionaries({"dim": single | st.lists(single, min_size=1, max_size=2)})
    hold("Squeeze", drawn, shape, stricter, squeezed)


def test_unsqueeze_is_torchs_own() -> None:
    hold("Unsqueeze", st.fixed_dictionaries({"dim": axes}), shapes(), floats_only, unsqueezed)


def test_a_sequence_of_any_length_goes_where_minus_one_stands() -> None:
    heads = declared({"type": "Reshape", "shape": [-1, 2, 3]})
    assert heads.output_shape(Shape("N", "T", 6)) == Shape("N", "T", 2, 3)
    assert assert_agrees(heads, Shape("N", "T", 6))


def test_axes_of_size_one_join_a_sequence_of_any_length() -> None:
    assert declared({"type": "Flatten"}).output_shape(Shape("N", "T", 1)) == Shape("N", "T")


def test_whole_numbers_stay_whole() -> None:
    assert declared({"type": "Flatten"}).output_shape(Shape("N", 2, 3, dtype="uint8")) == Shape("N", 6, dtype="uint8")


@pytest.mark.parametrize(
    ("document", "shape"),
    [
        ({"type": "Flatten"}, Shape("N", 2, 3)),
        ({"type": "Unflatten", "dim": 1, "unflattened_size": [2, -1]}, Shape("N", 6)),
        ({"type": "Reshape", "shape": [3, -1]}, Shape("N", 2, 6)),
        ({"type": "Reshape", "shape": [1, 1]}, Shape("N")),
        ({"type": "Reshape", "shape": [-1, 2, 3]}, Shape("N", "T", 6)),
        ({"type": "Squeeze", "dim": [1, -1]}, Shape("N", 1, 3, 1)),
        ({"type": "Unsqueeze", "dim": -2}, Shape("N", "T", 3)),
    ],
    ids=str,
)
def test_traced_and_exported_copies_reshape_any_batch(document: Options, shape: Shape) -> None:
    assert_exports(declared(document), shape)


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Flatten", "start_dim": 8},
        {"type": "Flatten", "end_dim": -9},
        {"type": "Unflatten", "dim": 1},
        {"type": "Unflatten", "dim": 1, "unflattened_size": []},
        {"type": "Unflatten", "dim": 1, "unflattened_size": [0, 2]},
        {"type": "Unflatten", "dim": 1, "unflattened_size": [-1, -1]},
        {"type": "Reshape", "shape": [-1, -1]},
        {"type": "Reshape", "shape": [-2]},
        {"type": "Squeeze"},
        {"type": "Squeeze", "dim": []},
        {"type": "Unsqueeze", "dim": [1, 2]},
    ],
    ids=str,
)
def test_a_value_out_of_bounds_is_refused(document: Options) -> None:
    with pytest.raises(ValidationError):
        declared(document)


@pytest.mark.parametrize(
    ("document", "shape", "message", "remedy", "option"),
    [
        (
            {"type": "Flatten", "start_dim": 0},
            Shape("N", 3, 4),
            "Flatten needs start_dim 0 to be an axis after the batch",
            "write an axis from 1 to 2, or from -1 to -2",
            "start_dim",
        ),
        (
            {"type": "Flatten", "end_dim": 3},
            Shape("N", 3, 4),
            "Flatten needs end_dim 3 to be an axis after the batch",
            "write an axis from 1 to 2, or from -1 to -2",
            "end_dim",
        ),
        (
            {"type": "Flatten", "start_dim": 2, "end_dim": 1},
            Shape("N", 3, 4),
            "Flatten needs a start_dim (2) at or before its end_dim (1)",
            "exchange them",
            "start_dim",
        ),
        ({"type": "Flatten"}, Shape("N"), "Flatten needs an axis after the batch", "remove the Flatten", ""),
        (
            {"type": "Flatten"},
            Shape("N", "T", 4),
            "Flatten needs axes of known sizes",
            "leave the sequence apart, or give it one length",
            "",
        ),
        (
            {"type": "Unflatten", "dim": 1, "unflattened_size": [4, -1]},
            Shape("N", 6),
            "Unflatten needs unflattened_size to hold 6 numbers",
            "write sizes whose product is that, or one as -1",
            "unflattened_size",
        ),
        (
            {"type": "Reshape", "shape": [4, 4]},
            Shape("N", 3, 4),
            "Reshape needs shape to hold 12 numbers",
            "write sizes whose product is that, or one as -1",
            "shape",
        ),
        (
            {"type": "Reshape", "shape": [-1, 5]},
            Shape("N", "T", 6),
            "Reshape needs shape to hold T · 6 numbers",
            "write sizes whose product is that, with -1 in the place of T",
            "shape",
        ),
        (
            {"type": "Squeeze", "dim": 1},
            Shape("N", 3),
            "Squeeze needs axis 1 to have size 1",
            "write another dim",
            "dim",
        ),
        (
            {"type": "Squeeze", "dim": [1, -1]},
            Shape("N", 1),
            "Squeeze needs dim to name each axis once",
            "remove the second one",
            "dim",
        ),
        (
            {"type": "Unsqueeze", "dim": 3},
            Shape("N", 3),
            "Unsqueeze needs dim 3 to be a place for an axis",
            "write a place from 0 to 2, or from -1 to -3",
            "dim",
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    document: Options, shape: Shape, message: str, remedy: str, option: str
) -> None:
    assert refusal(document, shape) == (message, remedy, option)
