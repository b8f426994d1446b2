"""Unpooling beside torch's own: it puts numbers back where pooling took them from, or says why it cannot."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from agreement import batch_of, declared, expected, ruled, sizes_of
from drawing import EXAMPLES, REFUSALS, frozen, numbers, shapes
from zoo.errors import ShapeError
from zoo.graph import graph_module
from zoo.layers import Layer
from zoo.placed import THE_INPUT, PlacedLayer
from zoo.shapes import Shape, Value

Document = dict[str, Any]  # JSON values


@st.composite
def pairs(draw: st.DrawFn, axes: int) -> tuple[Document, Document, Shape]:
    """Draw a pooling, an unpooling that mostly has the same options, and what goes into the pooling."""
    options: Document = {"kernel_size": draw(numbers(axes, 1, 3))}
    for name, values in (("stride", numbers(axes, 1, 3)), ("padding", st.sampled_from([0, 1]))):
        if draw(st.booleans()):
            options[name] = draw(values)
    shape = draw(shapes(axes, largest=6 if axes < 3 else 4, channels=2))
    pool = {"type": f"MaxPool{axes}d", "return_indices": True, "ceil_mode": draw(st.booleans()), **options}
    unpool = {"type": f"MaxUnpool{axes}d", "indices": "pool", **options}
    if draw(st.integers(0, 2)) and shape.rank == axes + 2:
        unpool["output_size"] = list(shape.dims[2:])
    if draw(st.integers(0, 5)) == 5:
        unpool["kernel_size"] = draw(st.integers(1, 3))
    return pool, unpool, shape


def unpooled(unpool: Document, pooled: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor | None:
    """Return what torch's own class gives; None where it refuses."""
    options = {name: frozen(v) for name, v in unpool.items() if name not in ("type", "indices", "output_size")}
    try:
        found: torch.Tensor = getattr(nn, unpool["type"])(**options)(*pooled, output_size=unpool.get("output_size"))
    except REFUSALS:
        return None
    return found


def holds(pool: Document, unpool: Document, shape: Shape) -> bool:
    """Hold an unpooling against torch's; return whether it is taken."""
    try:
        pooling = declared(pool)
    except ValidationError:
        return False
    value = ruled(pooling, shape)
    if not isinstance(value, tuple) or not isinstance(value[0], Shape):
        return False
    pooled = pooling.build(shape)(batch_of(shape, 3))
    found = unpooled(unpool, pooled)
    result = both(declared(unpool), value)
    if result is None:
        assert found is None or found.shape[2:] != shape.concrete(3)[2:], (
            f"torch takes {unpool} after {pool} on {shape}"
        )
        return False
    assert found is not None
    assert sizes_of(found) == expected(result, 3)
    assert torch.equal(written(pooling, declared(unpool), shape)(batch_of(shape, 3)), found)
    return True


def written(pool: Layer, unpool: Layer, shape: Shape) -> nn.Module:
    """Return the module of a model that pools and puts back."""
    pooled, select = pool.infer((shape,)), declared({"type": "Select", "index": 0})
    numbers = select.infer((pooled,))
    back = unpool.infer((numbers, pooled))
    return graph_module(
        (
            PlacedLayer("pool", pool, (), (THE_INPUT,), (shape,), pooled),
            PlacedLayer("numbers", select, (), (0,), (pooled,), numbers),
            PlacedLayer("back", unpool, (), (1, 0), (numbers, pooled), back),
        )
    )


def both(layer: Layer, pooled: tuple[Value, ...]) -> Value | None:
    """Return what the rule gives for numbers and indices of the same pooling; None where it refuses."""
    try:
        return layer.infer((pooled[0], pooled))
    except ShapeError:
        return None


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_it_agrees_with_torch(axes: int) -> None:
    taken: list[bool] = []

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
    @given(pairs(axes))
    def each(drawn: tuple[Document, Document, Shape]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            taken.append(holds(*drawn))

    each()
    assert sum(taken) >= 0.2 * len(taken)


def pooled_value(document: Document, shape: Shape) -> tuple[Value, ...]:
    value = declared({"type": "MaxPool2d", "kernel_size": 2, "return_indices": True, **document}).infer((shape,))
    assert isinstance(value, tuple)
    return value


@pytest.mark.parametrize(
    ("pool", "unpool", "message", "option"),
    [
        ({}, {}, r"in the sides it gives, \[4, 4\], not in \[5, 5\]", "kernel_size"),
        ({}, {"output_size": [4, 5]}, r"in the sides it gives, \[4, 5\], not in \[5, 5\]", "output_size"),
        ({}, {"output_size": [6, 5]}, "needs another output_size on axis 2 than 6", "output_size"),
        ({}, {"kernel_size": 2, "stride": 1}, r"in the sides it gives, \[3, 3\]", "kernel_size"),
    ],
    ids=str,
)
def test_sizes_that_are_not_the_poolings_are_refused(
    pool: Document, unpool: Document, message: str, option: str
) -> None:
    layer = declared({"type": "MaxUnpool2d", "kernel_size": 2, "indices": "pool", **unpool})
    value = pooled_value(pool, Shape("N", 3, 5, 5))
    with pytest.raises(ShapeError, match=message) as refusal:
        layer.infer((value[0], value))
    assert refusal.value.option == option


def test_other_numbers_than_were_pooled_are_refused() -> None:
    layer = declared({"type": "MaxUnpool2d", "kernel_size": 2, "indices": "pool"})
    with pytest.raises(ShapeError, match="an index for each number"):
        layer.infer((Shape("N", 2, 2, 2), pooled_value({}, Shape("N", 3, 4, 4))))


@pytest.mark.parametrize(
    "value", [Shape("N", 3, 2, 2), (Shape("N", 3, 2, 2), Shape("N", 3, 2, 2, dtype="int64"))], ids=str
)
def test_indices_that_no_pooling_gave_are_refused(value: Value) -> None:
    layer = declared({"type": "MaxUnpool2d", "kernel_size": 2, "indices": "pool"})
    with pytest.raises(ShapeError, match="needs the indices of a pooling layer") as refusal:
        layer.infer((Shape("N", 3, 2, 2), value))
    assert refusal.value.option == "indices"


def test_a_sequence_of_any_length_comes_back_where_pooling_kept_it() -> None:
    options = {"kernel_size": 3, "stride": 1, "padding": 1}
    pooled = declared({"type": "MaxPool1d", "return_indices": True, **options}).infer((Shape("N", 3, "T"),))
    assert isinstance(pooled, tuple)
    layer = declared({"type": "MaxUnpool1d", "indices": "pool", **options})
    assert layer.infer((pooled[0], pooled)) == Shape("N", 3, "T")


def test_the_pooling_layer_is_another_input() -> None:
    assert declared({"type": "MaxUnpool1d", "kernel_size": 2, "indices": "pool"}).joined == ("pool",)
