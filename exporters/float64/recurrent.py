"""RNN, LSTM and GRU, step by step. Source: https://onnx.ai/onnx/operators/onnx__LSTM.html and its siblings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from exporters.float64.node import Node, Operator

Functions = Sequence[Callable[[Tensor], Tensor]]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"Tanh": torch.tanh, "Sigmoid": torch.sigmoid, "Relu": torch.relu}
DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


def recur(
    node: Node,
    x: Tensor,
    weight: Tensor,
    recurrence: Tensor,
    *others: Tensor | None,
) -> Sequence[Tensor]:
    """Return all states (T, directions, N, hidden), the last ones, and the last cells of an LSTM.

    Args:
        node: an RNN, a GRU or an LSTM.
        x: (T, N, features).
        weight: (directions, gates · hidden, features).
        recurrence: (directions, gates · hidden, hidden).
        others: as far as they are there: bias, lengths, first states, first cells, peepholes.
    """
    bias, lengths, hidden, cell, peepholes = (*others, *[None] * 5)[:5]
    if peepholes is not None or node.get("clip") is not None or node.count("layout", 0):
        raise node.refuse("peepholes, clip and layout")
    if lengths is not None and (lengths != x.shape[0]).any():
        raise node.refuse("rows of different lengths")
    directions, size = len(weight), node.get("hidden_size")
    names = node.get("activations")
    chosen = [name.decode() for name in names] if names else DEFAULTS[node.operator] * directions
    if any(name not in ACTIVATIONS for name in chosen):
        raise node.refuse(f"the activations {chosen}")
    each = len(chosen) // directions
    zeros = torch.zeros(directions, x.shape[1], size, dtype=x.dtype)
    begin, begin_cell = (zeros if state is None else state for state in (hidden, cell))
    biases = torch.zeros(directions, 2 * weight.shape[1], dtype=x.dtype) if bias is None else bias
    states, last, cells = [], [], []
    for index in range(directions):
        backwards = node.text("direction", "forward") == "reverse" or index == 1
        steps = x.flip(0) if backwards else x
        tensors = (weight[index], recurrence[index], *biases[index].chunk(2))
        functions = [ACTIVATIONS[name] for name in chosen[index * each : (index + 1) * each]]
        h, c, seen = begin[index], begin_cell[index], []
        for step in steps:
            h, c = _STEP[node.operator](node, step, h, c, tensors, functions)
            seen.append(h)
        states.append(torch.stack(seen[::-1] if backwards else seen))
        last.append(h)
        cells.append(c)
    return torch.stack(states, 1), torch.stack(last), torch.stack(cells)


def _simple(
    node: Node, x: Tensor, h: Tensor, c: Tensor, tensors: tuple[Tensor, ...], f: Functions
) -> tuple[Tensor, Tensor]:
    weight, recurrence, wb, rb = tensors
    return f[0](x @ weight.T + h @ recurrence.T + wb + rb), c


def _gated(
    node: Node, x: Tensor, h: Tensor, c: Tensor, tensors: tuple[Tensor, ...], f: Functions
) -> tuple[Tensor, Tensor]:
    weight, recurrence, wb, rb = tensors
    zx, rx, nx = (x @ weight.T + wb).chunk(3, -1)
    if node.count("linear_before_reset", 0):
        zh, rh, nh = (h @ recurrence.T + rb).chunk(3, -1)
        z, r = f[0](zx + zh), f[0](rx + rh)
        new = f[1](nx + r * nh)
    else:
        wz, wr, wn = recurrence.chunk(3)
        bz, br, bn = rb.chunk(3)
        z, r = f[0](zx + h @ wz.T + bz), f[0](rx + h @ wr.T + br)
        new = f[1](nx + (r * h) @ wn.T + bn)
    return (1 - z) * new + z * h, c


def _long(
    node: Node, x: Tensor, h: Tensor, c: Tensor, tensors: tuple[Tensor, ...], f: Functions
) -> tuple[Tensor, Tensor]:
    weight, recurrence, wb, rb = tensors
    i, o, forget, new = (x @ weight.T + h @ recurrence.T + wb + rb).chunk(4, -1)
    c = f[0](forget) * c + f[0](i) * f[1](new)
    return f[0](o) * f[2](c), c


_STEP = {"RNN": _simple, "GRU": _gated, "LSTM": _long}

OPERATORS: dict[str, Operator] = dict.fromkeys(_STEP, recur)
"""By type."""
