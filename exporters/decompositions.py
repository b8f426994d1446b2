"""Decompositions: layers that torch's exporters lack or write down wrongly, said in operations that they have.

They stand in a copy that shares the module's tensors, under the same names; the proof holds the file against the module
itself, so that a decomposition that says something else is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvTransposeNd
from torch.nn.utils import parametrize

from exporters import culprit
from exporters.resizing import upsampled
from exporters.subject import Subject
from exporters.windows import ceiled, cut, spread, widened
from zoo.errors import ExportError
from zoo.graph import layer_module
from zoo.layers.layer import kind

_DRAWING = ("FractionalMaxPool2d", "FractionalMaxPool3d")
_MEASURING = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
Part = tuple[int, int]
"""Where a part of an axis begins, and where it ends."""


def decomposed(module: nn.Module, kinds: tuple[type[nn.Module], ...] = (nn.Module,)) -> nn.Module:
    """Return the module, or where it holds a layer that has a decomposition, a copy with that in its place.

    Args:
        module: what is exported.
        kinds: the layers that the exporter lacks, where it has some of those that have a decomposition.
    """
    wanted = ((name, part) for name, part in module.named_modules() if isinstance(part, kinds))
    found = {name: said for name, part in wanted if (said := _replacement(part)) is not None}
    if not found:
        return module
    if "" in found:
        return found[""].eval()
    shared: dict[int, object] = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    result = copy.deepcopy(module, shared)
    for name, said in found.items():
        result.set_submodule(name, said.eval())
    return result


def refuse_unsettled(subject: Subject) -> None:
    """Refuse a model whose answer to a row is not settled by the row.

    Raises:
        ExportError: a layer draws random numbers in evaluation too, or measures the batch then.
    """
    for placed in subject.checked.layers:
        parts = layer_module(placed.layer, placed.values).modules() if kind(placed.layer) in _DRAWING else ()
        if any(map(_draws, parts)):
            name = culprit.called(subject.checked, placed)
            message = f"{name}: it draws its windows anew for every batch, in evaluation too"
            raise ExportError(
                message, "ask for two windows or fewer along each axis, or use MaxPool or AdaptiveMaxPool"
            )
        if kind(placed.layer) in _MEASURING and not getattr(placed.layer, "track_running_stats", True):
            name = culprit.called(subject.checked, placed, "track_running_stats")
            message = f"{name}: without running statistics a row's answer depends on the rows beside it"
            raise ExportError(message, "remove track_running_stats, or normalise each row: InstanceNorm, GroupNorm")


def _draws(part: nn.Module) -> bool:
    return isinstance(part, nn.FractionalMaxPool2d | nn.FractionalMaxPool3d) and not _is_settled(part)


def _is_settled(part: nn.FractionalMaxPool2d | nn.FractionalMaxPool3d) -> bool:
    """Return whether two windows or fewer are asked for: the first and the last leave nothing to chance."""
    size = part.output_size
    return size is not None and max(size if isinstance(size, Iterable) else (size,)) <= 2


def _replacement(part: nn.Module) -> nn.Module | None:
    if parametrize.is_parametrized(part, "weight"):
        return _settled(part)
    for kinds, replace in _REPLACEMENTS:
        if isinstance(part, kinds):
            return replace(part)
    return None


def _settled(part: nn.Module) -> nn.Module | None:
    """Return the layer with the weight as it is, where that is an exponential of a matrix: ONNX has no word for it."""
    steps = part.get_submodule("parametrizations.weight").children()
    if not any(type(step).__name__ == "_Orthogonal" for step in steps):
        return None
    plain: nn.Module = object.__new__(type(part).__bases__[0])  # torch makes a class for every parametrized layer
    plain.__dict__ = part.__dict__ | {"_modules": {}}
    plain._parameters = part._parameters | {"weight": nn.Parameter(torch.as_tensor(part.weight).detach())}
    return plain


class Pooled(nn.Module):
    """Each axis in parts, one after the other, and one number for each part."""

    def __init__(self, axes: int, reduce: Callable[..., Tensor], parts: Callable[[int, int], list[Part]]) -> None:
        """Take what the parts of an axis are, by its number counted from 0 and its size."""
        super().__init__()
        self.axes, self.reduce, self.parts = axes, reduce, parts

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, …) with as many numbers along each axis as it has parts."""
        for axis in range(self.axes):
            place = axis - self.axes
            cut = self.parts(axis, x.shape[place])
            pooled = [self.reduce(x.narrow(place, start, end - start), place, True) for start, end in cut]
            x = torch.cat(pooled, place)
        return x


