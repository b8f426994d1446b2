"""MultiheadAttention and CausalSelfAttention beside torch: numbers, shapes, exports, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torchvision.models.vision_transformer import EncoderBlock

from agreement import batch_of, declared, torch_refuses
from writing import PLACE, Cut, assert_close, assert_exports, assert_written, steps_of, written
from zoo.errors import ShapeError
from zoo.shapes import Shape, Value

KNOWN, FREE, UNBOUND = Shape("N", 5, 8), Shape("N", "T", 8, longest=9), Shape("N", "T", 8)
SHAPES = (KNOWN, FREE, UNBOUND, Shape("N", 1, 6), Shape("N", 8), Shape("N", 2, 5, 8), Shape("N", 5, 8, dtype="int64"))
Options = dict[str, Any]
ACCEPTED: dict[str, list[bool]] = {"MultiheadAttention": [], "CausalSelfAttention": []}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    options=st.fixed_dictionaries(
        {"type": st.just("MultiheadAttention"), "num_heads": st.sampled_from([1, 2, 2, 3])},
        optional={
            "embed_dim": st.sampled_from([8, 8, 6]),
            "dropout": st.sampled_from([0.0, 0.5]),
            "bias": st.booleans(),
            "add_bias_kv": st.booleans(),
            "add_zero_attn": st.booleans(),
            "is_causal": st.booleans(),
            "need_weights": st.booleans(),
            "average_attn_weights": st.booleans(),
        },
    ),
    shape=st.sampled_from((*SHAPES, KNOWN, FREE)),
    memory=st.sampled_from([None, Cut(size=8), Cut(size=3), Cut(size=8, twice=True)]),
)
def test_multihead_attention_agrees_with_torch(options: Options, shape: Shape, memory: Cut | None) -> None:
    if shape.rank != 3 or shape.dtype != "float32":
        memory = None  # what cannot be cut
    if memory is not None:
        options = options | {"memory": "memory"}
        options |= {"kdim": memory.size, "vdim": memory.size} if memory.size != 8 else {}
    try:
        layer = declared(options)
    except ValidationError:
        assert not options["average_attn_weights"]
        return
    accepted = assert_written(layer, shape, memory)
    ACCEPTED["MultiheadAttention"].append(accepted)
    if accepted or memory is not None or shape.rank == 2:  # torch would read (N, C) as one sequence without a batch
        return
    more = options.get("need_weights") and (options.get("add_bias_kv") or options.get("add_zero_attn"))
    try:
        module = nn.MultiheadAttention(options.get("embed_dim", shape.dims[-1]), options["num_heads"], batch_first=True)
    except AssertionError:
        return
    assert (more and "T" in shape.dims) or torch_refuses(_Self(module), shape)


class _Self(nn.Module):
    """Attention of a sequence to itself."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Return the attended sequence."""
        attended: Tensor = self.attention(x, x, x)[0]
        return attended


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    options=st.fixed_dictionaries(
        {"type": st.just("CausalSelfAttention"), "num_heads": st.sampled_from([1, 2, 4, 3])},
        optional={
            "embed_dim": st.sampled_from([8, 8, 6]),
            "head_dim": st.integers(1, 4),
            "num_kv_heads": st.integers(1, 4),
            "bias": st.booleans(),
            "dropout": st.sampled_from([0.0, 0.5]),
            "rotary": st.fixed_dictionaries(
                {},
                optional={
                    "base": st.sampled_from([100.0]),
                    "interleaved": st.booleans(),
                    "num_positions": st.sampled_from([7, 9]),
                },
            ),
        },
    ),
    shape=st.sampled_from((*SHAPES, KNOWN, FREE)),
)
def test_causal_self_attention_agrees_with_its_module(options: Options, shape: Shape) -> None:
    heads = options["num_heads"]
    try:
        layer = declared(options)
    except ValidationError:
        assert heads % options["num_kv_heads"] != 0
        return
    accepted = assert_written(layer, shape)
    ACCEPTED["CausalSelfAttention"].append(accepted)
    size = shape.dims[-1] if isinstance(shape.dims[-1], int) else 0
    wrong = shape.rank != 3 or shape.dtype != "float32" or options.get("embed_dim", size) != size
    wrong = wrong or ("head_dim" not in options and size % heads != 0)
    if "rotary" in options and not wrong:
        length = shape.dims[1] if isinstance(shape.dims[1], int) else shape.longest
        count = options["rotary"].get("num_positions", length)
        wrong = options.get("head_dim", size // heads) % 2 == 1 or count is None or count < (length or 0)
    assert accepted != wrong


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_fair_share_was_accepted(name: str) -> None:
    assert sum(ACCEPTED[name]) >= len(ACCEPTED[name]) / 5


def multihead(**options: object) -> Options:
    return {"type": "MultiheadAttention", "num_heads": 4, **options}


def causal(**options: object) -> Options:
    return {"type": "CausalSelfAttention", "num_heads": 4, **options}


@pytest.mark.parametrize(
    ("options", "shape", "memory"),
    [
        (multihead(), FREE, None),
        (multihead(is_causal=True), FREE, None),
        (multihead(is_causal=True, need_weights=True), UNBOUND, None),
        (multihead(is_causal=True, add_bias_kv=True, add_zero_attn=True), KNOWN, None),
        (multihead(need_weights=True, average_attn_weights=False, bias=False), UNBOUND, None),
        (multihead(memory="memory", kdim=6, vdim=6), FREE, Cut(size=6)),
        (causal(), FREE, None),
        (causal(), KNOWN, None),
        (causal(dropout=0.5, num_kv_heads=2, rotary={}), FREE, None),
        (causal(num_kv_heads=1, head_dim=6, bias=False, rotary={"interleaved": True}), FREE, None),
    ],
    ids=str,
)
def test_traced_and_exported_copies_agree(options: Options, shape: Shape, memory: Cut | None) -> None:
    assert_exports(declared(options), shape, memory)


def test_an_encoder_block_of_torchvision_is_reproduced_bit_for_bit() -> None:
    torch.manual_seed(0)
    block = EncoderBlock(num_heads=2, hidden_dim=8, mlp_dim=16, dropout=0.0, attention_dropout=0.0).eval()
    ours = written(declared(multihead(num_heads=2)), KNOWN).eval()
    ours.get_submodule(PLACE).load_state_dict(block.self_attention.state_dict())
    x = batch_of(KNOWN, 3)
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            attended = ours(block.ln_1(x)) + x
            assert torch.equal(attended + block.mlp(block.ln_2(attended)), block(x))


@pytest.mark.parametrize(
    "options",
    [multihead(is_causal=True), multihead(is_causal=True, add_bias_kv=True), causal(), causal(dropout=0.5, rotary={})],
    ids=str,
)
def test_no_step_sees_a_later_one(options: Options) -> None:
    module = written(declared(options), KNOWN).eval()
    x = batch_of(KNOWN, 2)
    changed = x.clone()
    changed[:, 3:] += 1
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            assert_close(module(changed)[:, :3], module(x)[:, :3])
            assert not torch.allclose(module(changed)[:, 3:], module(x)[:, 3:], atol=1e-3)


@pytest.mark.parametrize("option", ["add_bias_kv", "add_zero_attn"])
def test_added_keys_are_seen_by_every_step(option: str) -> None:
    layer = declared(multihead(is_causal=True, need_weights=True, **{option: True}))
    _, weights = written(layer, KNOWN).eval()(batch_of(KNOWN, 2))
    assert bool((weights[:, :, 5] > 0).all())
    assert bool((weights[:, 0, 1:5] == 0).all())


def test_causal_self_attention_is_torch_s_multihead_attention_with_a_mask() -> None:
    mine, theirs = written(declared(causal()), KNOWN), written(declared(multihead(is_causal=True)), KNOWN)
    names = {"in_proj.weight": "in_proj_weight", "in_proj.bias": "in_proj_bias"}
    state = {key.removeprefix(f"{PLACE}."): value for key, value in mine.state_dict().items()}
    theirs.get_submodule(PLACE).load_state_dict({names.get(key, key): value for key, value in state.items()})
    assert_close(mine(batch_of(KNOWN, 2)), theirs(batch_of(KNOWN, 2)))


def test_with_dropout_it_computes_the_same_in_evaluation_and_something_random_in_training() -> None:
    plain, dropping = written(declared(causal()), KNOWN), written(declared(causal(dropout=0.5)), KNOWN)
    dropping.load_state_dict(plain.state_dict())
    x = batch_of(KNOWN, 2)
    assert_close(dropping.eval()(x), plain(x))
    assert not torch.allclose(dropping.train()(x), dropping(x))


def test_shared_heads_are_equal_heads() -> None:
    few, many = written(declared(causal(num_kv_heads=2)), KNOWN), written(declared(causal()), KNOWN)
    state = few.state_dict()
    rows = torch.arange(8).tolist()
    for first in (8, 12):  # two heads of size 2 of keys, then of values, each for two queries
        rows += [first + head * 2 + at for head in (0, 0, 1, 1) for at in range(2)]
    for name in ("weight", "bias"):
        state[f"{PLACE}.in_proj.{name}"] = state[f"{PLACE}.in_proj.{name}"][rows]
    many.load_state_dict(state)
    assert_close(few(batch_of(KNOWN, 2)), many(batch_of(KNOWN, 2)))


@pytest.mark.parametrize(
    ("options", "memory", "given"),
    [
        (multihead(), None, KNOWN),
        (multihead(need_weights=True), None, (KNOWN, Shape("N", 5, 5))),
        (multihead(need_weights=True, average_attn_weights=False), None, (KNOWN, Shape("N", 4, 5, 5))),
        (
            multihead(need_weights=True, add_bias_kv=True, add_zero_attn=True, memory="m"),
            Cut(size=8, twice=True),
            (KNOWN, Shape("N", 5, 12)),
        ),
    ],
    ids=str,
)
def test_weights_are_given_when_asked_for(options: Options, memory: Cut | None, given: Value) -> None:
    assert steps_of(declared(options), KNOWN, memory)[-1].result == given


@pytest.mark.parametrize(
    ("options", "shape", "memory", "refusal"),
    [
        (
            multihead(num_heads=3),
            KNOWN,
            None,
            ("MultiheadAttention needs num_heads to divide the 8 features", "write 2", "num_heads"),
        ),
        (
            multihead(memory="m"),
            KNOWN,
            Cut(size=6),
            ("MultiheadAttention needs a kdim that is the features of its memory, 6", "write 6", "kdim"),
        ),
        (
            multihead(memory="m", is_causal=True),
            KNOWN,
            Cut(size=8, twice=True),
            (
                "MultiheadAttention needs a memory as long as its input where later steps are hidden",
                "remove is_causal",
                "is_causal",
            ),
        ),
        (
            multihead(need_weights=True, add_zero_attn=True),
            FREE,
            None,
            (
                "MultiheadAttention needs a memory of known length to give weights with a key more",
                "remove need_weights, add_bias_kv or add_zero_attn",
                "need_weights",
            ),
        ),
        (
            causal(num_heads=8, rotary={}),
            KNOWN,
            None,
            (
                "CausalSelfAttention turns pairs of features, but a head has 1",
                "write an even head_dim, or remove rotary",
                "rotary",
            ),
        ),
        (
            causal(rotary={}),
            UNBOUND,
            None,
            ("CausalSelfAttention needs to know the longest sequence", "write num_positions", "rotary"),
        ),
    ],
    ids=str,
)
def test_a_refusal_says_what_to_write(
    options: Options, shape: Shape, memory: Cut | None, refusal: tuple[str, str, str]
) -> None:
    with pytest.raises(ShapeError) as error:
        steps_of(declared(options), shape, memory)
    assert (error.value.message, error.value.remedy, error.value.option) == refusal


@pytest.mark.parametrize(
    "memory", [(KNOWN, KNOWN), Shape("N", 8), Shape(2, "N", 8), Shape("N", 5, 8, dtype="int64")], ids=str
)
def test_a_memory_that_is_no_sequence_is_refused(memory: Value) -> None:
    with pytest.raises(ShapeError) as error:
        declared(multihead(memory="m")).infer((KNOWN, memory))
    assert error.value.option == "memory"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (multihead(average_attn_weights=False), "average_attn_weights says nothing without need_weights"),
        (causal(num_kv_heads=3), "num_kv_heads must divide num_heads"),
    ],
)
def test_an_option_that_says_nothing_is_refused(options: Options, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared(options)


def test_multiply_adds_are_those_of_projections_and_attention() -> None:
    assert declared(multihead()).cost((KNOWN,)) == 5 * 4 * 8 * 8 + 2 * 5 * 5 * 8
    assert declared(causal()).multiply_adds(FREE) == 9 * 4 * 8 * 8 + 2 * 9 * 9 * 8
