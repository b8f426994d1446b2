"""Doubling: a module that computes in float64 for a while, without a second copy of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from zoo.economy import trim_heap


@contextmanager
def doubled(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the module with all its numbers in float64; at the end they are what they were, bit for bit.

    Every float32 is a float64 too, and so comes back. A copy in float64 beside the module is three times its size, and
    this is two: one tensor is changed after the other. A layer whose eps is that of its numbers keeps the one it had.
    """
    tensors = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    before = [(tensor, tensor.dtype) for tensor in tensors.values() if tensor.is_floating_point()]
    held = sum(tensor.nbytes for tensor, _ in before)
    trim_heap(held)  # what answers in float32 have left
    relative = [part for part in module.modules() if isinstance(part, nn.RMSNorm) and part.eps is None]
    try:
        for part in relative:
            part.eps = torch.finfo(torch.float32).eps
        for tensor, _ in before:
            tensor.data = tensor.data.double()
        trim_heap(held)  # what was smaller lies in pieces between what is larger
        module.double()  # changes no tensor any more, but tells the layers that know their precision themselves
        yield module
    finally:
        for part in relative:
            part.eps = None
        trim_heap(held)  # and likewise those in float64
        for tensor, dtype in before:
            tensor.data = tensor.data.to(dtype)
        trim_heap(held)
        module._apply(lambda tensor: tensor if id(tensor) in tensors else tensor.float())  # type: ignore[no-untyped-call]  # torch


def as_double(rows: torch.Tensor) -> torch.Tensor:
    """Return a copy of rows for a module in float64, which may overwrite it; whole numbers stay whole."""
    return rows.to(torch.float64 if rows.is_floating_point() else rows.dtype, copy=True)
