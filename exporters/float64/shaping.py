"""Operators that move numbers and compute none. Source: https://onnx.ai/onnx/operators/."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from exporters.float64.node import Node, Operator, axes_of, whole


def constant(node: Node) -> Tensor:
    """Return the tensor that a node holds."""
    for name in ("value_float", "value_floats"):
        if node.get(name) is not None:
            return torch.tensor(node.get(name), dtype=torch.float64)
    for name in ("value_int", "value_ints"):
        if node.get(name) is not None:
            return torch.tensor(node.get(name), dtype=torch.int64)
    return loaded(numpy_helper.to_array(node.get("value")))


# Any: numpy's arrays carry their dtype at run time.
def loaded(array: object) -> Tensor:
    """Return an array as a tensor of its own memory; floats as float64."""
    tensor = torch.tensor(array)
    return tensor.double() if tensor.is_floating_point() else tensor


def constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    """Return a tensor of one number everywhere."""
    value = node.get("value")
    filled = torch.zeros(1, dtype=torch.float64) if value is None else loaded(numpy_helper.to_array(value))
    return filled.expand(whole(shape) or []).clone() if shape.numel() else filled[0]


def shape_of(node: Node, x: Tensor) -> Tensor:
    """Return the sizes, or some of them."""
    start, end = node.count("start", 0), node.get("end")
    return torch.tensor(list(x.shape)[start:end], dtype=torch.int64)


def reshape(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    """Return the numbers in another shape; 0 keeps a size."""
    sizes = whole(shape) or []
    if not node.count("allowzero", 0):
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def flatten(node: Node, x: Tensor) -> Tensor:
    """Return two axes: those before `axis`, and the others."""
    axis = node.count("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(prod(x.shape[:axis]), -1)


def squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Return the tensor without axes of size 1."""
    chosen = axes_of(node, axes)
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def unsqueeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Return the tensor with axes of size 1 put in."""
    chosen = axes_of(node, axes) or []
    dims = x.dim() + len(chosen)
    for axis in sorted(axis % dims for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def transpose(node: Node, x: Tensor) -> Tensor:
    """Return the axes in another order; reversed where none is written."""
    return x.permute(node.get("perm", list(range(x.dim()))[::-1]))


def expand(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    """Return the tensor repeated as broadcasting does."""
    sizes = whole(shape) or []
    dims = max(x.dim(), len(sizes))
    mine = [1] * (dims - x.dim()) + list(x.shape)
    asked = [1] * (dims - len(sizes)) + sizes
    return x.expand([mine[axis] if size == 1 else size for axis, size in enumerate(asked)])


def tile(node: Node, x: Tensor, repeats: Tensor) -> Tensor:
    """Return the tensor put beside itself."""
    return x.repeat(whole(repeats) or [])


def cut(
    node: Node, x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    """Return a part of the tensor; steps may be negative."""
    first, last = whole(starts) or [], whole(ends) or []
    chosen = whole(axes) if axes is not None else list(range(len(first)))
    strides = whole(steps) if steps is not None else [1] * len(first)
    for start, end, axis, step in zip(first, last, chosen or [], strides or [], strict=True):
        size = x.shape[axis]
        stop = None if step < 0 and end < -size else end
        picked = range(size)[slice(start, stop, step)]
        x = x.index_select(axis, torch.tensor(list(picked), dtype=torch.int64))
    return x


def split(node: Node, x: Tensor, sizes: Tensor | None = None) -> Sequence[Tensor]:
    """Return parts along an axis."""
    axis = node.count("axis", 0)
    if sizes is not None:
        return torch.split(x, whole(sizes) or [], axis)
    count = node.get("num_outputs", node.outputs)
    return torch.split(x, -(-x.shape[axis] // count), axis)


def gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    """Return entries along an axis, for indices of any shape."""
    axis = node.count("axis", 0) % x.dim()
    flat = indices.flatten().long()
    picked = x.index_select(axis, torch.where(flat < 0, flat + x.shape[axis], flat))
    return picked.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def gather_elements(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    """Return entries along an axis, one index for each."""
    axis = node.count("axis", 0)
    return x.gather(axis, torch.where(indices < 0, indices + x.shape[axis], indices))


def gather_nd(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    """Return entries at coordinates, which stand on the last axis of the indices."""
    if node.count("batch_dims", 0):
        raise node.refuse("batch_dims")
    result: Tensor = x[tuple(indices.movedim(-1, 0))]
    return result


def scatter_elements(node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Return the tensor with entries along an axis replaced, or combined with others."""
    axis, how = node.count("axis", 0), node.text("reduction", "none")
    indices = torch.where(indices < 0, indices + x.shape[axis], indices)
    if how == "none":
        return x.scatter(axis, indices, updates)
    named = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
    return x.scatter_reduce(axis, indices, updates, named[how])


