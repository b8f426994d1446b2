"""Parametrisations: what a spec may write, and that the weight really is what they say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from agreement import assert_agrees, declared
from zoo.errors import ShapeError
from zoo.layers.parametrization import PARAMETRIZATIONS
from zoo.shapes import Shape

ROWS = Shape("N", 6)


def linear(norm: dict[str, Any], out_features: int = 4) -> dict[str, Any]:
    return {"type": "Linear", "out_features": out_features, "parametrization": norm}


def weight(document: dict[str, Any]) -> Tensor:
    torch.manual_seed(0)
    found = declared(document).build(ROWS).eval().weight
    assert isinstance(found, Tensor)
    return found.detach()


def test_three_are_offered() -> None:
    assert PARAMETRIZATIONS.names == ("orthogonal", "spectral_norm", "weight_norm")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", PARAMETRIZATIONS.names)
def test_a_linear_layer_takes_them(name: str, bias: bool) -> None:
    assert assert_agrees(declared(linear({"type": name}) | {"bias": bias}), ROWS)


@pytest.mark.parametrize("out_features", [3, 6, 9])
@pytest.mark.parametrize("orthogonal_map", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("use_trivialization", [True, False])
def test_an_orthogonal_weight_is_orthogonal(
    out_features: int, orthogonal_map: str | None, use_trivialization: bool
) -> None:
    norm = {"type": "orthogonal", "orthogonal_map": orthogonal_map, "use_trivialization": use_trivialization}
    matrix = weight(linear(norm, out_features))
    tall = matrix if out_features >= 6 else matrix.T
    torch.testing.assert_close(tall.T @ tall, torch.eye(tall.shape[1]), rtol=0, atol=1e-5)  # ~80 float32 ulps at 1.0


def test_a_spectral_norm_is_one() -> None:
    matrix = weight(linear({"type": "spectral_norm"}))
    # 15 steps of the power method at the start come within a percent.
    torch.testing.assert_close(torch.linalg.matrix_norm(matrix, 2), torch.tensor(1.0), rtol=0, atol=1e-2)


def test_a_weight_norm_starts_at_the_drawn_weight() -> None:
    plain = {"type": "Linear", "out_features": 4}
    torch.testing.assert_close(weight(linear({"type": "weight_norm"})), weight(plain))


@pytest.mark.parametrize(
    "norm",
    [
        {"type": "batch_norm"},
        {"dim": 0},
        {"type": "weight_norm", "dim": -1},
        {"type": "weight_norm", "eps": 0.1},
        {"type": "spectral_norm", "n_power_iterations": 0},
        {"type": "spectral_norm", "eps": 0},
        {"type": "orthogonal", "orthogonal_map": "qr"},
        "weight_norm",
    ],
    ids=str,
)
def test_what_torch_has_not_is_refused(norm: Any) -> None:
    with pytest.raises(ValidationError):
        declared(linear(norm))


@pytest.mark.parametrize("norm", [{"type": "weight_norm", "dim": 2}, {"type": "spectral_norm", "dim": 2}], ids=str)
def test_an_axis_that_the_weight_has_not_is_refused(norm: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match="needs a weight with an axis 2 for its parametrization") as refusal:
        declared(linear(norm)).infer((ROWS,))
    assert (refusal.value.option, refusal.value.remedy) == ("parametrization", "write a dim from 0 to 1, or remove it")


def test_it_is_written_out_again() -> None:
    document = declared(linear({"type": "spectral_norm", "eps": 1e-6})).document()
    assert document["parametrization"] == {"type": "spectral_norm", "n_power_iterations": 1, "eps": 1e-6}
