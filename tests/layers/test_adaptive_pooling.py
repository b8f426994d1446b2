"""Pooling to a size that is asked for, beside torch's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from agreement import declared, ruled
from drawing import Draw, documents, hold, hold_lengths, numbers, shapes
from zoo.errors import ShapeError
from zoo.shapes import Shape


def adaptive(kind: str, axes: int) -> st.SearchStrategy[Draw]:
    sides = st.integers(1, 9) if axes == 1 else st.integers(1, 9) | st.none()
    options: dict[str, st.SearchStrategy[Any]] = {
        "output_size": st.integers(1, 9) | st.lists(sides, min_size=axes, max_size=axes)
    }
    if kind == "AdaptiveMaxPool":
        options["return_indices"] = st.booleans()
    return documents(f"{kind}{axes}d", options, needed="output_size")


def fractional(axes: int) -> st.SearchStrategy[Draw]:
    ratio = st.floats(0.05, 0.95)
    ratios: st.SearchStrategy[Any] = ratio | st.lists(ratio, min_size=axes, max_size=axes)
    shared: dict[str, st.SearchStrategy[Any]] = {
        "kernel_size": numbers(axes, 1, 5 - axes),
        "return_indices": st.booleans(),
    }
    sized = {"output_size": numbers(axes, 1, 3)}
    needed = "kernel_size output_size output_ratio"
    return (
        documents(f"FractionalMaxPool{axes}d", shared | sized, needed)
        | documents(f"FractionalMaxPool{axes}d", shared | {"output_ratio": ratios}, needed)
        | documents(f"FractionalMaxPool{axes}d", shared | sized | {"output_ratio": ratios}, "kernel_size")
    )


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["AdaptiveAvgPool", "AdaptiveMaxPool"])
def test_adaptive_pooling_agrees_with_torch(kind: str, axes: int) -> None:
    hold(adaptive(kind, axes), shapes(axes, largest=9 if axes < 3 else 5))


@pytest.mark.parametrize("axes", [2, 3])
def test_fractional_pooling_agrees_with_torch(axes: int) -> None:
    hold(fractional(axes), shapes(axes, largest=9 if axes < 3 else 7, smallest=axes), share=0.2)


@pytest.mark.parametrize("kind", ["AdaptiveAvgPool", "AdaptiveMaxPool"])
def test_a_sequence_of_any_length_is_taken(kind: str) -> None:
    hold_lengths(adaptive(kind, 1))


def test_a_sequence_of_any_length_comes_out_with_the_length_asked_for() -> None:
    layer = declared({"type": "AdaptiveAvgPool1d", "output_size": 4})
    assert ruled(layer, Shape("N", 3, "T")) == Shape("N", 3, 4)


def test_null_keeps_a_side() -> None:
    layer = declared({"type": "AdaptiveMaxPool2d", "output_size": [None, 4], "return_indices": True})
    sides = ("N", 3, 7, 4)
    assert ruled(layer, Shape("N", 3, 7, 9)) == (Shape(*sides), Shape(*sides, dtype="int64"))


@pytest.mark.parametrize("sizes", [{}, {"output_size": 2, "output_ratio": 0.5}])
def test_fractional_pooling_needs_one_way_to_say_the_size(sizes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="needs either output_size or output_ratio"):
        declared({"type": "FractionalMaxPool2d", "kernel_size": 2, **sizes})


@pytest.mark.parametrize(
    ("sizes", "message", "option"),
    [
        ({"output_size": [2, 4]}, "needs axis 3 to be 5 or longer", "output_size"),
        ({"output_ratio": 0.1}, "axis 2 that does not become 0 long", ""),
        ({"output_ratio": 0.99, "kernel_size": 3}, "needs axis 2 to be 5 or longer", "kernel_size"),
    ],
    ids=str,
)
def test_fractional_pooling_says_what_it_needs(sizes: dict[str, Any], message: str, option: str) -> None:
    with pytest.raises(ShapeError, match=message) as refusal:
        declared({"type": "FractionalMaxPool2d", "kernel_size": 2, **sizes}).infer((Shape("N", 3, 4, 4),))
    assert refusal.value.option == option
