"""Layers that reorder axes or take a part: as torch does, with the batch apart or, in Permute, wherever it is put."""

import hypothesis
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from agreement import LENGTH, assert_agrees, batch_of, declared, given
from holding import Options, Own, axes, hold, refusal, shapes
from writing import assert_exports
from zoo.errors import ShapeError
from zoo.graph import layer_module
from zoo.layers import Layer
from zoo.layers.moving import Index, Narrow
from zoo.shapes import Shape, Value

PLACES = st.integers(-4, 4)
LSTM: Value = (Shape("N", "T", 4), (Shape(2, "N", 3), Shape(2, "N", 3)))
"""What an LSTM gives."""


def over_the_batch_or_a_sequence(layer: Layer, shape: Shape) -> bool:
    """Rows stay apart; a place that a sequence of 5 steps has, another may not have."""
    assert isinstance(layer, Index | Narrow)
    return shape.dims[layer.dim] in ("N", "T")


def permuted(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    return Own(lambda x: x.permute(*written["dims"]))


def transposed(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    return Own(lambda x: x.transpose(written["dim0"], written["dim1"]))


def indexed(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    return Own(lambda x: x.select(written["dim"], written["index"]))


def narrowed(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    return Own(lambda x: x.narrow(written["dim"], written["start"], written["length"]))


def test_permute_is_torchs_own() -> None:
    orders = st.permutations(range(3)) | st.permutations((0, -1, 1)) | st.lists(axes, min_size=1, max_size=4)
    hold("Permute", st.fixed_dictionaries({"dims": orders}), shapes(usual=3), own=permuted)


def test_transpose_is_torchs_own() -> None:
    hold("Transpose", st.fixed_dictionaries({"dim0": axes, "dim1": axes}), shapes(low=2), own=transposed)


def test_chunk_is_torchs_own_where_it_is_even() -> None:
    taken: list[bool] = []

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @hypothesis.given(st.integers(2, 3), st.sampled_from((1, -1, 2, -2, 0)), shapes(low=2, sequence=False))
    def each(chunks: int, dim: int, shape: Shape) -> None:
        layer, batch = declared({"type": "Chunk", "chunks": chunks, "dim": dim}), batch_of(shape, 3)
        there = -shape.rank <= dim < shape.rank and shape.dims[dim] != "N"
        taken.append(there and batch.size(dim) % chunks == 0)
        assert assert_agrees(layer, shape) == taken[-1], shape
        if taken[-1]:
            torch.testing.assert_close(layer_module(layer, (shape,))(batch), batch.chunk(chunks, dim), rtol=0, atol=0)

    each()
    assert sum(taken) > len(taken) / 8


def test_the_parts_of_a_tensor_go_ways_of_their_own() -> None:
    parts = declared({"type": "Chunk", "chunks": 2}).infer((Shape("N", 6, "T"),))
    assert parts == (Shape("N", 3, "T"), Shape("N", 3, "T"))
    assert declared({"type": "Select", "index": 1}).infer((parts,)) == Shape("N", 3, "T")


def test_index_is_torchs_own() -> None:
    drawn = st.fixed_dictionaries({"dim": axes, "index": st.sampled_from((0, -1)) | PLACES})
    hold("Index", drawn, shapes(low=2), over_the_batch_or_a_sequence, indexed)


def test_narrow_is_torchs_own() -> None:
    starts = st.sampled_from((0, 0, -1)) | PLACES
    drawn = st.fixed_dictionaries({"dim": st.sampled_from((1, 1, -1, 0)), "start": starts, "length": st.integers(1, 3)})
    hold("Narrow", drawn, shapes(low=2, high=3), over_the_batch_or_a_sequence, narrowed)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, Shape("N", "T", 4)),
        ([0], Shape("N", "T", 4)),
        ([1, 0], Shape(2, "N", 3)),
        (1, (Shape(2, "N", 3), Shape(2, "N", 3))),
    ],
    ids=str,
)
def test_select_takes_one_of_several_tensors(index: int | list[int], expected: Value) -> None:
    layer = declared({"type": "Select", "index": index})
    assert layer.infer((LSTM,)) == expected
    assert assert_agrees(layer, LSTM)


def test_the_selected_tensor_is_the_one_of_that_number() -> None:
    values = given(LSTM, 2, LENGTH)
    module = layer_module(declared({"type": "Select", "index": [1, 1]}), (LSTM,))
    assert torch.equal(module(values), values[1][1])


@pytest.mark.parametrize(
    ("index", "value", "message", "remedy"),
    [
        (0, Shape("N", 3), "Select needs several tensors", "remove it, or write Index for a part of one tensor"),
        (2, LSTM, "Select finds 2 tensors where it needs number 2", "write 0 to 1"),
        ([0, 1], LSTM, "Select finds one tensor where it needs number 1", "remove the last number"),
    ],
    ids=str,
)
def test_select_refuses_what_is_not_there(index: int | list[int], value: Value, message: str, remedy: str) -> None:
    with pytest.raises(ShapeError) as refused:
        declared({"type": "Select", "index": index}).infer((value,))
    assert (refused.value.message, refused.value.remedy) == (message, remedy)


def test_the_last_state_of_an_lstm_comes_to_the_batch() -> None:
    state = declared({"type": "Select", "index": [1, 0]}).infer((LSTM,))
    assert declared({"type": "Index", "dim": 0, "index": -1}).infer((state,)) == Shape("N", 3)
    assert declared({"type": "Permute", "dims": [1, 0, 2]}).infer((state,)) == Shape("N", 2, 3)


@pytest.mark.parametrize(
    ("document", "shape"),
    [
        ({"type": "Permute", "dims": [0, 2, 1]}, Shape("N", "T", 3)),
        ({"type": "Permute", "dims": [1, 2, 0]}, Shape("N", 2, 3)),
        ({"type": "Transpose", "dim0": 0, "dim1": -1}, Shape("N", 2, 3)),
        ({"type": "Index", "dim": 1, "index": -1}, Shape("N", "T", 3)),
        ({"type": "Chunk", "chunks": 2, "dim": -1}, Shape("N", "T", 4)),
        ({"type": "Narrow", "dim": 1, "start": -2, "length": 2}, Shape("N", 4, 3)),
    ],
    ids=str,
)
def test_traced_and_exported_copies_move_any_batch(document: Options, shape: Shape) -> None:
    assert_exports(declared(document), shape)


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Permute", "dims": []},
        {"type": "Permute", "dims": [8]},
        {"type": "Transpose", "dim0": 1},
        {"type": "Chunk", "chunks": 1},
        {"type": "Select", "index": -1},
        {"type": "Select", "index": []},
        {"type": "Index", "dim": 1, "index": 0.5},
        {"type": "Narrow", "dim": 1, "start": 0, "length": 0},
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
            {"type": "Permute", "dims": [0, 1, 1]},
            Shape("N", 3, 4),
            "Permute needs dims to name each of the 3 axes once",
            "write the numbers from 0 to 2 in the order you want",
            "dims",
        ),
        (
            {"type": "Transpose", "dim0": 1, "dim1": 3},
            Shape("N", 3, 4),
            "Transpose needs dim1 3 to be an axis",
            "write an axis from 0 to 2, or from -1 to -3",
            "dim1",
        ),
        (
            {"type": "Chunk", "chunks": 2},
            Shape("N", 3, 4),
            "Chunk needs the 3 places of axis 1 to be a multiple of 2",
            "write chunks that divide it, or a Narrow for each part",
            "chunks",
        ),
        (
            {"type": "Index", "dim": 0, "index": 0},
            Shape("N", 3),
            "Index needs dim 0 to be an axis after the batch",
            "write an axis from 1 to 1, or from -1 to -1",
            "dim",
        ),
        (
            {"type": "Index", "dim": 1, "index": 3},
            Shape("N", 3),
            "Index needs axis 1 to have place 3",
            "write a place from 0 to 2, or from -1 to -3",
            "index",
        ),
        (
            {"type": "Index", "dim": 1, "index": 3},
            Shape("N", "T", 3),
            "Index needs a place that every T has",
            "write 0 or -1",
            "index",
        ),
        (
            {"type": "Narrow", "dim": 1, "start": 3, "length": 1},
            Shape("N", 3),
            "Narrow needs axis 1 to have place 3",
            "write a place from 0 to 2, or from -1 to -3",
            "start",
        ),
        (
            {"type": "Narrow", "dim": 1, "start": -2, "length": 3},
            Shape("N", 3),
            "Narrow needs 4 places on axis 1",
            "write a length of at most 2",
            "length",
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    document: Options, shape: Shape, message: str, remedy: str, option: str
) -> None:
    assert refusal(document, shape) == (message, remedy, option)
