from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters import conditioning, golden
from exporters.doubling import doubled
from exporters.summing import LANES, LAST_BIT


class Lost(nn.Module):
    """What is left of a number beside a million of it: float32 knows it to some percent only."""

    def __init__(self) -> None:
        super().__init__()
        self.large = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.large.weight, 1e6)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.large(x)
        return found - 1e6 * x


class Mean(nn.Module):
    """The mean of each row, as a network takes it of an image in its end."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(-1, keepdim=True)


class Centred(nn.Module):
    """Each row without its mean."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(-1, keepdim=True)


def moves(module: nn.Module, rows: Tensor, size: float) -> list[float]:
    with doubled(module) as double, torch.no_grad():
        return list(conditioning.moves(double, rows, size, lambda given: [double(given).numpy()])[0])


def test_a_layer_moves_by_a_last_bit_of_its_input_and_one_of_its_answer() -> None:
    (moved,) = moves(nn.Identity(), torch.full((1, 50), 3.0), 3.0)

    assert 1.9 < moved / (3 * LAST_BIT) < 2.1


def test_last_bits_of_what_is_computed_on_the_way_count_too() -> None:
    (moved,) = moves(Lost(), torch.ones(1, 1), 0.0)

    assert 0.9 < moved / (1e6 * LAST_BIT) < 1.1


def test_what_is_off_everywhere_in_a_plain_row_is_not_lost_in_its_mean() -> None:
    plain, noisy = moves(Mean(), torch.stack([torch.ones(1024), torch.linspace(0.5, 1.5, 1024)]), 100.0)

    assert plain / LAST_BIT == pytest.approx(100 + 1024 / LANES, abs=2)
    assert noisy < plain / 8


def test_a_pooling_of_equal_numbers_loses_more_than_its_last_bit() -> None:
    plain, edged = torch.ones(1, 1, 112, 112), torch.ones(1, 1, 112, 112)
    edged[..., :40] = torch.linspace(0.0, 0.9, 40)  # 72 of 112 columns are equal, and 90 is the sum of each row

    assert moves(nn.AdaptiveAvgPool2d(1), plain, 0.0) == [pytest.approx(112 * 112 / LANES * LAST_BIT, rel=0.01)]
    assert moves(nn.AvgPool2d(112), edged, 0.0) == [pytest.approx(112 * 72 / LANES * 90 / 112 * LAST_BIT, rel=0.02)]


def test_a_pooling_of_noise_loses_little_and_a_maximum_nothing() -> None:
    noise = torch.rand(1, 1, 112, 112, generator=torch.Generator().manual_seed(1))

    assert moves(nn.AdaptiveAvgPool2d(1), noise, 0.0) == [pytest.approx(112 / LANES**0.5 / 2 * LAST_BIT, rel=0.1)]
    assert moves(nn.AdaptiveMaxPool2d(1), noise, 0.0) == [pytest.approx(LAST_BIT, rel=0.01)]
    assert moves(nn.AdaptiveAvgPool2d(1), noise[..., :5, :5], 0.0)[0] < LAST_BIT


def test_what_is_left_of_a_plain_row_without_its_mean_is_what_its_sums_were_off_by() -> None:
    (moved,) = moves(nn.Sequential(nn.Identity(), Centred()), torch.ones(1, 50), 0.0)

    assert moved > LAST_BIT / 2


def test_nothing_of_it_is_left_in_the_module() -> None:
    layer = nn.Linear(2, 2)
    moves(layer, torch.ones(1, 2), 1.0)

    assert not layer._forward_hooks


def test_of_an_expensive_model_it_is_measured_of_far_probes_alone() -> None:
    layer = nn.Linear(4, 1, bias=False)
    nn.init.ones_(layer.weight)
    (probe,) = golden.make(layer, torch.ones(9, 4), work=golden.WORK).probes
    rows = torch.linspace(0, 1e-3, 36).reshape(9, 4)
    (far,) = golden.make(layer, rows, work=golden.WORK).probes

    assert probe.moves == ()
    ((beside, noise),) = far.moves  # [0, 1] is far from rows below 1e-3 too
    assert min(beside, noise) > 0.0
    assert np.isfinite(probe.moves).all()
