"""Rounding: a module whose numbers have fewer digits, to know what that costs before any file is judged."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from exporters.reduced import Precision

Rounding = Callable[[Tensor], Tensor]


def rounded(module: nn.Module, precision: Precision) -> nn.Module:
    """Return a copy that rounds its weights, its input and the answer of each of its layers."""
    changed = copy.deepcopy(module)
    weights, answers = (_half, _half) if precision == "fp16" else (_integer_weights, _integers)
    with torch.no_grad():
        for tensor in changed.state_dict(keep_vars=True).values():
            if tensor.is_floating_point():
                tensor.data = weights(tensor.data)
    changed.register_forward_pre_hook(lambda module, given: tuple(_each(answers, part) for part in given))
    for part in changed.modules():
        if not any(part.children()):
            part.register_forward_hook(lambda module, given, answer: _each(answers, answer))
    return changed


# Any: a layer may give nested tuples.
def _each(rounding: Rounding, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_each(rounding, part) for part in value)
    return rounding(value) if isinstance(value, Tensor) and value.is_floating_point() else value


def _half(tensor: Tensor) -> Tensor:
    return tensor.half().to(tensor.dtype)


def _integers(tensor: Tensor) -> Tensor:
    """Return the tensor on a grid of 255 steps that its largest number spans."""
    return _on_grid(tensor, tensor.abs().amax() if tensor.numel() else torch.ones(()))


def _integer_weights(tensor: Tensor) -> Tensor:
    """Return a weight with a grid for each channel; vectors, such as biases, keep their digits."""
    if tensor.dim() < 2:
        return tensor
    return _on_grid(tensor, tensor.abs().amax(tuple(range(1, tensor.dim())), keepdim=True))


def _on_grid(tensor: Tensor, largest: Tensor) -> Tensor:
    step = (largest / 127).clamp(min=torch.finfo(tensor.dtype).tiny)
    return torch.round(tensor / step) * step