def _adaptive(part: nn.Module) -> nn.Module | None:
    """Return an adaptive pooling in parts, by torch's rule: from floor(i size / n) to ceil((i + 1) size / n)."""
    if getattr(part, "return_indices", False):
        return None
    # Any: torch's sizes are a number, several, or none.
    asked: Any = part.output_size
    axes = int(type(part).__name__[-2])

    def parts(axis: int, size: int) -> list[Part]:
        wanted = asked[axis] if isinstance(asked, Sequence) else asked
        count = size if wanted is None else int(wanted)
        return [(index * size // count, -(-(index + 1) * size // count)) for index in range(count)]

    return Pooled(axes, torch.mean if "Avg" in type(part).__name__ else torch.amax, parts)


def _fractional(part: nn.Module) -> nn.Module | None:
    assert isinstance(part, nn.FractionalMaxPool2d | nn.FractionalMaxPool3d)
    if part.return_indices or not _is_settled(part):
        return None
    axes = 2 if isinstance(part, nn.FractionalMaxPool2d) else 3
    kernels, sizes = (spread(given, axes) for given in (part.kernel_size, part.output_size))

    def parts(axis: int, size: int) -> list[Part]:
        last = (size - kernels[axis], size)
        return [last] if sizes[axis] == 1 else [(0, kernels[axis]), last]

    return Pooled(axes, torch.amax, parts)


class Divided(nn.Module):
    """Sums of windows divided by a number that is not their size."""

    def __init__(self, pool: nn.AvgPool2d | nn.AvgPool3d, axes: int) -> None:
        """Take torch's layer, for so many axes."""
        super().__init__()
        self.kernel, self.stride = spread(pool.kernel_size, axes), spread(pool.stride, axes)
        self.padding, self.ceil_mode = spread(pool.padding, axes), pool.ceil_mode
        self.factor = prod(self.kernel) / int(pool.divisor_override or 1)
        self.pool = functional.avg_pool2d if axes == 2 else functional.avg_pool3d

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, …) pooled; what lies beyond the input counts as zeros."""
        options = zip(x.shape[2:], self.kernel, self.stride, self.padding, strict=True)
        sides = [(padding, self._behind(size, kernel, stride, padding)) for size, kernel, stride, padding in options]
        padded = functional.pad(x, [side for pair in reversed(sides) for side in pair])
        pooled: Tensor = self.pool(padded, self.kernel, self.stride)
        return pooled * self.factor

    def _behind(self, size: int, kernel: int, stride: int, padding: int) -> int:
        """Return how many zeros the last window needs behind; it begins within the input or the padding before it."""
        free = size + 2 * padding - kernel
        last = -(-free // stride) if self.ceil_mode else free // stride
        if self.ceil_mode and last * stride >= size + padding:
            last -= 1
        return max(0, last * stride + kernel - size - padding)


class CrossMapped(nn.Module):
    """Numbers divided by a power of the squares of the channels around them."""

    def __init__(self, norm: nn.CrossMapLRN2d) -> None:
        """Take torch's layer."""
        super().__init__()
        self.reach = (norm.size - 1) // 2  # torch takes as many channels on both sides, an odd number in all
        self.scale, self.beta, self.k = norm.alpha / norm.size, norm.beta, norm.k

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) normalised."""
        channels, squares = x.shape[1], x * x
        padded = functional.pad(squares, [0, 0, 0, 0, self.reach, self.reach])
        total = torch.stack([padded.narrow(1, offset, channels) for offset in range(2 * self.reach + 1)]).sum(0)
        if channels > self.reach + 1:  # torch's sum runs over the channels, and never lets go of the first
            far = channels - self.reach - 1
            first = functional.pad(squares.narrow(1, 0, 1).expand(-1, far, -1, -1), [0, 0, 0, 0, self.reach + 1, 0])
            total = total + first
        result: Tensor = x * torch.pow(self.k + self.scale * total, -self.beta)
        return result


class Bounded(nn.Module):
    """An embedding whose rows are no longer than a bound; torch writes the shortened ones into its table."""

    def __init__(self, embedding: nn.Embedding | nn.EmbeddingBag) -> None:
        """Take torch's layer, whose table stays the same tensor."""
        super().__init__()
        self.weight = embedding.weight
        self.most, self.p = embedding.max_norm, embedding.norm_type

    def forward(self, x: Tensor) -> Tensor:
        """Return the row of each token."""
        rows = functional.embedding(x, self.weight)
        if self.most is None:
            return rows
        norm = torch.linalg.vector_norm(rows, self.p, -1, keepdim=True)
        return torch.where(norm > self.most, rows * (self.most / (norm + 1e-7)), rows)  # 1e-7 is torch's own


