"""Tables: the Python text of what a model computes once and does not learn, such as sines of positions."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from torch import Tensor

from zoo.eject.constructor import literal
from zoo.errors import ExportError
from zoo.layers.attention import CausalSelfAttention
from zoo.layers.position import PositionalEmbedding, sinusoids
from zoo.layers.rotary import Rotary, angles
from zoo.placed import PlacedLayer

FUNCTIONS: tuple[Callable[..., object], ...] = (sinusoids, angles)
"""Functions of torch alone, whose own text goes into the file."""


def table(value: Tensor, placed: PlacedLayer, target: str) -> str:
    """Return the call that makes a table.

    Raises:
        ExportError: nobody knows how it is made.
    """
    layer, (count, size) = placed.layer, value.shape
    rotary = layer.rotary if isinstance(layer, CausalSelfAttention) else layer
    if isinstance(layer, PositionalEmbedding):
        return f"sinusoids({count}, {size})"
    if isinstance(rotary, Rotary):
        which = 0 if target.endswith("cosines") else 1
        return f"angles({count}, {size}, {literal(rotary.base)}, {rotary.interleaved})[{which}]"
    kind = type(layer).__name__
    raise ExportError(f"{target}: the table of {kind} cannot be written", f"eject a spec without this {kind}")


def tables_in(text: str) -> list[str]:
    """Return the functions that a text calls, without the import that each of them begins with."""
    called = [function for function in FUNCTIONS if f" {function.__name__}(" in text]
    return [inspect.getsource(function).replace("    import torch\n\n", "").strip() for function in called]
