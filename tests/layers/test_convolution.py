"""Convolutions beside torch's own: sizes, parameters, what is refused; parametrised weights; costs."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.utils.flop_counter import FlopCounterMode

from agreement import assert_agrees, declared, ruled
from drawing import Draw, documents, hold, hold_lengths, numbers, shapes
from zoo.errors import ShapeError
from zoo.shapes import Shape

NORMS: tuple[dict[str, Any], ...] = (
    {"type": "weight_norm"},
    {"type": "weight_norm", "dim": 1},
    {"type": "weight_norm", "dim": None},
    {"type": "weight_norm", "dim": 2},
    {"type": "spectral_norm"},
    {"type": "spectral_norm", "n_power_iterations": 3, "eps": 1e-6, "dim": 1},
    {"type": "spectral_norm", "dim": -1},
    {"type": "orthogonal"},
    {"type": "orthogonal", "orthogonal_map": "cayley"},
    {"type": "orthogonal", "orthogonal_map": "matrix_exp", "use_trivialization": False},
    {"type": "orthogonal", "orthogonal_map": "householder", "use_trivialization": False},
)


def options(axes: int, transposed: bool) -> dict[str, st.SearchStrategy[Any]]:
    padding = numbers(axes, 0, 3)
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "in_channels": st.integers(1, 6),
        "out_channels": st.sampled_from([2, 3, 4, 6]),
        "kernel_size": numbers(axes, 1, 4),
        "stride": numbers(axes, 1, 3),
        "padding": padding if transposed else padding | st.sampled_from(["same", "valid"]),
        "dilation": numbers(axes, 1, 3),
        "groups": st.sampled_from([1, 1, 1, 2, 3]),
        "bias": st.booleans(),
    }
    if transposed:
        return drawn | {"output_padding": numbers(axes, 0, 2)}
    return drawn | {"padding_mode": st.sampled_from(["zeros", "reflect", "replicate", "circular"])}


def layers(axes: int, transposed: bool, *, left_out: str = "in_channels") -> st.SearchStrategy[Draw]:
    name = f"ConvTranspose{axes}d" if transposed else f"Conv{axes}d"
    drawn = {option: values for option, values in options(axes, transposed).items() if option not in left_out.split()}
    return documents(name, drawn, needed="out_channels kernel_size")


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_convolution_agrees_with_torch(axes: int) -> None:
    hold(layers(axes, False), shapes(axes, largest=9 if axes < 3 else 6, smallest=axes), share=0.15)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_transposed_convolution_agrees_with_torch(axes: int) -> None:
    hold(layers(axes, True), shapes(axes, largest=6 if axes < 3 else 4), share=0.15)


@pytest.mark.parametrize("transposed", [False, True])
def test_channels_in_groups_agree_with_torch(transposed: bool) -> None:
    name = "ConvTranspose1d" if transposed else "Conv1d"
    choices = {"out_channels": st.sampled_from([4, 6]), "groups": st.integers(1, 4), "kernel_size": st.integers(1, 2)}
    drawn = documents(name, choices, needed=" ".join(choices))
    hold(drawn, st.sampled_from([Shape("N", 4, 5), Shape("N", 6, 5), Shape("N", 12, 5)]))


@pytest.mark.parametrize("transposed", [False, True])
def test_a_written_number_of_channels_is_compared(transposed: bool) -> None:
    drawn = layers(1, transposed, left_out="groups stride dilation output_padding")
    hold(drawn, shapes(1, channels=3), share=0.1)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_sequence_of_any_length_is_taken_where_every_length_is_kept(transposed: bool) -> None:
    hold_lengths(layers(1, transposed))


@pytest.mark.parametrize("name", ["Conv1d", "ConvTranspose1d"])
def test_a_convolution_that_keeps_every_length_keeps_the_symbol(name: str) -> None:
    layer = declared({"type": name, "out_channels": 2, "kernel_size": 5, "dilation": 2, "padding": 4})
    assert ruled(layer, Shape("N", 3, "T")) == Shape("N", 2, "T")


@pytest.mark.parametrize(
    "name", ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
)
@pytest.mark.parametrize("norm", NORMS, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_a_parametrised_weight_is_learned_under_torchs_names(name: str, norm: dict[str, Any], bias: bool) -> None:
    document = {"type": name, "out_channels": 4, "kernel_size": 2, "groups": 2, "bias": bias, "parametrization": norm}
    assert assert_agrees(declared(document), Shape("N", 6, *(3,) * int(name[-2])))


@pytest.mark.parametrize("norm", [{"type": "weight_norm", "dim": 3}, {"type": "spectral_norm", "dim": -4}])
def test_a_parametrisation_along_an_axis_that_is_not_there_is_refused(norm: dict[str, Any]) -> None:
    layer = declared({"type": "Conv1d", "out_channels": 4, "kernel_size": 2, "parametrization": norm})
    with pytest.raises(
        ShapeError, match=r"needs a weight with an axis .* for its parametrization, and has \(4, 6, 2\)"
    ):
        layer.infer((Shape("N", 6, 8),))


@pytest.mark.parametrize(
    ("document", "shape"),
    [
        ({"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "stride": 2, "groups": 2}, Shape("N", 6, 9, 8)),
        ({"type": "Conv1d", "out_channels": 4, "kernel_size": 3, "padding": "same"}, Shape("N", 6, 9)),
        ({"type": "Conv3d", "out_channels": 2, "kernel_size": [1, 2, 3]}, Shape("N", 3, 4, 5, 6)),
        ({"type": "ConvTranspose2d", "out_channels": 4, "kernel_size": 3, "stride": 2}, Shape("N", 6, 5, 4)),
        ({"type": "ConvTranspose1d", "out_channels": 4, "kernel_size": 3, "groups": 2}, Shape("N", 6, 5)),
    ],
    ids=str,
)
def test_its_cost_is_what_torch_counts(document: dict[str, Any], shape: Shape) -> None:
    layer = declared(document)
    with FlopCounterMode(display=False) as counter:
        layer.build(shape)(torch.zeros(shape.concrete(1)))
    assert 2 * layer.multiply_adds(shape) == counter.get_total_flops()


def test_a_length_that_nothing_bounds_costs_one_step() -> None:
    layer = declared({"type": "Conv1d", "out_channels": 4, "kernel_size": 3, "padding": 1})
    assert layer.multiply_adds(Shape("N", 2, "T")) == 4 * 2 * 3
    assert layer.multiply_adds(Shape("N", 2, "T", longest=10)) == 4 * 2 * 3 * 10


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "Conv1d", "kernel_size": 3, "padding": "same", "stride": 2}, "has no meaning with a stride"),
        ({"type": "Conv2d", "kernel_size": 3, "padding_mode": "reflect"}, "padding_mode says nothing without padding"),
        ({"type": "Conv2d", "kernel_size": 3, "padding": "valid", "padding_mode": "circular"}, "says nothing"),
        ({"type": "ConvTranspose2d", "kernel_size": 3, "output_padding": 1}, "must be smaller than stride or dilation"),
    ],
    ids=str,
)
def test_options_that_contradict_each_other_are_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared({"out_channels": 4, **document})


@pytest.mark.parametrize(
    ("document", "shape", "message", "option"),
    [
        ({"type": "Conv2d"}, Shape("N", 3), r"Conv2d needs images \(N, C, H, W\)", ""),
        ({"type": "Conv2d"}, Shape("N", 3, 9, 9, dtype="uint8"), "needs float32", ""),
        ({"type": "Conv2d", "in_channels": 4}, Shape("N", 3, 9, 9), "expects 4 channels", "in_channels"),
        ({"type": "Conv2d", "groups": 2}, Shape("N", 3, 9, 9), "in_channels .3. to be a multiple of groups", "groups"),
        ({"type": "Conv2d", "groups": 3}, Shape("N", 3, 9, 9), "out_channels .4. to be a multiple of groups", "groups"),
        ({"type": "Conv2d"}, Shape("N", 3, 9, 2), "needs axis 3 to be 3 or longer", "kernel_size"),
        ({"type": "Conv1d"}, Shape("N", 3, "T"), "needs a known length on axis 2, which it changes", ""),
        (
            {"type": "ConvTranspose1d", "padding": 2},
            Shape("N", 3, 2),
            "needs an axis 2 that does not become 0 long",
            "",
        ),
        (
            {"type": "Conv1d", "padding": 3, "padding_mode": "reflect"},
            Shape("N", 3, 3),
            "needs axis 2 to be longer than its padding of 3",
            "padding",
        ),
    ],
    ids=str,
)
def test_a_refusal_says_what_is_needed(document: dict[str, Any], shape: Shape, message: str, option: str) -> None:
    layer = declared({"out_channels": 4, "kernel_size": 3, **document})
    with pytest.raises(ShapeError, match=message) as refusal:
        layer.infer((shape,))
    assert refusal.value.option == option
    assert refusal.value.remedy


def test_a_class_for_other_axes_is_named() -> None:
    with pytest.raises(ShapeError) as refusal:
        declared({"type": "Conv2d", "out_channels": 4, "kernel_size": 3}).infer((Shape("N", 3, 9),))
    assert refusal.value.remedy == "write Conv1d, which takes sequences (N, C, L)"


@pytest.mark.parametrize("name", ["Conv3d", "ConvTranspose3d"])
def test_huge_options_are_refused_at_once(name: str) -> None:
    huge = 2**31 - 1
    began = time.process_time()
    for option in ("out_channels", "kernel_size", "stride", "padding", "dilation"):
        document = {"type": name, "out_channels": 4, "kernel_size": 3, option: huge}
        ruled(declared(document), Shape("N", huge, huge, huge, huge))
    document = {"type": name, "out_channels": huge, "kernel_size": huge, "padding": huge, "stride": huge}
    assert ruled(declared(document), Shape("N", huge, 9, 9, 9)) is None
    assert time.process_time() - began < 1
