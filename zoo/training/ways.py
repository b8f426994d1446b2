"""Ways: other kernels that compute what an operator of a recorded step computes, to the same bits and in less time.

A sum of products is rounded alike by two libraries if both add in the same order. MKL, which multiplies torch's
matrices, adds up to 192 products one after the other, and then the sums of such blocks (measured on AMD's processors,
where it also leaves half of AVX-512 unused); oneDNN adds any number one after the other. So a product that is handed to
oneDNN block by block has MKL's bits. Likewise a convolution or a pooling may be faster with the channels innermost.

Nothing of this is believed: `selection` takes a way only where it proves itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LEAST_PRODUCTS = 2**20  # a smaller matrix product takes about as long as oneDNN's preparations, 10 µs
BLOCK = 192  # products that MKL adds one after the other
CHANNELS_LAST = 2  # c10's number
ATEN = torch.ops.aten

Lines = tuple[str, ...]


# Any: whatever torch's operators take and give.
@dataclass(frozen=True)
class Call:
    """An operator as it was recorded."""

    function: Any
    args: tuple[Any, ...]
    own: tuple[str, ...]
    """What its results are called."""
    given: tuple[str, ...]
    """Its arguments as TorchScript; those that are tensors are names."""
    text: str
    """The operator itself as TorchScript."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that it takes, by their names."""
        pairs = zip(self.given, self.args, strict=True)
        return {name: value for name, value in pairs if isinstance(value, Tensor)}

    @property
    def likeness(self) -> tuple[object, ...]:
        """Return what calls have in common that take equally long."""
        told = (
            (value.shape, value.stride(), value.dtype) if isinstance(value, Tensor) else str(value)
            for value in self.args
        )
        return (self.function, *told)


def ways_of(call: Call) -> Iterator[Lines]:
    """Yield the ways that are known of what a call does, in TorchScript; they give its results their names."""
    tensors = call.tensors.values()
    if call.function in WAYS and all(value.dtype == torch.float32 and dense(value) for value in tensors):
        yield from WAYS[call.function](call)


def dense(tensor: Tensor) -> bool:
    """Return whether the numbers stand without gaps, each once, so that a tensor like this one is laid out alike."""
    return tensor.numel() > 0 and torch.empty_like(tensor).stride() == tensor.stride()


def _matrix_product(call: Call) -> Iterator[Lines]:
    """Yield a product of matrices by oneDNN, in blocks of as many products as MKL adds one after the other."""
    bias = call.given[0] if call.function is ATEN.addmm.default else "None"
    (left, right), (one, other) = call.given[-2:], call.args[-2:]
    if one.numel() * other.shape[1] < LEAST_PRODUCTS or (bias != "None" and call.args[0].dim() != 1):
        return
    cuts = _blocks(len(other))
    (own,) = call.own
    if len(cuts) == 1:
        yield (f"{own} = {linear(left, f'torch.ops.aten.t({right})', bias)}",)
        return
    # oneDNN needs the rows or the columns of a block of the second one after the other.
    copied = ".contiguous()" if other.stride(0) == 1 else ""
    lines, first = [], 0
    for size in cuts:
        place = f"{first}, {first + size}"
        block = f"torch.ops.aten.slice({left}, 1, {place})"
        weight = f"torch.ops.aten.t(torch.ops.aten.slice({right}, 0, {place})){copied}"
        if first == 0:
            lines.append(f"{own} = {linear(block, weight, bias)}")
        else:
            lines.append(f"{own}.add_({linear(block, weight, 'None')})")
        first += size
    yield tuple(lines)


def _blocks(products: int) -> list[int]:
    """Return how many products MKL adds one after the other, block by block."""
    if BLOCK < products <= 2 * BLOCK:
        half = -(-products // 8) * 4
        return [half, products - half]
    return [min(BLOCK, products - first) for first in range(0, products, BLOCK)]


def linear(left: str, weight: str, bias: str, then: str = "none") -> str:
    """Return a product with the transposed weight by oneDNN; `then` is what it does to each number."""
    return f'torch.ops.mkldnn._linear_pointwise({left}, {weight}, {bias}, "{then}", [], "")'


def _pooling(call: Call) -> Iterator[Lines]:
    """Yield a pooling with the channels innermost, and one with the batch there, where channels are few."""
    if call.args[0].dim() != 4:
        return
    taken, *options = call.given
    values, places = call.own
    made = [f"{name}_p" for name in call.own]
    pooled = f"{', '.join(made)} = {_renamed(call, f'{values}_i', *options)}"
    yield (
        f"{values}_i = {_channels_last(taken)}",
        pooled,
        *(f"{name} = torch.ops.aten.contiguous({one})" for name, one in zip((values, places), made, strict=True)),
    )
    yield (
        f"{values}_i = {_channels_last(f'torch.ops.aten.transpose({taken}, 0, 1)')}",
        pooled,
        *(line for name, one in zip((values, places), made, strict=True) for line in _turned_back(name, one)),
    )


def _turned_back(name: str, made: str) -> Lines:
    """Return the lines that lay out (channels, N, height, width) with N innermost anew; matrices are turned fastest."""
    return (
        f"{name}_t = torch.ops.aten.transpose({made}, 0, 1)",
        f"{name} = torch.ops.aten.contiguous(torch.ops.aten.flatten({name}_t, 1)).view(torch.ops.aten.size({name}_t))",
    )


def _convolution(call: Call) -> Iterator[Lines]:
    """Yield a convolution with the channels innermost."""
    (own,) = call.own
    if call.args[0].dim() == 4:
        taken, *rest = call.given
        yield (f"{own} = torch.ops.aten.contiguous({_renamed(call, _channels_last(taken), *rest)})",)


def _convolution_backward(call: Call) -> Iterator[Lines]:
    """Yield the gradients of a convolution: all with the channels innermost, or only those of its weights."""
    gradient, taken, *rest, mask = call.given
    wanted = call.args[-1]
    if call.args[1].dim() != 4:
        return
    last = _channels_last(gradient), _channels_last(taken)
    made = [f"{name}_l" for name in call.own]
    restored = [
        f"{name} = torch.ops.aten.contiguous({other})"
        for name, other, asked in zip(call.own, made, wanted, strict=True)
        if asked
    ]
    yield (f"{', '.join(made)} = {_renamed(call, *last, *rest, mask)}", *restored)
    if wanted[0] and any(wanted[1:]):
        aside = [f"{name}_a" for name in call.own]
        inputs_alone = _renamed(call, gradient, taken, *rest, "[True, False, False]")
        yield (
            f"{', '.join([call.own[0], *aside[1:]])} = {inputs_alone}",
            f"{', '.join(made)} = {_renamed(call, *last, *rest, f'[False, {wanted[1]}, {wanted[2]}]')}",
            *restored[1:],
        )


def _renamed(call: Call, *given: str) -> str:
    """Return the operator with other arguments."""
    return f"{call.text.partition('(')[0]}({', '.join(given)})"


def _channels_last(name: str) -> str:
    return f"torch.ops.aten.contiguous({name}, memory_format={CHANNELS_LAST})"


# Any: torch's operators have no type.
WAYS: dict[Any, Callable[[Call], Iterator[Lines]]] = {
    ATEN.mm.default: _matrix_product,
    ATEN.addmm.default: _matrix_product,
    ATEN.max_pool2d_with_indices.default: _pooling,
    ATEN.convolution.default: _convolution,
    ATEN.convolution_backward.default: _convolution_backward,
}
