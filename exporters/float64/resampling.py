"""Resize: pixels read between pixels, axis by axis. Source: https://onnx.ai/onnx/operators/onnx__Resize.html."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from exporters.float64.node import Node, whole


def resize(
    node: Node,
    x: Tensor,
    region: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    """Return the tensor with some axes made longer or shorter."""
    if node.text("keep_aspect_ratio_policy", "stretch") != "stretch" or node.count("exclude_outside", 0):
        raise node.refuse("keep_aspect_ratio_policy and exclude_outside")
    if node.count("antialias", 0):
        raise node.refuse("antialias")
    axes = node.get("axes") or list(range(x.dim()))
    wanted = whole(sizes) if sizes is not None and sizes.numel() else None
    given = None if scales is None or not scales.numel() else scales.tolist()
    for index, axis in enumerate(axes):
        size = x.shape[axis]
        length = wanted[index] if wanted is not None else math.floor(size * (given or [1.0])[index])
        scale = given[index] if given is not None else length / size
        if length != size or scale != 1:
            x = (x.movedim(axis, -1) @ _weights(node, size, length, scale).T).movedim(-1, axis)
    return x


def _weights(node: Node, size: int, length: int, scale: float) -> Tensor:
    """Return how much each entry of an axis counts in each entry of the resized one, (length, size)."""
    place = _places(node, size, length, scale)
    mode = node.text("mode", "nearest")
    weights = torch.zeros(length, size, dtype=torch.float64)
    rows = torch.arange(length)
    if mode == "nearest":
        weights[rows, _nearest(node.text("nearest_mode", "round_prefer_floor"), place).long().clamp(0, size - 1)] = 1
        return weights
    reach = 1 if mode == "linear" else 2
    base = place.floor()
    for offset in range(1 - reach, reach + 1):
        taken = base + offset
        distance = place - taken
        share = _linear(distance) if mode == "linear" else _cubic(distance, node.number("cubic_coeff_a", -0.75))
        weights.index_put_((rows, taken.long().clamp(0, size - 1)), share, accumulate=True)
    return weights


def _places(node: Node, size: int, length: int, scale: float) -> Tensor:
    """Return where each entry of the resized axis lies on the given one."""
    index = torch.arange(length, dtype=torch.float64)
    mode = node.text("coordinate_transformation_mode", "half_pixel")
    if mode == "align_corners":
        exact = scale * size  # not a whole number where scales are given
        return index * (size - 1) / (exact - 1) if length > 1 else index * 0
    if mode == "asymmetric":
        return index / scale
    if mode == "pytorch_half_pixel" and length == 1:
        return index * 0
    if mode in ("half_pixel", "pytorch_half_pixel"):
        return (index + 0.5) / scale - 0.5
    raise node.refuse(f"coordinate_transformation_mode {mode}")


def _nearest(mode: str, place: Tensor) -> Tensor:
    rounds: dict[str, Callable[[Tensor], Tensor]] = {
        "floor": torch.floor,
        "ceil": torch.ceil,
        "round_prefer_floor": lambda at: torch.ceil(at - 0.5),
        "round_prefer_ceil": lambda at: torch.floor(at + 0.5),
    }
    return rounds[mode](place)


def _linear(distance: Tensor) -> Tensor:
    return (1 - distance.abs()).clamp(min=0)


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Return Keys' kernel of 1981."""
    x = distance.abs()
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))
