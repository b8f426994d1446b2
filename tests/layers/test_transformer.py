"""Transformer layers and stacks beside torch: numbers, shapes, exports, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from agreement import batch_of, declared, torch_refuses
from writing import PLACE, Cut, assert_close, assert_exports, assert_written, steps_of, written
from zoo.errors import ShapeError
from zoo.graph import graph_module
from zoo.shapes import Shape

KNOWN, FREE = Shape("N", 5, 8), Shape("N", "T", 8, longest=9)
SHAPES = (KNOWN, FREE, Shape("N", 5, 6), Shape("N", 2, 5, 8), Shape("N", 5, 8, dtype="int64"))
Options = dict[str, Any]
ACCEPTED: dict[str, list[bool]] = {name: [] for name in ("layer", "stack")}
LAYER = st.fixed_dictionaries(
    {"nhead": st.sampled_from([1, 2, 2, 3]), "dim_feedforward": st.integers(1, 4)},
    optional={
        "d_model": st.sampled_from([8, 8, 6]),
        "dropout": st.sampled_from([0.0, 0.5]),
        "activation": st.sampled_from(["relu", "gelu"]),
        "layer_norm_eps": st.sampled_from([1e-5, 0.1]),
        "norm_first": st.booleans(),
        "bias": st.booleans(),
    },
)
ENCODER: Options = {"type": "TransformerEncoderLayer", "nhead": 2, "dim_feedforward": 4}
DECODER: Options = {"type": "TransformerDecoderLayer", "nhead": 2, "dim_feedforward": 4, "memory": "memory"}
CAUSAL_ENCODER, CAUSAL_DECODER = ENCODER | {"is_causal": True}, DECODER | {"tgt_is_causal": True}
ENCODERS: Options = {"type": "TransformerEncoder", "num_layers": 2, "encoder_layer": CAUSAL_ENCODER}
DECODERS: Options = {"type": "TransformerDecoder", "num_layers": 2, "decoder_layer": CAUSAL_DECODER}
MEMORY, LONGER = Cut(size=8), Cut(size=8, twice=True)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(options=LAYER, shape=st.sampled_from((*SHAPES, KNOWN, FREE)), decoder=st.booleans(), causal=st.booleans())
def test_a_layer_agrees_with_torch(options: Options, shape: Shape, decoder: bool, causal: bool) -> None:
    own = {"tgt_is_causal" if decoder else "is_causal": causal}
    name = "TransformerDecoderLayer" if decoder else "TransformerEncoderLayer"
    layer = declared({"type": name, **options, **own, **({"memory": "memory"} if decoder else {})})
    memory = Cut(size=shape.row[-1] if "T" not in shape.dims else 8, twice=True) if decoder else None
    if shape.rank != 3 or shape.dtype != "float32":
        memory = None
    accepted = assert_written(layer, shape, memory)
    ACCEPTED["layer"].append(accepted)
    if not accepted and not decoder:
        try:
            module = nn.TransformerEncoderLayer(options.get("d_model", shape.dims[-1]), options["nhead"], 4)
        except AssertionError:
            return
        assert torch_refuses(module, shape)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    options=LAYER,
    shape=st.sampled_from(SHAPES[:2]),
    decoder=st.booleans(),
    num_layers=st.integers(1, 3),
    norm=st.sampled_from([None, {"type": "LayerNorm"}, {"type": "LayerNorm", "normalized_shape": [6]}]),
)
def test_a_stack_agrees_with_torch(
    options: Options, shape: Shape, decoder: bool, num_layers: int, norm: Options | None
) -> None:
    options = {**(DECODER if decoder else ENCODER), **options}
    part = {"decoder_layer": options} if decoder else {"encoder_layer": options}
    name = "TransformerDecoder" if decoder else "TransformerEncoder"
    layer = declared({"type": name, "num_layers": num_layers, "norm": norm, **part})
    accepted = assert_written(layer, shape, LONGER if decoder else None)
    ACCEPTED["stack"].append(accepted)
    wrong = options.get("d_model", 8) != 8 or options["nhead"] == 3 or (norm or {}).get("normalized_shape") == [6]
    assert accepted != wrong


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_fair_share_was_accepted(name: str) -> None:
    assert sum(ACCEPTED[name]) >= len(ACCEPTED[name]) / 5


@pytest.mark.parametrize(
    ("options", "memory"),
    [
        (ENCODER, None),
        (CAUSAL_ENCODER | {"activation": "gelu", "norm_first": True, "bias": False}, None),
        (DECODER, MEMORY),
        (CAUSAL_DECODER, MEMORY),
        (ENCODERS, None),
        (DECODERS | {"norm": {"type": "LayerNorm"}}, MEMORY),
    ],
    ids=str,
)
def test_traced_and_exported_copies_agree(options: Options, memory: Cut | None) -> None:
    assert_exports(declared(options), FREE, memory)


@pytest.mark.parametrize("options", [CAUSAL_ENCODER, ENCODERS], ids=lambda options: options["type"])
def test_an_encoder_hides_later_steps_as_torch_s_mask_does(options: Options) -> None:
    module, x = written(declared(options), KNOWN).eval(), batch_of(KNOWN, 2)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    assert_close(module(x), module.get_submodule(PLACE)(x, mask))
    assert not torch.allclose(module(x), module.get_submodule(PLACE)(x), atol=1e-3)


@pytest.mark.parametrize("options", [CAUSAL_DECODER, DECODERS], ids=lambda options: options["type"])
def test_a_decoder_hides_later_steps_but_none_of_its_memory(options: Options) -> None:
    module, x = written(declared(options), KNOWN, LONGER).eval(), batch_of(KNOWN, 2)
    mask, memory = nn.Transformer.generate_square_subsequent_mask(5), torch.cat([x, x], 1)
    assert_close(module(x), module.get_submodule(PLACE)(x, memory, mask))
    assert not torch.allclose(module(x), module.get_submodule(PLACE)(x, memory), atol=1e-3)


def test_the_layers_of_a_stack_begin_as_copies() -> None:
    module = graph_module(steps_of(declared(ENCODERS), KNOWN))
    state = {name: value for name, value in module.state_dict().items() if ".0." in name}
    assert len(state) == 12
    assert all(torch.equal(value, module.state_dict()[name.replace(".0.", ".1.")]) for name, value in state.items())


@pytest.mark.parametrize(
    ("options", "memory", "refusal"),
    [
        (
            ENCODER | {"nhead": 3},
            None,
            ("TransformerEncoderLayer needs nhead to divide the 8 features", "write 2", "nhead"),
        ),
        (
            ENCODER | {"d_model": 6},
            None,
            (
                "TransformerEncoderLayer expects 6 features",
                "remove d_model (it follows from the layer above), or write 8",
                "d_model",
            ),
        ),
        (
            DECODER,
            Cut(size=6),
            (
                "TransformerDecoderLayer needs a memory of 8 features",
                'put {"type": "Linear", "out_features": 8} below it',
                "memory",
            ),
        ),
    ],
    ids=str,
)
def test_a_refusal_says_what_to_write(options: Options, memory: Cut | None, refusal: tuple[str, str, str]) -> None:
    with pytest.raises(ShapeError) as error:
        steps_of(declared(options), KNOWN, memory)
    assert (error.value.message, error.value.remedy, error.value.option) == refusal


@pytest.mark.parametrize(("options", "memory"), [(ENCODERS, None), (DECODERS, MEMORY)], ids=str)
def test_a_stack_refuses_where_its_layer_does_and_names_an_option_of_its_own(
    options: Options, memory: Cut | None
) -> None:
    name = "encoder_layer" if memory is None else "decoder_layer"
    layer = declared(options | {name: options[name] | {"nhead": 3}})
    with pytest.raises(ShapeError) as error:
        steps_of(layer, KNOWN, memory)
    assert error.value.option == name
    assert error.value.message.endswith("Layer needs nhead to divide the 8 features")


def test_a_stack_refuses_where_its_norm_does() -> None:
    with pytest.raises(ShapeError) as error:
        steps_of(declared(ENCODERS | {"norm": {"type": "LayerNorm", "normalized_shape": [6]}}), KNOWN)
    assert error.value.option == "norm"


@pytest.mark.parametrize("place", ["id", "from"])
def test_a_place_inside_a_stack_says_nothing(place: str) -> None:
    with pytest.raises(ValidationError, match="id and from say nothing inside this layer"):
        declared(ENCODERS | {"encoder_layer": ENCODER | {place: "x"}})
    with pytest.raises(ValidationError, match="id and from say nothing inside this layer"):
        declared(ENCODERS | {"norm": {"type": "LayerNorm", place: "x"}})


def test_multiply_adds_are_those_of_attentions_and_linear_maps() -> None:
    attention, maps = 5 * 4 * 8 * 8 + 2 * 5 * 5 * 8, 5 * 2 * 8 * 4
    assert declared(ENCODER).cost((KNOWN,)) == attention + maps
    assert declared(DECODER).cost((KNOWN, KNOWN)) == 2 * attention + maps
    assert declared(ENCODERS).cost((KNOWN,)) == 2 * (attention + maps)
