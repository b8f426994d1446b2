"""What every layer owes: its shape rule, its parameters and its module say the same as torch."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoo.errors import ShapeError, UsageError
from zoo.graph import layer_module
from zoo.layers import LAYERS, Layer
from zoo.layers.layer import kind
from zoo.layers.namesake import Namesake
from zoo.shapes import Shape, Value

LENGTH = 5  # the size that "T" takes
REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError)
"""How torch refuses."""


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


# Any: a tensor, or nested tuples of tensors.
def given(value: Value, rows: int, length: int = LENGTH) -> Any:
    """Return random numbers of this shape, or of these shapes."""
    if isinstance(value, Shape):
        return batch_of(value, rows, length)
    return tuple(given(part, rows, length) for part in value)


def lacking(layer: Layer) -> dict[str, bool]:
    """Return the options that torch's class of the same name gets in a later torch, and whether they have a say."""
    if not (isinstance(layer, Namesake) and hasattr(nn, kind(layer))):
        return {}
    known = inspect.signature(getattr(nn, kind(layer))).parameters
    fields = type(layer).model_fields
    return {name: value != fields[name].default for name, value in layer._options().items() if name not in known}


def assert_too_new(layer: Layer, value: Value) -> None:
    """Hold that a layer is not built whose options have a say that the installed torch lacks."""
    with pytest.raises(UsageError) as refused:
        layer_module(layer, (value,))
    messages = {f"{kind(layer)} has no {option} in the installed torch" for option in lacking(layer)}
    assert refused.value.message in messages


def ruled(layer: Layer, value: Value) -> Value | None:
    """Return what the shape rule gives; None where it refuses."""
    try:
        return layer.infer((value,))
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


def assert_agrees(layer: Layer, value: Value) -> bool:
    """Hold a layer against torch where its rule accepts the value; return whether it does.

    Its rule's answer is the module's real output, in training and in evaluation, at several batches and lengths; it
    trains on its smallest training batch and evaluates one row; the parameters it declares are the module's own.
    """
    result = ruled(layer, value)
    if result is None:
        return False
    module = layer_module(layer, (value,))
    if not layer.functional and hasattr(nn, kind(layer)):
        assert isinstance(module, getattr(nn, kind(layer)))
    shape = value if isinstance(value, Shape) else Shape("N")
    fewest = layer.smallest_training_batch(shape)
    for rows, mode in ((max(2, fewest), True), (max(3, fewest), True), (fewest, True), (1, False), (3, False)):
        for length in (LENGTH, LENGTH + 2) if "T" in str(value) else (LENGTH,):
            output = module.train(mode)(given(value, rows, length))
            assert sizes_of(output) == expected(result, rows, length), (layer, value)
    learned = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    assert list(layer.parameter_shapes(shape).items()) == list(learned.items()), (layer, value)
    return True


def torch_refuses(module: nn.Module, shape: Shape) -> bool:
    """Return whether torch raises or warns on a batch of this shape, in training or in evaluation, or on one row."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for rows, mode in ((3, True), (3, False), (1, False)):
                module.train(mode)(batch_of(shape, rows))
    except (*REFUSALS, Warning):
        return True
    return False
