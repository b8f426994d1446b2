"""What the layers on sequences share: rows (length, features), and a second sequence that they look into."""

from __future__ import annotations

from typing import Annotated, Any

from zoo.errors import ShapeError
from zoo.layers.layer import Layer, agreed, features, kind
from zoo.shapes import Shape, Value
from zoo.strict import Field

Depth = Annotated[int, Field(ge=1, le=1000)]
"""How many equal layers stand in one; far beyond what anyone trains, and few enough to write out."""

MOST_HEADS = 4096  # a remedy looks no further


def width(layer: Layer, shape: Shape, option: str, written: int | None) -> int:
    """Return the features of each step of a sequence.

    Raises:
        ShapeError: `shape` is not (N, length, features) of floats, or `option` says another size.
    """
    if shape.rank != 3:
        raise ShapeError(
            f"{kind(layer)} needs sequences (N, length, features)", "bring the rows into that form above it"
        )
    return agreed(layer, option, written, features(layer, shape), "features")


def steps(shape: Shape) -> int:
    """Return the length of a sequence: the longest where any is allowed, 1 where none is known."""
    length = shape.dims[1]
    return length if isinstance(length, int) else shape.longest or 1


def attention_cost(length: int, seen: int, size: int, keys_and_values: int, added: int = 0) -> int:
    """Return the multiply-adds of one attention: its four projections, and the two products.

    Args:
        length: steps that attend.
        seen: steps that are attended to.
        size: features of each step that attends, and of what comes out.
        keys_and_values: features of each step that is attended to, once as a key and once as a value.
        added: keys that are put behind the others, which no projection gives.
    """
    return size * (2 * length * size + seen * keys_and_values + 2 * length * (seen + added))


def divided(layer: Layer, option: str, heads: int, size: int) -> int:
    """Return the size of one head.

    Raises:
        ShapeError: the heads do not share `size` evenly.
    """
    if size % heads:
        fitting = (count for count in range(1, min(size, MOST_HEADS) + 1) if size % count == 0)
        nearest = min(fitting, key=lambda count: (abs(count - heads), count))
        raise ShapeError(f"{kind(layer)} needs {option} to divide the {size} features", f"write {nearest}", option)
    return size // heads


def sequence(layer: Layer, value: Value) -> Shape:
    """Return the shape of the sequence that a layer looks into.

    Raises:
        ShapeError: it is several tensors, or not (N, length, features) of floats.
    """
    if not isinstance(value, Shape):
        message, remedy = f"{kind(layer)} needs one tensor as memory", 'choose one: {"type": "Select", "index": 0}'
        raise ShapeError(message, remedy, "memory")
    if value.rank != 3 or not value.batched or value.dtype != "float32":
        message = f"{kind(layer)} needs sequences (N, length, features) as memory"
        raise ShapeError(message, "name a layer that gives them", "memory")
    return value


def causal_mask(x: Any) -> Any:
    """Return the proxy of a mask (length, length) that is true where a step would see a later one."""
    # Any: torch.fx has proxies in the places of tensors.
    import torch

    return x.new_ones((x.size(1), x.size(1)), dtype=torch.bool).triu(1)