class Bagged(Bounded):
    """The mean, sum or maximum of the rows of all tokens."""

    def __init__(self, bag: nn.EmbeddingBag) -> None:
        """Take torch's layer, whose table stays the same tensor."""
        super().__init__(bag)
        self.mode, self.padding = bag.mode, bag.padding_idx

    def forward(self, x: Tensor) -> Tensor:
        """Return a row for each (N, T); padding does not count, and a row of nothing else is 0."""
        rows = super().forward(x)  # (N, T, features)
        counts = torch.ones_like(x, dtype=torch.bool) if self.padding is None else x != self.padding
        counts = counts.unsqueeze(-1)
        if self.mode == "max":
            largest = torch.where(counts, rows, float("-inf")).amax(1)
            return torch.where(counts.any(1), largest, 0.0)
        total = torch.where(counts, rows, 0.0).sum(1)
        return total / counts.sum(1).clamp(min=1) if self.mode == "mean" else total


def _divided(part: nn.Module) -> nn.Module | None:
    assert isinstance(part, nn.AvgPool2d | nn.AvgPool3d)
    return Divided(part, 2 if isinstance(part, nn.AvgPool2d) else 3) if part.divisor_override else ceiled(part)


def _leaky(part: nn.Module) -> nn.Module:
    """Return what RReLU is in evaluation."""
    assert isinstance(part, nn.RReLU)
    return nn.LeakyReLU((part.lower + part.upper) / 2)


def _bounded(part: nn.Module) -> nn.Module | None:
    assert isinstance(part, nn.Embedding)
    return None if part.max_norm is None else Bounded(part)


def _bagged(part: nn.Module) -> nn.Module:
    assert isinstance(part, nn.EmbeddingBag)
    return Bagged(part)


def _cross_mapped(part: nn.Module) -> nn.Module:
    assert isinstance(part, nn.CrossMapLRN2d)
    return CrossMapped(part)


_REPLACEMENTS: tuple[tuple[tuple[type[nn.Module], ...], Callable[[nn.Module], nn.Module | None]], ...] = (
    ((nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), _adaptive),
    ((nn.FractionalMaxPool2d, nn.FractionalMaxPool3d), _fractional),
    ((nn.AvgPool2d, nn.AvgPool3d), _divided),
    ((nn.AvgPool1d, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.LPPool1d, nn.LPPool2d, nn.LPPool3d), ceiled),
    ((_ConvTransposeNd,), widened),
    ((nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d), cut),
    ((nn.Upsample,), upsampled),
    ((nn.RReLU,), _leaky),
    ((nn.Embedding,), _bounded),
    ((nn.EmbeddingBag,), _bagged),
    ((nn.CrossMapLRN2d,), _cross_mapped),
)
