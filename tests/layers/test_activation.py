"""The usual activations: as torch computes them, on every shape of floats."""

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from agreement import declared
from holding import Drawn, flags, floats_only, hold, numbers, options, shapes

IN_PLACE = options(inplace=flags)
DRAWN: dict[str, Drawn] = {
    "ELU": options(alpha=numbers, inplace=flags),
    "GELU": options(approximate=st.sampled_from(("none", "tanh"))),
    "Hardsigmoid": IN_PLACE,
    "Hardswish": IN_PLACE,
    "LeakyReLU": options(negative_slope=numbers, inplace=flags),
    "ReLU": IN_PLACE,
    "ReLU6": IN_PLACE,
    "SiLU": IN_PLACE,
    "Sigmoid": options(),
    "Tanh": options(),
}


@pytest.mark.parametrize("name", DRAWN)
def test_an_activation_is_torchs_own(name: str) -> None:
    hold(name, DRAWN[name], shapes(), floats_only)


@pytest.mark.parametrize(("name", "option"), [("LeakyReLU", "negative_slope"), ("ELU", "alpha")])
def test_what_torch_cannot_train_in_place_is_refused(name: str, option: str) -> None:
    with pytest.raises(ValidationError, match=f"torch cannot train in place with a negative {option}; remove inplace"):
        declared({"type": name, option: -0.5, "inplace": True})


@pytest.mark.parametrize(
    "document",
    [
        {"type": "GELU", "approximate": "erf"},
        {"type": "LeakyReLU", "negative_slope": 1e31},
        {"type": "ELU", "alpha": "1"},
        {"type": "ReLU", "inplace": 1},
        {"type": "Tanh", "inplace": True},
    ],
    ids=str,
)
def test_a_value_out_of_bounds_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        declared(document)
