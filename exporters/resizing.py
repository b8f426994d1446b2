"""Resizing by a factor that is no whole number, from torch's own places and weights for the size at hand.

Of "nearest", and with align_corners, torch's exporter names other places; of the rest, ONNX keeps the factor in
float32, and the places are off by its last bits. Source: aten/src/ATen/native/UpSample.h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import floor

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

CUBIC = -0.75  # torch's coefficient of cubic convolution
Taps = list[tuple[list[int], list[float]]]
"""Which numbers of an axis the new ones are made of, and what each counts."""


class Upsampled(nn.Module):
    """An upsampling, one axis after the other."""

    def __init__(self, layer: nn.Upsample) -> None:
        """Take torch's layer."""
        super().__init__()
        self.factors, self.mode, self.align_corners = _factors(layer), layer.mode, layer.align_corners
        self.by_sizes = bool(layer.recompute_scale_factor or layer.align_corners)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, …) with floor(size * factor) along each axis."""
        sizes = x.shape[2:]
        factors = self.factors if len(self.factors) > 1 else self.factors * len(sizes)
        wanted = [floor(size * factor) for size, factor in zip(sizes, factors, strict=True)]
        if self.by_sizes:
            return functional.interpolate(x, wanted, mode=self.mode, align_corners=self.align_corners)
        for axis, (size, factor, count) in enumerate(zip(sizes, factors, wanted, strict=True), start=2):
            behind = [1] * (x.dim() - axis - 1)
            parts = [
                x.index_select(axis, torch.tensor(places)) * torch.tensor(weights, dtype=x.dtype).reshape(-1, *behind)
                for places, weights in _TAPS[self.mode](int(size), count, factor)
            ]
            x = torch.stack(parts).sum(0)
        return x


class Stretched(nn.Module):
    """An upsampling of one axis, as that of an image of one row: of a line, torch's exporter names places in float32.

    Its weights are then off by 1e-7 of the length, a Resize is not.
    """

    def __init__(self, layer: nn.Upsample) -> None:
        """Take torch's layer, of mode "linear"."""
        super().__init__()
        self.size = layer.size[0] if isinstance(layer.size, tuple) else layer.size
        self.factors, self.align_corners = _factors(layer), layer.align_corners

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, L), of the size asked for, or floor(L * factor)."""
        count = floor(x.shape[2] * self.factors[0]) if self.size is None else self.size
        row = functional.interpolate(x.unsqueeze(2), (1, count), mode="bilinear", align_corners=self.align_corners)
        return row.squeeze(2)


def upsampled(part: nn.Module) -> nn.Module | None:
    """Return an upsampling that names its places or its sizes; None where ONNX has it as it is."""
    assert isinstance(part, nn.Upsample)
    whole = all(factor.is_integer() for factor in _factors(part))
    if part.mode == "linear" and (whole or part.recompute_scale_factor or part.align_corners):
        return Stretched(part)
    if whole:
        return None
    return Upsampled(part) if part.recompute_scale_factor or part.align_corners or part.mode in _TAPS else None


def _factors(layer: nn.Upsample) -> tuple[float, ...]:
    """Return the factor of each axis, or one of all; nothing where sizes are asked for."""
    given = layer.scale_factor
    return () if given is None else tuple(map(float, given)) if isinstance(given, Iterable) else (float(given),)


def _nearest(size: int, count: int, factor: float) -> Taps:
    scale = np.float32(1.0 / factor)  # torch's own type, for inputs of any
    return [([min(floor(np.float32(place) * scale), size - 1) for place in range(count)], [1.0] * count)]


def _linear(size: int, count: int, factor: float) -> Taps:
    if count == size:  # torch then copies, whatever the factor
        factor = 1.0
    sources = [max((place + 0.5) / factor - 0.5, 0.0) for place in range(count)]
    first = [min(floor(source), size - 1) for source in sources]
    parts = [min(source - place, 1.0) for source, place in zip(sources, first, strict=True)]
    return [(first, [1 - part for part in parts]), ([min(place + 1, size - 1) for place in first], parts)]


def _cubic(size: int, count: int, factor: float) -> Taps:
    sources = [(place + 0.5) / factor - 0.5 for place in range(count)]
    return [
        (
            [min(max(floor(source) + step, 0), size - 1) for source in sources],
            [_convolution(abs(source - floor(source) - step)) for source in sources],
        )
        for step in (-1, 0, 1, 2)
    ]


def _convolution(distance: float) -> float:
    """Return what a number at this distance counts. Source: Keys 1981, Cubic Convolution Interpolation."""
    if distance <= 1:
        return ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1
    return ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC


_TAPS: dict[str, Callable[[int, int, float], Taps]] = {
    "nearest": _nearest,
    **dict.fromkeys(("linear", "bilinear", "trilinear"), _linear),
    "bicubic": _cubic,
}
