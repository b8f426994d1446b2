"""What every layer owes: its shape rule, its parameters and its module say the same as torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ShapeError
from zoo.layers import LAYERS, Layer
from zoo.shapes import Shape, Value

LENGTH = 5  # the size that "T" takes


def declared(document: dict[str, Any]) -> Layer:
    """Return the layer that a JSON value says; lists may stand for tuples."""
    layer = LAYERS.validate(_tuples(document))
    assert isinstance(layer, Layer)
    return layer


def _tuples(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def batch_of(shape: Shape, rows: int, length: int = LENGTH) -> Tensor:
    """Return random numbers of this shape: small whole ones where the dtype is whole."""
    generator = torch.Generator().manual_seed(rows)
    sizes = shape.concrete(rows, length)
    if shape.dtype == "float32":
        return torch.randn(sizes, generator=generator)
    return torch.randint(0, 2, sizes, generator=generator).to(getattr(torch, shape.dtype))


def ruled(layer: Layer, shape: Shape) -> Value | None:
    """Return what the shape rule gives; None where it refuses."""
    try:
        return layer.infer((shape,))
    except ShapeError:
        return None


def sizes_of(given: Any) -> Any:
    """Return sizes and dtypes of a tensor, or of nested tuples of tensors."""
    if isinstance(given, Tensor):
        return tuple(given.shape), str(given.dtype)
    return tuple(sizes_of(part) for part in given)


def expected(value: Value, rows: int, length: int = LENGTH) -> Any:
    """Return what `sizes_of` says of a real tensor of this shape."""
    if isinstance(value, Shape):
        return value.concrete(rows, length), f"torch.{value.dtype}"
    return tuple(expected(part, rows, length) for part in value)


def assert_agrees(layer: Layer, shape: Shape) -> bool:
    """Hold a layer against torch where its rule accepts the shape; return whether it does.

    Its rule's answer is the module's real output, in training and in evaluation, at several batches and lengths; it
    trains on its smallest training batch and evaluates one row; the parameters it declares are the module's own.
    """
    value = ruled(layer, shape)
    if value is None:
        return False
    module = layer.build(shape)
    fewest = layer.smallest_training_batch(shape)
    for rows, mode in ((2, True), (3, True), (fewest, True), (1, False), (3, False)):
        for length in (LENGTH, LENGTH + 2) if "T" in shape.dims else (LENGTH,):
            given = module.train(mode)(batch_of(shape, max(rows, fewest) if mode else rows, length))
            assert sizes_of(given) == expected(value, max(rows, fewest) if mode else rows, length), (layer, shape)
    learned = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    assert list(layer.parameter_shapes(shape).items()) == list(learned.items()), (layer, shape)
    return True


def torch_refuses(module: nn.Module, shape: Shape) -> bool:
    """Return whether torch raises on a batch of this shape, in training or in evaluation."""
    try:
        for mode in (True, False):
            module.train(mode)(batch_of(shape, 3))
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError):
        return True
    return False
