"""Windows: what stands for a layer gives torch's own numbers, whether a window falls off the end or none does."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from exporters.decompositions import decomposed

SETTINGS: list[tuple[tuple[int, int], tuple[int, int], int]] = [
    *product(((2, 2), (3, 2)), ((2, 2), (3, 3), (3, 1)), (0, 1))
]
POOLS: list[nn.Module] = [
    *(nn.AvgPool2d(kernel, stride, padding, ceil_mode=True) for kernel, stride, padding in SETTINGS),
    *(nn.MaxPool2d(kernel, stride, padding, ceil_mode=True) for kernel, stride, padding in SETTINGS),
]


def other(layer: nn.Module) -> nn.Module:
    """Return what stands for the layer."""
    found = decomposed(layer)
    assert found is not layer
    return found


@pytest.mark.parametrize("size", [6, 7, 8, 9])
def test_a_pooling_that_rounds_up_leaves_out_what_begins_behind_the_input(size: int) -> None:
    rows = torch.randn(2, 3, size, size + 1, generator=torch.Generator().manual_seed(size), dtype=torch.float64)
    for pool in POOLS:
        torch.testing.assert_close(decomposed(pool)(rows), pool(rows))


def test_a_pooling_whose_windows_all_begin_in_the_input_stays() -> None:
    pool = nn.MaxPool2d(3, 2, 0, ceil_mode=True)
    assert decomposed(pool) is pool


@pytest.mark.parametrize("bias", [True, False])
def test_a_wide_output_padding_is_what_torch_makes_of_it(bias: bool) -> None:
    options = {"stride": 1, "padding": (0, 3), "output_padding": (2, 1), "dilation": 3, "groups": 2, "bias": bias}
    layer = nn.ConvTranspose2d(4, 6, 3, **options).double()  # type: ignore[arg-type]  # of several types
    rows = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(other(layer)(rows), layer(rows))
    assert list(other(layer).state_dict()) == list(layer.state_dict())


@pytest.mark.parametrize("padding", [(1, -2, -1, 2), (-2, -1, 0, 3)])
def test_a_circular_padding_that_takes_away_is_torchs(padding: tuple[int, int, int, int]) -> None:
    layer, rows = nn.CircularPad2d(padding), torch.randn(2, 3, 7, 8)
    assert torch.equal(other(layer)(rows), layer(rows))
