"""Pooling layers under a sliding window beside torch's own: sizes, indices, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from agreement import declared, ruled
from drawing import Draw, documents, hold, hold_lengths, numbers, shapes
from zoo.errors import ShapeError
from zoo.shapes import Shape

KINDS = ("MaxPool", "AvgPool", "LPPool")


def layers(kind: str, axes: int) -> st.SearchStrategy[Draw]:
    largest = 5 - axes // 2
    kernels = st.integers(1, largest) if (kind, axes) == ("LPPool", 1) else numbers(axes, 1, largest)
    options: dict[str, st.SearchStrategy[Any]] = {
        "kernel_size": kernels,
        "stride": numbers(axes, 1, 4),
        "ceil_mode": st.booleans(),
    }
    if kind == "LPPool":
        options["norm_type"] = st.sampled_from([1, 2, 3, 0.5, -1, 0])
    else:
        options["padding"] = st.sampled_from([0, 0, 1, 1, 2])
    if kind == "MaxPool":
        options |= {"dilation": numbers(axes, 1, 3), "return_indices": st.booleans()}
    if kind == "AvgPool":
        options["count_include_pad"] = st.booleans()
    if kind == "AvgPool" and axes > 1:
        options["divisor_override"] = st.sampled_from([1, 3, -2, 0])
    return documents(f"{kind}{axes}d", options, needed="kernel_size norm_type")


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_it_agrees_with_torch(kind: str, axes: int) -> None:
    hold(layers(kind, axes), shapes(axes, largest=9 if axes < 3 else 6, smallest=1 if axes < 3 else 2))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_of_any_length_is_taken_where_every_length_is_kept(kind: str) -> None:
    hold_lengths(layers(kind, 1))


@pytest.mark.parametrize("kind", ["MaxPool", "AvgPool"])
def test_a_window_that_keeps_every_length_keeps_the_symbol(kind: str) -> None:
    layer = declared({"type": f"{kind}1d", "kernel_size": 3, "stride": 1, "padding": 1})
    assert ruled(layer, Shape("N", 3, "T")) == Shape("N", 3, "T")


def test_max_pooling_gives_its_indices_on_request() -> None:
    layer = declared({"type": "MaxPool2d", "kernel_size": 2, "return_indices": True})
    sides = ("N", 3, 2, 3)
    assert ruled(layer, Shape("N", 3, 5, 6)) == (Shape(*sides), Shape(*sides, dtype="int64"))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "MaxPool2d", "padding": 2}, "padding must be at most half of kernel_size"),
        ({"type": "AvgPool2d", "padding": [1, 2]}, "padding must be at most half of kernel_size"),
        ({"type": "AvgPool1d", "count_include_pad": False}, "count_include_pad says nothing without padding"),
        ({"type": "AvgPool2d", "divisor_override": 0}, "divisor_override must not be 0"),
        (
            {"type": "AvgPool2d", "divisor_override": 2, "padding": 1, "count_include_pad": False},
            "count_include_pad says nothing beside divisor_override",
        ),
        ({"type": "LPPool1d", "norm_type": 0}, "norm_type must not be 0"),
    ],
    ids=str,
)
def test_options_that_contradict_each_other_are_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared({"kernel_size": 3, **document})


@pytest.mark.parametrize(
    ("document", "shape", "message", "option"),
    [
        ({"type": "MaxPool2d"}, Shape("N", 3, 9), r"needs images \(N, C, H, W\)", ""),
        ({"type": "MaxPool1d"}, Shape("N", 3, 9, dtype="int64"), "needs float32", ""),
        ({"type": "AvgPool2d"}, Shape("N", 3, 9, 2), "needs axis 3 to be 3 or longer", "kernel_size"),
        ({"type": "MaxPool1d", "dilation": 4}, Shape("N", 3, 8), "needs axis 2 to be 9 or longer", "kernel_size"),
        (
            {"type": "MaxPool1d", "kernel_size": 2, "padding": 1, "dilation": 3},
            Shape("N", 3, 2),
            "needs a longer axis 2: a window on it would hold nothing but padding",
            "dilation",
        ),
        ({"type": "AvgPool1d"}, Shape("N", 3, "T"), "needs a known length on axis 2", ""),
    ],
    ids=str,
)
def test_a_refusal_says_what_is_needed(document: dict[str, Any], shape: Shape, message: str, option: str) -> None:
    with pytest.raises(ShapeError, match=message) as refusal:
        declared({"kernel_size": 3, **document}).infer((shape,))
    assert refusal.value.option == option
    assert refusal.value.remedy
