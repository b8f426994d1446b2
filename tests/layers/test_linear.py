"""Linear and Identity: as torch computes them, with the costs that follow from their sizes."""

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from agreement import assert_agrees, batch_of, declared
from holding import Options, flags, floats_only, hold, options, refusal, shapes
from zoo.errors import ShapeError
from zoo.layers import Layer
from zoo.shapes import Shape

SIZES = st.sampled_from((1, 2, 3, 4))


def unfit(layer: Layer, shape: Shape) -> bool:
    """Rows stay apart, the size of an input row is known, and only floats have gradients."""
    return floats_only(layer, shape) or not shape.batched or shape.dims[-1] in ("N", "T")


def test_linear_is_torchs_own() -> None:
    drawn = st.fixed_dictionaries({"out_features": SIZES}, optional={"in_features": SIZES, "bias": flags})
    hold("Linear", drawn, shapes(), unfit)


def test_identity_is_torchs_own() -> None:
    hold("Identity", options(), shapes())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "parametrization",
    [
        {"type": "weight_norm"},
        {"type": "weight_norm", "dim": None},
        {"type": "spectral_norm", "dim": 1},
        {"type": "orthogonal", "orthogonal_map": "cayley"},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [1, 3, 6])
def test_a_weight_may_be_computed(parametrization: Options, size: int, bias: bool) -> None:
    layer = {"type": "Linear", "out_features": size, "bias": bias, "parametrization": parametrization}
    assert assert_agrees(declared(layer), Shape("N", "T", 3))


def test_a_weight_has_only_two_axes() -> None:
    layer = {"type": "Linear", "out_features": 2, "parametrization": {"type": "weight_norm", "dim": 2}}
    message, remedy, option = refusal(layer, Shape("N", 4))
    assert "an axis 2" in message
    assert (remedy, option) == ("write a dim from 0 to 1, or remove it", "parametrization")


@pytest.mark.parametrize("shape", [Shape("N", 6), Shape("N", 5, 6), Shape("N", 2, 5, 6)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_the_multiply_adds_of_linear_are_those_that_torch_counts(shape: Shape, bias: bool) -> None:
    layer = declared({"type": "Linear", "out_features": 7, "bias": bias})
    with FlopCounterMode(display=False) as counter:
        layer.build(shape)(batch_of(shape, 1))
    assert 2 * layer.multiply_adds(shape) == counter.get_total_flops()


def test_a_sequence_costs_its_longest() -> None:
    layer = declared({"type": "Linear", "out_features": 7})
    assert layer.multiply_adds(Shape("N", "T", 6, longest=10)) == 7 * 6 * 10
    assert layer.multiply_adds(Shape("N", "T", 6)) == 7 * 6


def test_a_written_input_size_is_compared() -> None:
    assert refusal({"type": "Linear", "out_features": 2, "in_features": 784}, Shape("N", 512)) == (
        "Linear expects 784 features",
        "remove in_features (it follows from the layer above), or write 512",
        "in_features",
    )


@pytest.mark.parametrize("shape", [Shape("N"), Shape("N", "T"), Shape("N", 4, dtype="int64")], ids=str)
def test_linear_needs_known_features_of_floats(shape: Shape) -> None:
    with pytest.raises(ShapeError):
        declared({"type": "Linear", "out_features": 2}).output_shape(shape)


@pytest.mark.parametrize(
    "written",
    [{}, {"out_features": 0}, {"out_features": 2**31}, {"out_features": "words"}, {"out_features": 1, "bias": 0}],
    ids=str,
)
def test_a_value_out_of_bounds_is_refused(written: Options) -> None:
    with pytest.raises(ValidationError):
        declared({"type": "Linear", **written})


def test_a_linear_layer_is_torchs_class() -> None:
    assert type(declared({"type": "Linear", "out_features": 2}).build(Shape("N", 4))) is nn.Linear
