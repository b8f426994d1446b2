"""PositionalEmbedding, ClassToken and PatchEmbedding beside torchvision's ViT and the papers; what is refused."""

from __future__ import annotations

from math import cos, sin
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torchvision.models import VisionTransformer

from agreement import batch_of, declared
from writing import PLACE, assert_exports, assert_written, steps_of, written
from zoo.errors import ShapeError
from zoo.graph import graph_module
from zoo.layers import Layer
from zoo.layers.position import sinusoids
from zoo.placed import THE_INPUT, PlacedLayer
from zoo.shapes import Shape, Value

IMAGES = Shape("N", 3, 8, 12)
KNOWN, FREE, UNBOUND = Shape("N", 5, 6), Shape("N", "T", 6, longest=9), Shape("N", "T", 6)
SHAPES = (
    KNOWN,
    Shape("N", 8, 6),
    FREE,
    UNBOUND,
    IMAGES,
    Shape("N", 1, 1),
    Shape("N", 5, 3),
    Shape("N", 6),
    Shape("N", 5, 6, dtype="int64"),
)
# For each layer: what it requires, what it may say.
OPTIONS: dict[str, tuple[dict[str, st.SearchStrategy[Any]], dict[str, st.SearchStrategy[Any]]]] = {
    "PositionalEmbedding": (
        {},
        {
            "kind": st.sampled_from(["learned", "sinusoidal"]),
            "num_positions": st.sampled_from([7, 9, 12]),
            "std": st.sampled_from([0.02, 1.0]),
        },
    ),
    "ClassToken": ({}, {"num_tokens": st.integers(1, 3), "std": st.sampled_from([0.0, 0.5])}),
    "PatchEmbedding": (
        {"embed_dim": st.integers(1, 4), "patch_size": st.sampled_from([1, 2, 3, 4, [2, 3], [4, 6]])},
        {"in_channels": st.sampled_from([3, 3, 2]), "bias": st.booleans()},
    ),
}
ACCEPTED: dict[str, list[bool]] = {name: [] for name in OPTIONS}


def is_wrong(options: dict[str, Any], shape: Shape) -> bool:
    """Whether the layer as its documentation has it cannot take the shape."""
    if shape.dtype != "float32":
        return True
    if options["type"] == "PatchEmbedding":
        patch = options["patch_size"]
        height, width = (patch, patch) if isinstance(patch, int) else patch
        fits = shape == IMAGES and options.get("in_channels", 3) == 3
        return not fits or 8 % height != 0 or 12 % width != 0
    if shape.rank != 3:
        return True
    length = shape.dims[1] if isinstance(shape.dims[1], int) else shape.longest
    if options["type"] == "ClassToken":
        return not isinstance(shape.dims[1], int)
    count: int | None = options.get("num_positions", length)
    return count is None or count < (length or 0)


@pytest.mark.parametrize("name", OPTIONS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_layer_agrees_with_its_module(name: str, data: st.DataObject) -> None:
    required, optional = OPTIONS[name]
    options: dict[str, Any] = data.draw(st.fixed_dictionaries({"type": st.just(name), **required}, optional=optional))
    shape = data.draw(st.sampled_from((*SHAPES, *9 * [IMAGES]) if name == "PatchEmbedding" else SHAPES))
    try:
        layer = declared(options)
    except ValidationError:
        assert (options["kind"], options["std"]) == ("sinusoidal", 1.0)
        return
    accepted = assert_written(layer, shape)
    ACCEPTED[name].append(accepted)
    assert accepted != is_wrong(options, shape)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_fair_share_was_accepted(name: str) -> None:
    assert sum(ACCEPTED[name]) >= len(ACCEPTED[name]) / 8


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"type": "PositionalEmbedding"}, FREE),
        ({"type": "PositionalEmbedding"}, KNOWN),
        ({"type": "PositionalEmbedding", "kind": "sinusoidal", "num_positions": 20}, UNBOUND),
        ({"type": "ClassToken"}, KNOWN),
        ({"type": "ClassToken", "num_tokens": 2, "std": 0.5}, KNOWN),
        ({"type": "PatchEmbedding", "embed_dim": 5, "patch_size": 4}, IMAGES),
    ],
    ids=str,
)
def test_traced_and_exported_copies_agree(options: dict[str, object], shape: Shape) -> None:
    assert_exports(declared(options), shape)


@pytest.mark.parametrize("std", [0.0, 0.5])
def test_tokens_begin_as_far_apart_as_they_are_told(std: float) -> None:
    torch.manual_seed(0)
    module = graph_module(steps_of(declared({"type": "ClassToken", "num_tokens": 4, "std": std}), Shape("N", 5, 300)))
    tokens = module.get_parameter(f"{PLACE}.token")
    assert tuple(tokens.shape) == (1, 4, 300)
    assert tokens.std().item() == pytest.approx(std, rel=0.1)


