"""Axes: which axes of a model's inputs may have any size, as torch's exporters are told."""

from __future__ import annotations

from typing import Any

import torch

from zoo.shapes import Shape, Value

AXES: dict[str, str | int] = {"N": "batch", "T": "sequence"}  # names of the symbolic axes in the file


# Any: as torch.export wants it, a tuple for a tuple.
def free_axes(value: Value) -> Any:
    """Return the axes that may have any size, of each tensor."""
    if not isinstance(value, Shape):
        return tuple(map(free_axes, value))
    free = [(axis, name) for axis, name in enumerate(sizes(value)) if isinstance(name, str)]
    most = {"sequence": value.longest}
    return {axis: torch.export.Dim(name, min=1, max=most.get(name)) for axis, name in free}


def sizes(shape: Shape) -> list[str | int]:
    """Return the axes as the file declares them; a sequence that is never longer than 1 has one size."""
    names = AXES if shape.longest != 1 else AXES | {"T": 1}
    return [names[size] if isinstance(size, str) else size for size in shape.dims]
