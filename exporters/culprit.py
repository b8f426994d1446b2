"""The culprit: the layer of a spec that torch cannot export, found by exporting each layer by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from exporters.subject import TRACED_ROWS
from zoo.checked import CheckedSpec
from zoo.graph import layer_module
from zoo.layers.layer import Layer, kind
from zoo.placed import PlacedLayer
from zoo.shapes import Shape, Value

# Any: tensors, or nested tuples of tensors.
Attempt = Callable[[nn.Module, tuple[Any, ...], tuple[Value, ...]], None]
"""Exports a module on these inputs of these shapes."""


@dataclass(frozen=True)
class Culprit:
    """A layer that cannot be exported by itself."""

    placed: PlacedLayer
    error: Exception
    """What torch says."""


def find(checked: CheckedSpec, attempt: Attempt, refusals: tuple[type[Exception], ...]) -> Culprit | None:
    """Return the first layer that cannot be exported by itself; None where each one can."""
    tried: set[tuple[Layer, tuple[Value, ...]]] = set()
    for placed in checked.layers:
        layer = placed.layer.model_copy(update={"id": None, "source": None})
        if (layer, placed.values) in tried:
            continue
        tried.add((layer, placed.values))
        with torch.random.fork_rng(devices=[]):
            module = layer_module(placed.layer, placed.values).eval()
        try:
            attempt(module, tuple(map(_zeros, placed.values)), placed.values)
        except refusals as error:
            return Culprit(placed, error)
    return None


# Any: a tensor, or nested tuples of tensors.
def _zeros(value: Value) -> Any:
    if isinstance(value, Shape):
        return torch.zeros(value.concrete(TRACED_ROWS), dtype=getattr(torch, value.dtype))
    return tuple(map(_zeros, value))


def called(checked: CheckedSpec, placed: PlacedLayer, option: str = "type") -> str:
    """Return where the spec says a layer, and what it is called there."""
    place = checked.source.place((*placed.path, option))
    name = f' "{placed.name}"' if placed.name else ""
    return f"{place}: {kind(placed.layer)}{name}"
