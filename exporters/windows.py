"""Windows: layers whose ceil_mode, output_padding or negative padding are other things in ONNX, or on the way there."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvTransposeNd

_OUTSIDE = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}
"""What leaves an axis as it is."""


class Ceiled(nn.Module):
    """A pooling with ceil_mode; torch leaves out a last window that begins behind the input, and ONNX counts it."""

    def __init__(self, pool: nn.Module) -> None:
        """Take torch's layer."""
        super().__init__()
        self.pool, self.axes = pool, int(type(pool).__name__[-2])
        # Any: torch's sizes are a number or several.
        told: Any = pool
        self.kernel = spread(told.kernel_size, self.axes)
        self.stride = self.kernel if told.stride is None else spread(told.stride, self.axes)
        self.padding = spread(getattr(pool, "padding", 0), self.axes)
        self.dilation = spread(getattr(pool, "dilation", 1), self.axes)

    def forward(self, x: Tensor) -> Any:  # Any: a tensor, or two where indices are asked for
        """Return (N, C, …) pooled."""
        whole = [self._is_whole(axis, x.shape[axis - self.axes]) for axis in range(self.axes)]
        if all(whole):
            return _with(self.pool, ceil_mode=False)(x)
        if not any(whole) or getattr(self.pool, "return_indices", False):
            return self.pool(x)
        for axis, ceil_mode in enumerate(not each for each in whole):
            options = {name: self._along(axis, name) for name in _OUTSIDE if hasattr(self.pool, name)}
            x = _with(self.pool, ceil_mode=ceil_mode, **options)(x)
        return x

    def _along(self, axis: int, name: str) -> tuple[int, ...]:
        """Return an option of one axis, and what leaves the others as they are."""
        own = {"kernel_size": self.kernel, "stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        return tuple(own[name][place] if place == axis else _OUTSIDE[name] for place in range(self.axes))

    def _is_whole(self, axis: int, size: int) -> bool:
        """Return whether ceil_mode says nothing here, the window that it adds being left out."""
        if not self.is_late(axis):
            return False
        stride, padding = self.stride[axis], self.padding[axis]
        last = -(-(size + 2 * padding - self._reach(axis)) // stride)
        return last * stride >= size + padding

    def is_late(self, axis: int) -> bool:
        """Return whether a window may begin behind the input, for some size of it."""
        return self.padding[axis] + self.stride[axis] > self._reach(axis)

    def _reach(self, axis: int) -> int:
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1


def ceiled(part: nn.Module) -> nn.Module | None:
    """Return a pooling that leaves out what torch leaves out; None where that is nothing."""
    if not getattr(part, "ceil_mode", False):
        return None
    found = Ceiled(part)
    return found if any(map(found.is_late, range(found.axes))) else None


class Widened(nn.Module):
    """A transposed convolution whose output_padding is not less than its stride, which onnxruntime refuses."""

    def __init__(self, layer: _ConvTransposeNd) -> None:
        """Take torch's layer, whose tensors stay the same."""
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.stride, self.dilation, self.groups = layer.stride, layer.dilation, layer.groups
        padding = zip(_numbers(layer.padding), layer.output_padding, strict=True)
        self.margins = [side for less, more in reversed([*padding]) for side in (-less, more - less)]

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, …): all that the input reaches, without the margins, or with zeros beside it."""
        convolve = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[x.dim() - 3]
        # Any: the three have sizes of one, two and three numbers.
        options: Any = {"stride": self.stride, "dilation": self.dilation, "groups": self.groups}
        found = functional.pad(convolve(x, self.weight, **options), self.margins)
        return found if self.bias is None else found + self.bias.reshape(-1, *[1] * (x.dim() - 2))


def widened(part: nn.Module) -> nn.Module | None:
    """Return a transposed convolution that onnxruntime takes; None where it takes torch's."""
    assert isinstance(part, _ConvTransposeNd)
    wide = any(more >= stride for more, stride in zip(part.output_padding, part.stride, strict=True) if more)
    return Widened(part) if wide else None


def cut(part: nn.Module) -> nn.Module | None:
    """Return a circular padding that first cuts off what it takes away; None where it takes nothing away."""
    assert isinstance(part, nn.CircularPad1d | nn.CircularPad2d | nn.CircularPad3d)
    sides = _numbers(part.padding)
    if min(sides) >= 0:
        return None
    less, more = tuple(min(side, 0) for side in sides), tuple(max(side, 0) for side in sides)
    plain = {2: nn.ConstantPad1d, 4: nn.ConstantPad2d, 6: nn.ConstantPad3d}[len(sides)]
    return nn.Sequential(plain(less, 0.0), type(part)(more))  # type: ignore[arg-type]  # as many as it had


def spread(given: object, axes: int) -> tuple[int, ...]:
    """Return an option of each axis: torch's is a number or several."""
    return _numbers(given) if isinstance(given, Iterable) else (int(given),) * axes  # type: ignore[call-overload]  # a number


def _numbers(given: Any) -> tuple[int, ...]:  # Any: torch's sizes, of one of several types
    return tuple(map(int, given))


def _with(part: nn.Module, **options: object) -> nn.Module:
    """Return the layer with other options, and the same tensors."""
    other = copy.copy(part)
    for name, value in options.items():
        setattr(other, name, value)
    return other
