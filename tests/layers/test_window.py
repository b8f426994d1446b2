"""ShiftedWindowAttention: torchvision's own, on images with their channels last."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.swin_transformer import ShiftedWindowAttention

from agreement import assert_agrees, batch_of, declared
from holding import assert_same, assert_trains, refusal
from writing import assert_exports
from zoo.graph import layer_module
from zoo.shapes import Shape

Options = dict[str, Any]  # JSON values

SMALL: Options = {"type": "ShiftedWindowAttention", "window_size": [2, 3], "num_heads": 2}
SHIFTED = SMALL | {"shift_size": [1, 2]}
IMAGES = Shape("N", 4, 6, 8)
SIDES = st.integers(1, 3)
DRAWN = st.fixed_dictionaries(
    {"window_size": st.tuples(SIDES, SIDES), "num_heads": st.sampled_from((1, 2, 4))},
    optional={
        "shift_size": st.tuples(st.integers(0, 1), st.integers(0, 2)),
        "qkv_bias": st.booleans(),
        "proj_bias": st.booleans(),
        "dropout": st.sampled_from((0.0, 0.5)),
        "attention_dropout": st.sampled_from((0.0, 0.5)),
    },
)


def own(options: Options, channels: int) -> ShiftedWindowAttention:
    lists = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    return ShiftedWindowAttention(**({"dim": channels, "shift_size": [0, 0]} | lists))


def test_it_is_torchvisions_own() -> None:
    taken: list[bool] = []

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(DRAWN, st.tuples(st.integers(1, 7), st.integers(1, 7), st.sampled_from((4, 8, 6))))
    def each(options: Options, sizes: tuple[int, int, int]) -> None:
        try:
            layer = declared({"type": "ShiftedWindowAttention", **options})
        except ValidationError:
            return
        shape = Shape("N", *sizes)
        taken.append(assert_agrees(layer, shape))
        if taken[-1]:
            torch.manual_seed(0)
            module = layer_module(layer, (shape,))
            torch.manual_seed(0)
            assert_same(module, own(options, sizes[2]), shape)
            assert_trains(module, shape)

    each()
    assert sum(taken) > len(taken) / 4


def test_a_shift_changes_what_is_seen() -> None:
    plain, shifted = (layer_module(declared(document), (IMAGES,)).eval() for document in (SMALL, SHIFTED))
    shifted.load_state_dict(plain.state_dict())
    batch = batch_of(IMAGES, 2)
    assert not torch.equal(plain(batch), shifted(batch))


@pytest.mark.parametrize("document", [SMALL, SHIFTED], ids=str)
def test_traced_and_exported_copies_take_any_batch(document: Options) -> None:
    assert_exports(declared(document), IMAGES)


def test_its_costs_are_those_that_torch_counts() -> None:
    layer, shape = declared(SMALL), Shape("N", 5, 7, 8)
    with FlopCounterMode(display=False) as counter:
        layer_module(layer, (shape,))(batch_of(shape, 1))
    assert 2 * layer.multiply_adds(shape) == counter.get_total_flops()


@pytest.mark.parametrize(
    "wrong", [{"window_size": 7}, {"window_size": [0, 1]}, {"shift_size": [2, 0]}, {"num_heads": 0}], ids=str
)
def test_a_value_out_of_bounds_is_refused(wrong: Options) -> None:
    with pytest.raises(ValidationError):
        declared(SMALL | wrong)


@pytest.mark.parametrize(
    ("document", "shape", "message", "remedy", "option"),
    [
        (
            SMALL,
            Shape("N", 6, 8),
            "ShiftedWindowAttention needs images (N, H, W, C)",
            'bring the channels to the end: {"type": "Permute", "dims": [0, 2, 3, 1]} above it',
            "",
        ),
        (
            SMALL,
            Shape("N", 4, 6, 5),
            "ShiftedWindowAttention needs num_heads to divide the 5 features",
            "write 1",
            "num_heads",
        ),
        (
            SHIFTED,
            Shape("N", 2, 6, 8),
            "ShiftedWindowAttention needs several windows on axis 1 to shift them",
            "write 0 there, or a smaller window_size",
            "shift_size",
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    document: Options, shape: Shape, message: str, remedy: str, option: str
) -> None:
    assert refusal(document, shape) == (message, remedy, option)
