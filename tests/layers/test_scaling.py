"""LayerScale, Normalize and Pow: as torch computes them, along any axis but the batch."""

import pytest
import torch
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from agreement import declared
from holding import Options, Own, axes, floats_only, hold, numbers, options, refusal, shapes
from writing import assert_exports, written
from zoo.layers import Layer
from zoo.layers.scaling import LayerScale, Normalize
from zoo.shapes import Shape

PLAIN = Shape("N", 3, 2, 2)


class Channels(nn.Module):
    """A learned number for each place of an axis, and one to be added."""

    def __init__(self, sizes: list[int], value: float = 1e-6, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(sizes, value))
        if bias:
            self.bias = nn.Parameter(torch.zeros(sizes))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias if "bias" in self._parameters else x * self.weight


def scaled(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    written = dict(written)
    axis = range(shape.rank)[written.pop("dim")]
    return Channels([shape.concrete(3, 5)[axis], *[1] * (shape.rank - 1 - axis)], **written)


def over_the_batch_or_a_sequence(layer: Layer, shape: Shape) -> bool:
    """Rows stay apart; numbers are learned for as many channels as there always are; and only floats have gradients."""
    assert isinstance(layer, LayerScale)
    return floats_only(layer, shape) or shape.dims[layer.dim] in ("N", "T")


def over_the_batch(layer: Layer, shape: Shape) -> bool:
    """Rows stay apart; and only floats have gradients. The batch stands first."""
    assert isinstance(layer, Normalize)
    return floats_only(layer, shape) or not shape.batched or shape.dims[layer.dim] == "N"


def first(shape: Shape) -> Shape:
    """Return the shape with its batch on the first axis."""
    return shape.with_dims("N", *(size for size in shape.dims if size != "N"))


def test_layer_scale_is_a_product_with_a_parameter() -> None:
    drawn = st.builds(
        lambda one, other: {**one, **other},
        st.fixed_dictionaries({"dim": axes}),
        options(value=numbers, bias=st.booleans()),
    )
    hold("LayerScale", drawn, shapes(low=2).map(first), over_the_batch_or_a_sequence, scaled)


def test_normalize_is_torchs_own() -> None:
    drawn = options(p=st.sampled_from((1.0, 2.0, 3.0)), dim=axes, eps=st.sampled_from((1e-12, 0.5)))
    hold(
        "Normalize",
        drawn,
        shapes(low=2),
        over_the_batch,
        lambda layer, shape, o: Own(lambda x: functional.normalize(x, **o)),
    )


def test_pow_is_torchs_own() -> None:
    drawn = st.fixed_dictionaries({"exponent": st.sampled_from((2.0, 3.0, 0.5, -1.0, 0.0, 1.0))})
    hold("Pow", drawn, shapes(), floats_only, lambda layer, shape, o: Own(lambda x: torch.pow(x, o["exponent"])))


def test_the_numbers_of_images_have_the_sizes_that_torchvision_gives_them() -> None:
    module = written(declared({"type": "LayerScale", "dim": 1, "bias": True}), PLAIN)
    sizes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    assert sizes == {"layer.weight": (3, 1, 1), "layer.bias": (3, 1, 1)}


@pytest.mark.parametrize(
    ("document", "shape"),
    [
        ({"type": "LayerScale", "dim": -1, "value": 0.5}, Shape("N", "T", 3)),
        ({"type": "LayerScale", "dim": 1, "bias": True}, PLAIN),
        ({"type": "Normalize", "dim": -1}, Shape("N", "T", 3)),
        ({"type": "Pow", "exponent": 2}, Shape("N", "T", 3)),
    ],
    ids=str,
)
def test_traced_and_exported_copies_scale_any_batch(document: Options, shape: Shape) -> None:
    assert_exports(declared(document), shape)


@pytest.mark.parametrize(
    "document",
    [
        {"type": "LayerScale"},
        {"type": "LayerScale", "dim": 8},
        {"type": "Normalize", "p": 0.5},
        {"type": "Normalize", "eps": 0},
        {"type": "Pow"},
    ],
    ids=str,
)
def test_a_value_out_of_bounds_is_refused(document: Options) -> None:
    with pytest.raises(ValidationError):
        declared(document)


@pytest.mark.parametrize(
    ("document", "shape", "message", "remedy", "option"),
    [
        (
            {"type": "LayerScale", "dim": 0},
            PLAIN,
            "LayerScale needs dim 0 to be an axis after the batch",
            "write an axis from 1 to 3, or from -1 to -3",
            "dim",
        ),
        (
            {"type": "LayerScale", "dim": 1},
            Shape("N", "T", 3),
            "LayerScale needs axis 1 to have a known size",
            "give it rows of known sizes",
            "",
        ),
        (
            {"type": "Normalize"},
            Shape("N"),
            "Normalize needs an axis after the batch",
            "remove the Normalize",
            "",
        ),
        (
            {"type": "Pow", "exponent": 2},
            Shape("N", 3, dtype="uint8"),
            "Pow needs float32 numbers",
            'convert them first: {"type": "ToDtype", "dtype": "float32", "scale": true} in data.transforms',
            "",
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    document: Options, shape: Shape, message: str, remedy: str, option: str
) -> None:
    assert refusal(document, shape) == (message, remedy, option)
