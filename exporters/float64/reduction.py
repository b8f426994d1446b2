"""Operators that make few numbers of many, and those that order them. Source: https://onnx.ai/onnx/operators/."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from exporters.float64.node import Node, Operator, axes_of


def _reducing(reduce: Callable[[Tensor, list[int], bool], Tensor]) -> Operator:
    """Return an operator that reduces some axes, or all."""

    def operator(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen, keep = axes_of(node, axes), bool(node.count("keepdims", 1))
        if node.count("noop_with_empty_axes", 0) and not chosen:
            return x
        return reduce(x, chosen or list(range(x.dim())), keep) if x.dim() else x

    return operator


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keep)
    return x


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return x.sum(axes, keep, dtype=x.dtype)


def softmax(node: Node, x: Tensor) -> Tensor:
    """Return exp(x) over its sum along an axis."""
    return x.softmax(node.count("axis", -1))


def extreme(node: Node, x: Tensor, largest: bool) -> Tensor:
    """Return where the largest or smallest number of an axis stands, the first or the last one."""
    axis = node.count("axis", 0)
    wanted = x.amax(axis, keepdim=True) if largest else x.amin(axis, keepdim=True)
    hits = (x == wanted).to(torch.int8)
    if node.count("select_last_index", 0):
        found = x.shape[axis] - 1 - hits.flip(axis).argmax(axis, keepdim=True)
    else:
        found = hits.argmax(axis, keepdim=True)
    return found if node.count("keepdims", 1) else found.squeeze(axis)


def largest(node: Node, x: Tensor, k: Tensor) -> Sequence[Tensor]:
    """Return the k largest or smallest numbers of an axis, and where they stand; of equal ones the first."""
    axis, descending = node.count("axis", -1), bool(node.count("largest", 1))
    values, places = x.sort(dim=axis, descending=descending, stable=True)
    return values.narrow(axis, 0, int(k)), places.narrow(axis, 0, int(k))


def running_sum(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    """Return the sums of an axis up to each place."""
    if node.count("exclusive", 0):
        raise node.refuse("exclusive")
    along = int(axis)
    return x.flip(along).cumsum(along).flip(along) if node.count("reverse", 0) else x.cumsum(along)


def length(node: Node, x: Tensor) -> Tensor:
    """Return vectors along an axis divided by their norm."""
    norm: Tensor = torch.linalg.vector_norm(x, node.count("p", 2), node.count("axis", -1), keepdim=True)
    return x / norm


OPERATORS: dict[str, Operator] = {
    "ReduceSum": _reducing(_sum),
    "ReduceMean": _reducing(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMax": _reducing(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMin": _reducing(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceProd": _reducing(_product),
    "ReduceL1": _reducing(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": _reducing(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceSumSquare": _reducing(lambda x, axes, keep: x.square().sum(axes, keep)),
    "ReduceLogSum": _reducing(lambda x, axes, keep: x.sum(axes, keep).log()),
    "ReduceLogSumExp": _reducing(lambda x, axes, keep: x.logsumexp(axes, keep)),
    "Softmax": softmax,
    "LogSoftmax": lambda node, x: x.log_softmax(node.count("axis", -1)),
    "ArgMax": lambda node, x: extreme(node, x, True),
    "ArgMin": lambda node, x: extreme(node, x, False),
    "TopK": largest,
    "CumSum": running_sum,
    "LpNormalization": length,
}
"""By type."""
