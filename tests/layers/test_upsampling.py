"""Upsampling layers beside torch's own: sizes, modes, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from agreement import declared, ruled
from drawing import Draw, documents, hold, hold_lengths, numbers, shapes
from zoo.errors import ShapeError
from zoo.shapes import Shape

FACTORS = st.sampled_from([1, 2, 3, 0.5, 1.0, 1.7]) | st.floats(0.05, 3)
MODES = {
    1: ("nearest", "nearest-exact", "area", "linear"),
    2: ("nearest", "nearest-exact", "area", "bilinear", "bicubic"),
    3: ("nearest", "nearest-exact", "area", "trilinear"),
}
ANY_MODES = ("linear", "bilinear", "bicubic", "trilinear", "lanczos")


def layers(kind: str, axes: int) -> st.SearchStrategy[Draw]:
    options: dict[str, st.SearchStrategy[Any]] = {}
    if kind == "Upsample":
        options = {
            "mode": st.sampled_from(MODES[axes] * 4 + ANY_MODES),
            "align_corners": st.booleans() | st.none(),
            "recompute_scale_factor": st.booleans() | st.none(),
        }
    factors = FACTORS | st.lists(FACTORS, min_size=axes, max_size=axes)
    sized, scaled = {"size": numbers(axes, 1, 9)}, {"scale_factor": factors}
    either = documents(kind, options | sized, "size") | documents(kind, options | scaled, "scale_factor")
    return either | documents(kind, scaled | sized) | either


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_upsampling_agrees_with_torch(axes: int) -> None:
    hold(layers("Upsample", axes), shapes(axes, largest=7 if axes < 3 else 4), lambda _, shape: shape.rank < 3)


@pytest.mark.parametrize("kind", ["UpsamplingNearest2d", "UpsamplingBilinear2d"])
def test_upsampling_images_agrees_with_torch(kind: str) -> None:
    hold(layers(kind, 2), shapes(2, largest=7))


def test_a_sequence_of_any_length_is_taken_where_every_length_is_kept_or_the_size_is_asked_for() -> None:
    hold_lengths(layers("Upsample", 1))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "Upsample"}, "needs either size or scale_factor"),
        ({"type": "UpsamplingNearest2d", "size": 2, "scale_factor": 2}, "needs either size or scale_factor"),
        ({"type": "Upsample", "size": 2, "align_corners": False}, "align_corners says nothing in mode"),
        ({"type": "Upsample", "size": 2, "recompute_scale_factor": False}, "recompute_scale_factor says nothing"),
        (
            {"type": "Upsample", "scale_factor": 2, "mode": "area", "recompute_scale_factor": True},
            "recompute_scale_factor says nothing",
        ),
    ],
    ids=str,
)
def test_options_that_contradict_each_other_are_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared(document)


@pytest.mark.parametrize(
    ("document", "shape", "message", "option"),
    [
        ({"type": "Upsample", "mode": "bilinear"}, Shape("N", 3, 4), r"needs images \(N, C, H, W\)", "mode"),
        (
            {"type": "Upsample", "scale_factor": [2, 2]},
            Shape("N", 3, 4),
            "needs as many numbers in scale_factor as there are axes, 1",
            "scale_factor",
        ),
        ({"type": "Upsample", "scale_factor": 0.1}, Shape("N", 3, 4), "axis 2 that does not become 0 long", ""),
        ({"type": "Upsample", "scale_factor": 1e30}, Shape("N", 3, 4), "axis 2 that does not become", ""),
        ({"type": "Upsample"}, Shape("N", 3, "T"), "needs a known length on axis 2", ""),
        ({"type": "Upsample"}, Shape("N", 3, 4, dtype="uint8"), "needs float32", ""),
        ({"type": "UpsamplingNearest2d"}, Shape("N", 3, 4), "needs images", ""),
    ],
    ids=str,
)
def test_a_refusal_says_what_is_needed(document: dict[str, Any], shape: Shape, message: str, option: str) -> None:
    with pytest.raises(ShapeError, match=message) as refusal:
        declared({"scale_factor": 2, **document}).infer((shape,))
    assert refusal.value.option == option
    assert refusal.value.remedy


def test_a_size_may_be_asked_for_whatever_the_length() -> None:
    assert ruled(declared({"type": "Upsample", "size": 8}), Shape("N", 3, "T")) == Shape("N", 3, 8)
