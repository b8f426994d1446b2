"""The rarer activations: as torch computes them, on every shape of floats."""

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from agreement import declared
from holding import Drawn, batch_first, flags, floats_only, hold, numbers, options, refusal, shapes
from zoo.layers import Layer
from zoo.layers.rectifier import GLU
from zoo.shapes import Shape

IN_PLACE = options(inplace=flags)
LAMBD = options(lambd=numbers)
DRAWN: dict[str, Drawn] = {
    "CELU": options(alpha=numbers, inplace=flags),
    "Hardshrink": LAMBD,
    "Hardtanh": options(min_val=numbers, max_val=numbers, inplace=flags),
    "LogSigmoid": options(),
    "Mish": IN_PLACE,
    "RReLU": options(lower=numbers, upper=numbers, inplace=flags),
    "SELU": IN_PLACE,
    "Softplus": options(beta=numbers, threshold=numbers),
    "Softshrink": LAMBD,
    "Softsign": options(),
    "Tanhshrink": options(),
    "Threshold": st.fixed_dictionaries({"threshold": numbers, "value": numbers}, optional={"inplace": flags}),
}


def on_the_batch_or_a_sequence(layer: Layer, shape: Shape) -> bool:
    assert isinstance(layer, GLU)
    return floats_only(layer, shape) or not isinstance(shape.dims[layer.dim], int)


@pytest.mark.parametrize("name", DRAWN)
def test_an_activation_is_torchs_own(name: str) -> None:
    hold(name, DRAWN[name], shapes(), floats_only)


def test_prelu_is_torchs_own() -> None:
    slopes = st.sampled_from((1, 2, 3, 4))
    hold("PReLU", options(num_parameters=slopes, init=numbers), shapes(sequence=False), batch_first)


def test_glu_is_torchs_own() -> None:
    hold(
        "GLU", options(dim=st.sampled_from((1, -1, -1, 2, -2, 0, 3))), shapes(low=2, high=3), on_the_batch_or_a_sequence
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "RReLU", "lower": 0.5, "upper": 0.25}, r"lower \(0.5\) is above upper \(0.25\); exchange them"),
        (
            {"type": "RReLU", "lower": -0.5, "inplace": True},
            "torch cannot train in place with a negative lower; remove inplace",
        ),
        (
            {"type": "CELU", "alpha": -1.0, "inplace": True},
            "torch cannot train in place with a negative alpha; remove inplace",
        ),
        ({"type": "CELU", "alpha": 0.0}, "the function divides by it, so 0 has no meaning; write another number"),
        ({"type": "Softplus", "beta": 0.0}, "the function divides by it, so 0 has no meaning; write another number"),
        (
            {"type": "Hardtanh", "min_val": 1.0, "max_val": 1.0},
            r"min_val \(1.0\) is not below max_val \(1.0\); exchange them",
        ),
        ({"type": "Softshrink", "lambd": -0.1}, "greater than or equal to 0"),
        ({"type": "Threshold", "threshold": 0.1}, "Field required"),
        ({"type": "PReLU", "num_parameters": 0}, "greater than or equal to 1"),
    ],
    ids=str,
)
def test_options_without_meaning_are_refused(document: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared(document)


@pytest.mark.parametrize(
    ("document", "shape", "message", "remedy", "option"),
    [
        (
            {"type": "PReLU", "num_parameters": 8},
            Shape("N", 3, 4),
            "PReLU expects 8 channels",
            "write 1 or 3",
            "num_parameters",
        ),
        (
            {"type": "PReLU", "num_parameters": 8},
            Shape("N"),
            "PReLU needs axis 1 to have a known size",
            "keep one in the layer above",
            "",
        ),
        (
            {"type": "GLU"},
            Shape("N", 3),
            "GLU needs an even size of axis 1",
            "give the layer above twice the features",
            "dim",
        ),
        (
            {"type": "GLU", "dim": 0},
            Shape("N", 4),
            "GLU needs dim 0 to be an axis after the batch",
            "write an axis from 1 to 1, or from -1 to -1",
            "dim",
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    document: dict[str, object], shape: Shape, message: str, remedy: str, option: str
) -> None:
    assert refusal(document, shape) == (message, remedy, option)