def test_the_way_into_a_vision_transformer_is_torchvision_s_bit_for_bit() -> None:
    torch.manual_seed(0)
    theirs = VisionTransformer(
        image_size=8, patch_size=4, num_layers=1, num_heads=2, hidden_dim=6, mlp_dim=8, num_classes=3
    )
    nn.init.normal_(theirs.class_token)
    images = torch.randn(2, 3, 8, 8)
    patches = theirs._process_input(images)
    expected = torch.cat([theirs.class_token.expand(2, -1, -1), patches], 1) + theirs.encoder.pos_embedding

    names = {"patches": {"type": "PatchEmbedding", "embed_dim": 6, "patch_size": 4}}
    names |= {"first": {"type": "ClassToken"}, "order": {"type": "PositionalEmbedding"}}
    steps: list[PlacedLayer] = []
    value: Value = Shape("N", 3, 8, 8)
    for name, options in names.items():
        layer = declared(options)
        above = len(steps) - 1 if steps else THE_INPUT
        steps.append(PlacedLayer(name, layer, (), (above,), (value,), layer.infer((value,))))
        value = steps[-1].result
    ours = graph_module(steps)
    ours.load_state_dict(
        {
            "patches.projection.weight": theirs.conv_proj.weight,
            "patches.projection.bias": theirs.conv_proj.bias,
            "first.token": theirs.class_token,
            "order.weight": theirs.encoder.pos_embedding[0],
        }
    )
    assert torch.equal(ours(images), expected)


def test_sinusoids_are_those_of_the_paper() -> None:
    table = sinusoids(50, 5)
    for place in (0, 1, 49):
        for pair in range(2):
            angle = place / 10000 ** (2 * pair / 5)
            assert table[place, 2 * pair].item() == pytest.approx(sin(angle), abs=1e-7)
            assert table[place, 2 * pair + 1].item() == pytest.approx(cos(angle), abs=1e-7)
    assert table.dtype == torch.float32


def test_what_is_not_learned_is_not_in_the_state_dict() -> None:
    module = written(declared({"type": "PositionalEmbedding", "kind": "sinusoidal"}), KNOWN)
    assert module.state_dict() == {}
    zeros = torch.zeros(2, 5, 6)
    assert torch.equal(module(zeros)[1], sinusoids(5, 6))


def test_learned_positions_are_drawn_with_the_deviation_that_is_written() -> None:
    torch.manual_seed(0)
    layer = declared({"type": "PositionalEmbedding", "std": 0.5})
    weight = graph_module(steps_of(layer, Shape("N", 100, 60))).get_parameter(f"{PLACE}.weight")
    assert weight.std().item() == pytest.approx(0.5, rel=0.05)
    assert abs(weight.mean().item()) < 0.05


def test_a_shorter_sequence_takes_the_first_positions() -> None:
    module = written(declared({"type": "PositionalEmbedding"}), FREE)
    rows = batch_of(FREE, 2, 3)
    assert torch.equal(module(rows), rows + module.get_parameter(f"{PLACE}.weight")[:3])


def refusal_of(layer: Layer, shape: Shape) -> tuple[str, str, str]:
    with pytest.raises(ShapeError) as refusal:
        layer.infer((shape,))
    return refusal.value.message, refusal.value.remedy, refusal.value.option


@pytest.mark.parametrize(
    ("options", "shape", "refusal"),
    [
        (
            {"type": "PositionalEmbedding"},
            UNBOUND,
            ("PositionalEmbedding needs to know the longest sequence", "write num_positions", "num_positions"),
        ),
        (
            {"type": "PositionalEmbedding", "num_positions": 8},
            FREE,
            (
                "PositionalEmbedding needs num_positions to be 9 or more",
                "remove num_positions (it follows from the data), or write 9",
                "num_positions",
            ),
        ),
        (
            {"type": "ClassToken"},
            FREE,
            ("ClassToken needs axis 1 to have a known size", "give it rows of known sizes", ""),
        ),
        (
            {"type": "PatchEmbedding", "embed_dim": 5, "patch_size": [4, 5]},
            IMAGES,
            (
                "PatchEmbedding needs images whose sides are multiples of 4 × 5",
                "write another patch_size, or resize the images in data.transforms",
                "patch_size",
            ),
        ),
        (
            {"type": "PatchEmbedding", "embed_dim": 5, "patch_size": 4},
            KNOWN,
            ("PatchEmbedding needs images (N, C, H, W)", "put it first, or below layers on images", ""),
        ),
    ],
    ids=str,
)
def test_a_refusal_says_what_to_write(options: dict[str, object], shape: Shape, refusal: tuple[str, str, str]) -> None:
    assert refusal_of(declared(options), shape) == refusal


def test_a_deviation_of_what_is_not_drawn_is_refused() -> None:
    with pytest.raises(ValidationError, match="std says nothing where nothing is learned"):
        declared({"type": "PositionalEmbedding", "kind": "sinusoidal", "std": 0.1})


def test_multiply_adds_of_patches_are_those_of_the_convolution() -> None:
    layer = declared({"type": "PatchEmbedding", "embed_dim": 5, "patch_size": 4})
    assert layer.multiply_adds(IMAGES) == 6 * 5 * (3 * 4 * 4)
