"""Fold, Unfold and the shuffles beside torch's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from agreement import declared, ruled
from drawing import Draw, documents, hold, hold_pairs, numbers, shapes
from zoo.errors import ShapeError
from zoo.shapes import Shape

BLOCKS: dict[str, st.SearchStrategy[Any]] = {
    "kernel_size": numbers(2, 1, 3),
    "stride": numbers(2, 1, 3),
    "padding": numbers(2, 0, 2),
    "dilation": numbers(2, 1, 2),
}


def grid(
    rank: int, channels: tuple[int, ...], sides: tuple[int, ...], dtypes: tuple[str, ...]
) -> st.SearchStrategy[Shape]:
    """Draw shapes (N, ..., C, H, W) around a rank."""
    drawn_sides = st.lists(st.sampled_from(sides), min_size=2, max_size=2)
    more = st.sampled_from([0] * 6 + [-1, 1])
    return st.builds(
        lambda c, s, extra, dtype: Shape(*("N", *(2,) * (rank - 4 + extra), c, *s)[: rank + extra], dtype=dtype),
        st.sampled_from(channels),
        drawn_sides,
        more,
        st.sampled_from(dtypes),
    )


@st.composite
def foldable(draw: st.DrawFn) -> tuple[Draw, Shape]:
    """Draw a Fold, and blocks that fit it five times of six."""
    sides = draw(st.lists(st.integers(1, 6), min_size=2, max_size=2))
    fold = draw(documents("Fold", BLOCKS | {"output_size": st.just(sides)}, needed="kernel_size output_size"))
    unfold = {name: value for name, value in fold.document.items() if name != "output_size"} | {"type": "Unfold"}
    if fold.spoiled:
        return fold, Shape("N", 4, 9)
    cut = ruled(declared(unfold), Shape("N", draw(st.integers(1, 3)), *sides))
    if not isinstance(cut, Shape) or draw(st.integers(0, 5)) == 5:
        return fold, draw(shapes(1, largest=30, channels=12))
    return fold, cut


def test_unfold_agrees_with_torch() -> None:
    hold(documents("Unfold", BLOCKS, needed="kernel_size"), shapes(2), lambda _, shape: shape.rank != 4)


def test_fold_agrees_with_torch() -> None:
    hold_pairs(foldable(), lambda _, shape: shape.rank != 3, share=0.4)


@pytest.mark.parametrize("kind", ["PixelShuffle", "PixelUnshuffle"])
def test_moving_between_space_and_channels_agrees_with_torch(kind: str) -> None:
    factor = "upscale_factor" if kind == "PixelShuffle" else "downscale_factor"
    drawn = documents(kind, {factor: st.integers(1, 3)}, needed=factor)
    hold(drawn, grid(4, (1, 4, 6, 8, 9), (1, 2, 3, 4, 6), ("float32", "int64")), lambda _, shape: shape.rank < 4)


def test_dealing_channels_out_agrees_with_torch() -> None:
    drawn = documents("ChannelShuffle", {"groups": st.integers(1, 4)}, needed="groups")
    hold(drawn, shapes(1, channels=12) | shapes(2, channels=12))


def test_dealing_channels_out_keeps_a_sequence_of_any_length() -> None:
    layer = declared({"type": "ChannelShuffle", "groups": 2})
    assert ruled(layer, Shape("N", 4, "T")) == Shape("N", 4, "T")


@pytest.mark.parametrize(
    ("document", "shape", "message", "option"),
    [
        ({"type": "Unfold", "kernel_size": 3}, Shape("N", 3, 2, 9), "axis 2 to be 3 or longer", "kernel_size"),
        ({"type": "Unfold", "kernel_size": 3, "padding": 1}, Shape("N", 3, 9, "T"), "images of known sizes", ""),
        (
            {"type": "Fold", "kernel_size": 2, "output_size": 4},
            Shape("N", 3, 9),
            "a multiple of the 4 numbers",
            "kernel_size",
        ),
        (
            {"type": "Fold", "kernel_size": 2, "output_size": 4},
            Shape("N", 8, 8),
            "needs 9 blocks for images",
            "output_size",
        ),
        ({"type": "Fold", "kernel_size": 2, "output_size": 4}, Shape("N", 8, 3, 3), "needs blocks", ""),
        (
            {"type": "PixelShuffle", "upscale_factor": 2},
            Shape("N", 6, 2, 2),
            "a multiple of upscale_factor",
            "upscale_factor",
        ),
        (
            {"type": "PixelUnshuffle", "downscale_factor": 2},
            Shape("N", 3, 4, 5),
            "multiples of downscale_factor",
            "downscale_factor",
        ),
        ({"type": "PixelShuffle", "upscale_factor": 2}, Shape("N", 4, "T", 2), "axis -2 to have a known size", ""),
        ({"type": "ChannelShuffle", "groups": 2}, Shape("N", 4), "axes after the channels", ""),
        ({"type": "ChannelShuffle", "groups": 3}, Shape("N", 4, 2), "a multiple of groups", "groups"),
    ],
    ids=str,
)
def test_a_refusal_says_what_is_needed(document: dict[str, Any], shape: Shape, message: str, option: str) -> None:
    with pytest.raises(ShapeError, match=message) as refusal:
        declared(document).infer((shape,))
    assert refusal.value.option == option
    assert refusal.value.remedy


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Unfold", "kernel_size": 2**31 - 1, "padding": 2**31 - 1},
        {"type": "PixelShuffle", "upscale_factor": 2**31 - 1},
        {"type": "PixelUnshuffle", "downscale_factor": 2**31 - 1},
    ],
    ids=str,
)
def test_huge_options_are_refused(document: dict[str, Any]) -> None:
    assert ruled(declared(document), Shape("N", 4, 2, 2)) is None
