"""Rotary positions beside the paper: a turn of complex numbers, of which only the distance is seen."""

import pytest
import torch

from agreement import batch_of, declared
from holding import Options, refusal
from writing import assert_exports, assert_written, written
from zoo.layers.rotary import Rotary, angles, turned
from zoo.shapes import Shape

COUNT, SIZE = 7, 6


def numbers(*sizes: int) -> torch.Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("interleaved", [False, True])
def test_pairs_are_turned_as_complex_numbers(interleaved: bool) -> None:
    x = numbers(2, COUNT, SIZE)
    given = turned(x, angles(COUNT, SIZE, 100.0, interleaved), interleaved)
    parts = (slice(0, None, 2), slice(1, None, 2)) if interleaved else (slice(0, 3), slice(3, 6))
    speed = 100.0 ** (-2 * torch.arange(3) / SIZE)
    angle = torch.arange(COUNT).unsqueeze(1) * speed
    expected = torch.complex(x[..., parts[0]], x[..., parts[1]]) * torch.polar(torch.ones_like(angle), angle)
    torch.testing.assert_close(torch.complex(given[..., parts[0]], given[..., parts[1]]), expected)


@pytest.mark.parametrize("interleaved", [False, True])
def test_products_depend_on_the_distance_alone(interleaved: bool) -> None:
    tables = angles(COUNT, SIZE, 10000.0, interleaved)
    query = turned(numbers(SIZE).expand(COUNT, SIZE), tables, interleaved)
    key = turned(numbers(2, SIZE)[1].expand(COUNT, SIZE), tables, interleaved)
    products = query @ key.T
    torch.testing.assert_close(products[1:, 1:], products[:-1, :-1])


def test_the_first_position_is_not_turned() -> None:
    x = numbers(1, SIZE)
    assert torch.equal(turned(x, angles(1, SIZE, 10000.0, False), interleaved=False), x)


@pytest.mark.parametrize("shape", [Shape("N", 2, "T", 6, longest=COUNT), Shape("N", COUNT, 6)], ids=str)
@pytest.mark.parametrize("options", [{}, {"interleaved": True, "base": 100.0}, {"num_positions": 9}], ids=str)
def test_the_layer_turns_any_sequence(options: Options, shape: Shape) -> None:
    layer, batch = declared({"type": "RotaryEmbedding", **options}), batch_of(shape, 3, COUNT)
    assert assert_written(layer, shape)
    rotary = Rotary(**options)
    tables = angles(COUNT, SIZE, rotary.base, rotary.interleaved)
    assert torch.equal(written(layer, shape)(batch), turned(batch, tables, bool(options.get("interleaved"))))


def test_traced_and_exported_copies_of_the_layer_take_any_length() -> None:
    assert_exports(declared({"type": "RotaryEmbedding"}), Shape("N", 2, "T", 6, longest=COUNT))


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, Shape("N", 6), "RotaryEmbedding needs sequences (N, …, T, features)"),
        ({}, Shape("N", COUNT, 5), "RotaryEmbedding turns pairs of features, but there are 5"),
        ({}, Shape("N", "T", 6), "RotaryEmbedding needs to know the longest sequence"),
        ({"num_positions": 3}, Shape("N", COUNT, 6), "RotaryEmbedding needs num_positions to be 7 or more"),
    ],
    ids=str,
)
def test_the_layer_says_what_it_needs(options: Options, shape: Shape, message: str) -> None:
    assert refusal({"type": "RotaryEmbedding", **options}, shape)[0] == message
