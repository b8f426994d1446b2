"""SqueezeExcitation, StochasticDepth and DropBlock beside torchvision: shapes, weights, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torchvision import ops

from agreement import assert_agrees, declared, torch_refuses
from zoo.errors import ShapeError
from zoo.shapes import Shape

SHAPES = (
    Shape("N", 3, 5, 4),
    Shape("N", 3, 2, 6),
    Shape("N", 3, 1, 1),
    Shape("N", 3, 3, 4, 5),
    Shape("N", 3),
    Shape("N", 3, 4),
    Shape("N", 3, 5, 4, dtype="int64"),
)
FUNCTIONS = st.sampled_from(["ReLU", "ReLU6", "GELU", "Hardsigmoid", "Hardswish", "Mish", "SiLU", "Sigmoid", "Tanh"])
SHARE = st.sampled_from([0.0, 0.3, 1.0])
BLOCK = {"p": SHARE, "block_size": st.sampled_from([1, 3, 5, 2])}
BLOCK_OPTIONS = {"inplace": st.booleans(), "eps": st.sampled_from([1e-6, 0.1])}
# For each layer: what it requires, what it may say.
OPTIONS: dict[str, tuple[dict[str, st.SearchStrategy[Any]], dict[str, st.SearchStrategy[Any]]]] = {
    "SqueezeExcitation": (
        {"squeeze_channels": st.integers(1, 4)},
        {"input_channels": st.sampled_from([3, 3, 2]), "activation": FUNCTIONS, "scale_activation": FUNCTIONS},
    ),
    "StochasticDepth": ({"p": SHARE, "mode": st.sampled_from(["batch", "row"])}, {}),
    "DropBlock2d": (BLOCK, BLOCK_OPTIONS),
    "DropBlock3d": (BLOCK, BLOCK_OPTIONS),
}
ACCEPTED: dict[str, list[bool]] = {name: [] for name in OPTIONS}


def theirs(options: dict[str, Any]) -> Any:
    """Torchvision's module of the options that a shape can contradict."""
    name = options["type"]
    if name == "SqueezeExcitation":
        return ops.SqueezeExcitation(options.get("input_channels", 3), 2)
    if name == "StochasticDepth":
        return ops.StochasticDepth(0.5, options["mode"])
    return getattr(ops, name)(0.5, options["block_size"])


@pytest.mark.parametrize("name", OPTIONS)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_layer_agrees_with_torchvision(name: str, data: st.DataObject) -> None:
    required, optional = OPTIONS[name]
    options: dict[str, Any] = data.draw(st.fixed_dictionaries({"type": st.just(name), **required}, optional=optional))
    shape = data.draw(st.sampled_from(SHAPES))
    try:
        layer = declared(options)
    except ValidationError:
        assert options.get("p") == 1 or options["block_size"] == 2
        return
    accepted = assert_agrees(layer, shape)
    ACCEPTED[name].append(accepted)
    if not accepted and shape.dtype == "float32":
        assert torch_refuses(theirs(options), shape)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_fair_share_was_accepted(name: str) -> None:
    assert sum(ACCEPTED[name]) >= max(1, len(ACCEPTED[name]) // 8)


def test_an_even_side_that_bounds_the_block_is_refused() -> None:
    with pytest.raises(ShapeError) as refusal:
        declared({"type": "DropBlock2d", "p": 0.1, "block_size": 7}).infer((Shape("N", 3, 4, 9),))
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (
        "DropBlock2d needs blocks that fit into the shortest side, 4",
        "write 3",
        "block_size",
    )


def test_another_count_of_channels_is_refused() -> None:
    with pytest.raises(ShapeError) as refusal:
        declared({"type": "SqueezeExcitation", "input_channels": 4, "squeeze_channels": 2}).infer((SHAPES[0],))
    assert refusal.value.message == "SqueezeExcitation expects 4 channels"


def test_other_ranks_are_refused_with_the_one_that_is_needed() -> None:
    with pytest.raises(ShapeError, match=r"DropBlock3d needs volumes \(N, C, D, H, W\)"):
        declared({"type": "DropBlock3d", "p": 0.1, "block_size": 3}).infer((SHAPES[0],))


def test_multiply_adds_are_those_of_two_convolutions() -> None:
    layer = declared({"type": "SqueezeExcitation", "squeeze_channels": 2})
    assert layer.multiply_adds(SHAPES[0]) == 2 * 3 * 2
