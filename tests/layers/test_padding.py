"""Padding layers beside torch's own: sizes, axes and numbers that are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from agreement import declared, ruled
from drawing import Draw, documents, hold, hold_lengths, shapes
from zoo.errors import ShapeError
from zoo.shapes import Shape

KINDS = ("CircularPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "ZeroPad")


def layers(kind: str, axes: int, low: int = -3, high: int = 5) -> st.SearchStrategy[Draw]:
    ends = st.integers(low, high)
    options: dict[str, st.SearchStrategy[Any]] = {
        "padding": ends | st.lists(ends, min_size=2 * axes, max_size=2 * axes)
    }
    if kind == "ConstantPad":
        options["value"] = st.integers(-9, 300) | st.floats(-9, 9)
    return documents(f"{kind}{axes}d", options, needed="padding value")


def wraps_around_what_is_cut_off(document: dict[str, Any], shape: Shape) -> bool:
    """Return whether a circle would wrap around numbers that it cuts off: torch gives memory it has not written."""
    axes, padding = int(document["type"][-2]), document["padding"]
    ends = [padding] * 2 * axes if isinstance(padding, int) else padding
    sides = [1 if isinstance(side, str) else side for side in reversed(shape.dims)]
    pairs = zip(sides, ends[::2], ends[1::2], strict=False)
    return "Circular" in document["type"] and any(
        max(pair) > side + min(0, pair[0]) + min(0, pair[1]) for side, *pair in pairs
    )


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_it_agrees_with_torch(kind: str, axes: int) -> None:
    drawn = layers(kind, axes, low=-4 if axes == 1 else -1, high=5 if axes == 1 else 2)
    hold(drawn, shapes(axes, largest=9 if axes < 3 else 6), wraps_around_what_is_cut_off)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_of_any_length_is_taken_where_every_length_is_kept(kind: str) -> None:
    hold_lengths(layers(kind, 1, low=-1, high=1), excuse=wraps_around_what_is_cut_off)


@pytest.mark.parametrize("kind", KINDS)
def test_no_padding_keeps_the_symbol(kind: str) -> None:
    value = {"value": 1} if kind == "ConstantPad" else {}
    layer = declared({"type": f"{kind}1d", "padding": 0, **value})
    assert ruled(layer, Shape("N", 3, "T")) == Shape("N", 3, "T")


def test_moving_a_sequence_by_one_keeps_the_symbol() -> None:
    layer = declared({"type": "ZeroPad1d", "padding": [1, -1]})
    assert ruled(layer, Shape("N", 3, "T")) == Shape("N", 3, "T")


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
@pytest.mark.parametrize("kind", ["CircularPad", "ConstantPad", "ZeroPad"])
def test_whole_numbers_stay_whole(kind: str, dtype: str) -> None:
    value = {"value": 1} if kind == "ConstantPad" else {}
    layer, shape = declared({"type": f"{kind}1d", "padding": 2, **value}), Shape("N", 3, 4, dtype=dtype)
    assert ruled(layer, shape) == Shape("N", 3, 8, dtype=dtype)
    assert layer.build(shape)(torch.ones(2, 3, 4, dtype=getattr(torch, dtype))).dtype == getattr(torch, dtype)


@pytest.mark.parametrize("shape", [Shape("N", 4), Shape("N", 2, 3, 4), Shape("N", 4, dtype="int64")], ids=str)
def test_a_constant_takes_any_axes_before_those_it_pads(shape: Shape) -> None:
    layer = declared({"type": "ZeroPad1d", "padding": [2, 1]})
    assert ruled(layer, shape) == shape.with_dims(*shape.dims[:-1], 7)


@pytest.mark.parametrize(
    ("document", "shape", "message", "option"),
    [
        (
            {"type": "ReflectionPad1d", "padding": 4},
            Shape("N", 3, 4),
            "axis 2 to be longer than its padding of 4",
            "padding",
        ),
        (
            {"type": "CircularPad1d", "padding": 5},
            Shape("N", 3, 4),
            "axis 2 to be at least its padding of 5",
            "padding",
        ),
        (
            {"type": "ZeroPad1d", "padding": [-5, 2]},
            Shape("N", 3, 4),
            "axis 2 to be as long as what its padding cuts off",
            "padding",
        ),
        ({"type": "ZeroPad1d", "padding": -2}, Shape("N", 3, 4), "axis 2 that does not become 0 long", ""),
        ({"type": "CircularPad1d", "padding": [2, -3]}, Shape("N", 3, 4), "at least its padding of 2", "padding"),
        ({"type": "ZeroPad2d", "padding": 1}, Shape("N", 3), "needs 2 axes after the batch", ""),
        ({"type": "ReflectionPad2d", "padding": 1}, Shape("N", 3, 4), r"needs images \(N, C, H, W\)", ""),
        ({"type": "ReflectionPad1d", "padding": 1}, Shape("N", 3, 4, dtype="int64"), "needs float32", ""),
        (
            {"type": "ConstantPad1d", "padding": 1, "value": 0.5},
            Shape("N", 4, dtype="int64"),
            "a value that int64 holds",
            "value",
        ),
        (
            {"type": "ConstantPad1d", "padding": 1, "value": 256},
            Shape("N", 4, dtype="uint8"),
            "a value that uint8 holds",
            "value",
        ),
        (
            {"type": "ZeroPad1d", "padding": 2**31 - 1},
            Shape("N", 4),
            "axis 1 that does not become 4,294,967,298 long",
            "",
        ),
        (
            {"type": "ReflectionPad1d", "padding": 1},
            Shape("N", 3, "T"),
            "longer than its padding of 1, whatever its",
            "padding",
        ),
    ],
    ids=str,
)
def test_a_refusal_says_what_is_needed(document: dict[str, Any], shape: Shape, message: str, option: str) -> None:
    with pytest.raises(ShapeError, match=message) as refusal:
        declared(document).infer((shape,))
    assert refusal.value.option == option
    assert refusal.value.remedy
