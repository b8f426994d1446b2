"""Resizing: what stands for a layer gives torch's own numbers, in every mode and for factors of any kind."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from exporters.decompositions import decomposed

MODES = {"nearest": 2, "linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
ALMOST = 2e-7  # the weights are float32, and so is a last bit of them
EXACT = 1e-12


@pytest.mark.parametrize(("mode", "axes"), MODES.items())
def test_an_upsampling_by_a_broken_factor_is_torchs(mode: str, axes: int) -> None:
    rows = torch.randn(2, 3, *(5, 8, 6)[:axes], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    corners = (None,) if mode == "nearest" else (None, True)
    for factor, recompute, align in product((0.3, 0.6, 1.3, 1.5, 2.3, 3.7), (None, True), corners):
        layer = nn.Upsample(None, factor, mode, align, recompute)
        found = decomposed(layer)
        assert found is not layer
        by_sizes = mode == "nearest" or align or recompute
        torch.testing.assert_close(found(rows), layer(rows), rtol=0, atol=EXACT if by_sizes else 8 * ALMOST)


def test_an_upsampling_to_as_many_numbers_copies_them() -> None:
    layer, rows = nn.Upsample(None, 1.1, "linear"), torch.randn(2, 3, 8)
    assert torch.equal(decomposed(layer)(rows), rows)


@pytest.mark.parametrize("layer", [nn.Upsample(None, 2.0, "bilinear"), nn.Upsample(7), nn.UpsamplingNearest2d(5)])
def test_an_upsampling_by_whole_factors_or_to_a_size_stays(layer: nn.Module) -> None:
    assert decomposed(layer) is layer


# Any: torch's options.
@pytest.mark.parametrize(
    "options",
    [
        {"size": 7},
        {"size": 30, "align_corners": True},
        {"scale_factor": 3},
        {"scale_factor": (0.3,), "align_corners": True},
        {"scale_factor": 1.7, "recompute_scale_factor": True},
    ],
    ids=str,
)
def test_numbers_between_numbers_are_those_of_an_image_of_one_row(options: dict[str, Any]) -> None:
    layer, rows = nn.Upsample(mode="linear", **options), torch.randn(2, 3, 12, dtype=torch.float64)

    replaced = decomposed(layer)

    assert type(replaced).__name__ == "Stretched"
    assert torch.allclose(replaced(rows), layer(rows), rtol=0, atol=1e-14)