def scatter_nd(node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Return the tensor with entries at coordinates replaced, or added to."""
    how = node.text("reduction", "none")
    if how not in ("none", "add"):
        raise node.refuse(f"reduction {how}")
    return x.index_put(tuple(indices.movedim(-1, 0)), updates, accumulate=how == "add")


def pad(node: Node, x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None) -> Tensor:
    """Return the tensor with numbers put around it, or cut where a pad is negative."""
    numbers = whole(pads) or []
    chosen = whole(axes) or list(range(x.dim()))
    before, after = [0] * x.dim(), [0] * x.dim()
    for index, axis in enumerate(chosen):
        before[axis], after[axis] = numbers[index], numbers[index + len(chosen)]
    mode = node.text("mode", "constant")
    if mode == "constant":
        sides = [side for axis in reversed(range(x.dim())) for side in (before[axis], after[axis])]
        return functional.pad(x, sides, value=0 if value is None else value.item())
    for axis in range(x.dim()):
        x = x.index_select(axis, _outside(mode, x.shape[axis], before[axis], after[axis]))
    return x


def _outside(mode: str, size: int, before: int, after: int) -> Tensor:
    """Return which entries of an axis stand in the padded one."""
    place = torch.arange(-before, size + after)
    if mode == "edge":
        return place.clamp(0, size - 1)
    if mode == "wrap":
        return place % size
    period = max(1, 2 * (size - 1))
    place = place.abs() % period
    return torch.where(place < size, place, period - place)


def one_hot(node: Node, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    """Return off and on values on a new axis."""
    count, axis = int(depth), node.count("axis", -1)
    indices = torch.where(indices < 0, indices + count, indices)
    hot = (indices.unsqueeze(-1) == torch.arange(count)).movedim(-1, axis)
    return torch.where(hot, values[1], values[0])


def triangle(node: Node, x: Tensor, diagonal: Tensor | None = None) -> Tensor:
    """Return the upper or lower triangle."""
    k = 0 if diagonal is None else int(diagonal)
    return x.triu(k) if node.count("upper", 1) else x.tril(k)


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    """Return channels laid out as pixels."""
    size, (n, c, h, w) = node.get("blocksize"), x.shape
    if node.text("mode", "DCR") == "CRD":
        parts = x.reshape(n, c // size**2, size, size, h, w).permute(0, 1, 4, 2, 5, 3)
    else:
        parts = x.reshape(n, size, size, c // size**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(n, c // size**2, h * size, w * size)


def space_to_depth(node: Node, x: Tensor) -> Tensor:
    """Return pixels laid out as channels."""
    size, (n, c, h, w) = node.get("blocksize"), x.shape
    parts = x.reshape(n, c, h // size, size, w // size, size).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * size**2, h // size, w // size)


def columns_to_image(node: Node, x: Tensor, image: Tensor, block: Tensor) -> Tensor:
    """Return overlapping blocks added up."""
    pads = node.get("pads", [0, 0, 0, 0])
    if len(pads) != 4 or pads[:2] != pads[2:]:
        raise node.refuse("blocks of other than two axes, or uneven pads")
    return functional.fold(
        x,
        tuple(whole(image) or []),
        tuple(whole(block) or []),
        dilation=node.get("dilations", [1, 1]),
        padding=pads[:2],
        stride=node.get("strides", [1, 1]),
    )


def numbers(node: Node, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Return a range."""
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def eye_like(node: Node, x: Tensor) -> Tensor:
    """Return ones on a diagonal."""
    return torch.ones_like(x).triu(node.count("k", 0)).tril(node.count("k", 0))


OPERATORS: dict[str, Operator] = {
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Shape": shape_of,
    "Size": lambda node, x: torch.tensor(x.numel(), dtype=torch.int64),
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Expand": expand,
    "Tile": tile,
    "Slice": cut,
    "Split": split,
    "Concat": lambda node, *xs: torch.cat(xs, node.get("axis")),
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Pad": pad,
    "OneHot": one_hot,
    "Trilu": triangle,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Col2Im": columns_to_image,
    "Range": numbers,
    "EyeLike": eye_like,
    "NonZero": lambda node, x: x.nonzero().T,
}
"""By type."""
