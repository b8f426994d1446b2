"""Mean, Sum, Max and Scale: as torch computes them, along any axes but the batch."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from agreement import declared
from holding import Options, Own, floats_only, hold, numbers, refusal, shapes
from writing import assert_exports
from zoo.layers import Layer
from zoo.layers.layer import kind
from zoo.layers.reduction import Reduction
from zoo.shapes import Shape

SEVERAL = st.lists(st.sampled_from((1, 2, -1)), min_size=1, max_size=2)
FUNCTIONS: dict[str, Callable[..., torch.Tensor]] = {"Mean": torch.mean, "Sum": torch.sum, "Max": torch.amax}


def over_the_batch(layer: Layer, shape: Shape) -> bool:
    """Rows stay apart; and only floats have gradients."""
    assert isinstance(layer, Reduction)
    named = (layer.dim,) if isinstance(layer.dim, int) else layer.dim
    return floats_only(layer, shape) or any(shape.dims[axis] == "N" for axis in named)


def reduced(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    return Own(lambda x: FUNCTIONS[kind(layer)](x, **written))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_reduction_is_torchs_own(name: str) -> None:
    drawn = st.fixed_dictionaries({"dim": st.integers(-3, 3) | SEVERAL}, optional={"keepdim": st.booleans()})
    hold(name, drawn, shapes(low=2), over_the_batch, reduced)


def test_scale_is_torchs_own() -> None:
    drawn = st.fixed_dictionaries({"factor": numbers})
    hold("Scale", drawn, shapes(), floats_only, lambda layer, shape, written: Own(lambda x: x * written["factor"]))


@pytest.mark.parametrize(
    ("document", "shape"),
    [
        ({"type": "Mean", "dim": [2, 3]}, Shape("N", 2, 3, 4)),
        ({"type": "Mean", "dim": 1}, Shape("N", "T", 3)),
        ({"type": "Sum", "dim": -1, "keepdim": True}, Shape("N", "T", 3)),
        ({"type": "Max", "dim": 1}, Shape("N", "T", 3)),
        ({"type": "Scale", "factor": -0.125}, Shape("N", 3)),
    ],
    ids=str,
)
def test_traced_and_exported_copies_reduce_any_batch(document: Options, shape: Shape) -> None:
    assert_exports(declared(document), shape)


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Mean"},
        {"type": "Mean", "dim": []},
        {"type": "Sum", "dim": 8},
        {"type": "Scale"},
        {"type": "Max", "dim": None},
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
            {"type": "Mean", "dim": 0},
            Shape("N", 3),
            "Mean needs dim 0 to be an axis after the batch",
            "write an axis from 1 to 1, or from -1 to -1",
            "dim",
        ),
        (
            {"type": "Sum", "dim": [1, -1]},
            Shape("N", 3),
            "Sum needs dim to name each axis once",
            "remove the second one",
            "dim",
        ),
        (
            {"type": "Max", "dim": 1},
            Shape(2, "N", 3),
            "Max needs dim 1 to be an axis beside the batch",
            "write 0 or 2",
            "dim",
        ),
        (
            {"type": "Mean", "dim": 1},
            Shape("N", 3, dtype="uint8"),
            "Mean needs float32 numbers",
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
