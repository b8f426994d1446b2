"""Rotary positions beside the paper: a turn of complex numbers, of which only the distance is seen."""

import pytest
import torch

from zoo.layers.rotary import Rotary, angles, turned

COUNT, SIZE = 7, 6


def numbers(*sizes: int) -> torch.Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("interleaved", [False, True])
def test_pairs_are_turned_as_complex_numbers(interleaved: bool) -> None:
    x = numbers(2, COUNT, SIZE)
    given = turned(x, angles(Rotary(base=100.0, interleaved=interleaved), COUNT, SIZE), interleaved)
    parts = (slice(0, None, 2), slice(1, None, 2)) if interleaved else (slice(0, 3), slice(3, 6))
    speed = 100.0 ** (-2 * torch.arange(3) / SIZE)
    angle = torch.arange(COUNT).unsqueeze(1) * speed
    expected = torch.complex(x[..., parts[0]], x[..., parts[1]]) * torch.polar(torch.ones_like(angle), angle)
    torch.testing.assert_close(torch.complex(given[..., parts[0]], given[..., parts[1]]), expected)


@pytest.mark.parametrize("interleaved", [False, True])
def test_products_depend_on_the_distance_alone(interleaved: bool) -> None:
    tables = angles(Rotary(interleaved=interleaved), COUNT, SIZE)
    query = turned(numbers(SIZE).expand(COUNT, SIZE), tables, interleaved)
    key = turned(numbers(2, SIZE)[1].expand(COUNT, SIZE), tables, interleaved)
    products = query @ key.T
    torch.testing.assert_close(products[1:, 1:], products[:-1, :-1])


def test_the_first_position_is_not_turned() -> None:
    x = numbers(1, SIZE)
    assert torch.equal(turned(x, angles(Rotary(), 1, SIZE), interleaved=False), x)
