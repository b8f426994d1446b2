"""Summing: the last bits that programs lose in sums of many equal numbers, put into what float64 computes.

Numbers that differ are rounded up and down, and little is lost of their sum. Equal ones, as of a plain image, are
rounded one way: the mean of 100,000 is off by up to 3,000 last bits in onnxruntime, by 10 in torch. A layer that takes
off the mean has nothing else left of a plain image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

LAST_BIT = 2.0**-24  # of a float32, as a part of it
LANES = 32  # equal numbers that onnxruntime adds for a last bit, where it is unlucky
ALIKE = 4  # last bits that equal numbers may be apart by, for each of those: less than the last bit of the sum
SAMPLE = 256  # numbers, or up to twice as many, whose median is what the equal ones are

Signs = Callable[[Tensor], Tensor]
"""-1 or 1 for each number."""
# Any: what torch's functions are given.
Lose = Callable[..., Any]


class Losing(TorchFunctionMode):
    """While it lasts, the sums, means and normalisations of torch are off by what programs lose in them.

    Attention does not take torch's fast path meanwhile: its float64 answers may have other last bits.

    Args:
        signs: whether each number is too small or too large; None where it is only watched how much would be lost.
    """

    def __init__(self, signs: Signs | None = None) -> None:
        super().__init__()
        self.signs = signs or torch.ones_like
        self.watches = signs is None
        self.most = 0.0
        """The largest number of last bits that were lost in a sum so far."""

    # Any: as torch declares it.
    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return what a function of torch answers, with what is lost in it."""
        options = kwargs or {}
        answer = function(*args, **options)
        lose = _LOSING.get(function)
        if lose is None or not (answer.is_floating_point() and answer.numel()):
            return answer
        given = {name: value for name, value in options.items() if name != "input"}
        off = lose(self, answer, *([options["input"]] if "input" in options else []), *args, **given)
        return answer if self.watches else off.to(answer.dtype)

    def lost(self, rows: Tensor, count: float | None = None) -> Tensor:
        """Return the last bits that sums of rows (..., n) may be off by, (...).

        Args:
            rows: what is added.
            count: how many of them are added at a time; None where it is all.
        """
        lanes = (rows.shape[-1] if count is None else count) / LANES
        if lanes <= 1:
            return rows.new_zeros(rows.shape[:-1])
        some = rows[..., :: max(1, rows.shape[-1] // SAMPLE) | 1]  # an odd step does not keep to some columns
        # Zeros, as behind a ReLU, cost nothing.
        middle = some.where(some != 0, torch.nan).nanmedian(-1, keepdim=True).values
        equal = ((rows - middle).abs() <= ALIKE * lanes * LAST_BIT * middle.abs()).double().mean(-1)
        bits = (equal * lanes).clamp(min=lanes**0.5)
        self.most = max(self.most, float(bits.max()))
        return bits


# Any, from here on: options of torch's functions that do not matter.
def _summed(losing: Losing, answer: Tensor, x: Tensor, dim: Any = None, *_: Any, axis: Any = None, **__: Any) -> Tensor:
    """Lose in a sum or a mean along some axes."""
    if not x.is_floating_point() or not x.dim():
        return answer
    asked = axis if dim is None else dim
    axes = (asked,) if isinstance(asked, int) else tuple(asked or range(x.dim()))
    bits = losing.lost(_last(x, axes))
    return answer * (1 + losing.signs(answer) * bits.reshape(answer.shape) * LAST_BIT)


def _pooled(axes: int, losing: Losing, answer: Tensor, x: Tensor, *_: Any, **__: Any) -> Tensor:
    """Lose in the means of windows along the last axes: as much as the equal part of a channel says."""
    bits = losing.lost(x.flatten(-axes), x.numel() / answer.numel())
    return answer * (1 + losing.signs(answer) * bits.reshape(*bits.shape, *[1] * axes) * LAST_BIT)


def _layer_norm(
    losing: Losing,
    answer: Tensor,
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    rows = x.flatten(-len(normalized_shape))
    return _scaled(_normalized(losing, rows, eps).reshape(x.shape), weight, bias)


def _group_norm(
    losing: Losing,
    answer: Tensor,
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    rows = x.reshape(len(x), num_groups, -1)
    return _scaled(_normalized(losing, rows, eps).reshape(x.shape), *_of_channels(x, weight, bias))


def _instance_norm(
    losing: Losing,
    answer: Tensor,
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not use_input_stats:
        return answer
    return _scaled(_normalized(losing, x.flatten(2), eps).reshape(x.shape), *_of_channels(x, weight, bias))


def _rms_norm(losing: Losing, answer: Tensor, x: Tensor, normalized_shape: Sequence[int], *_: Any, **__: Any) -> Tensor:
    axes = range(x.dim() - len(normalized_shape), x.dim())
    bits = losing.lost(_last(x.square(), axes))
    return answer * (1 + losing.signs(bits) * bits * LAST_BIT / 2).reshape(*bits.shape, *[1] * len(normalized_shape))


def _normalized(losing: Losing, rows: Tensor, eps: float) -> Tensor:
    """Return rows without their mean, over their deviation, where both are off; (..., n)."""
    mean, second = rows.mean(-1, keepdim=True), rows.square().mean(-1, keepdim=True)
    bits = losing.lost(rows).unsqueeze(-1) * LAST_BIT
    # Some programs take the variance from the mean of the squares.
    variance = (second - mean.square() + losing.signs(second) * bits * second).clamp(min=0)
    return (rows - mean * (1 + losing.signs(mean) * bits)) * (variance + eps).rsqrt()


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _of_channels(x: Tensor, *given: Tensor | None) -> tuple[Tensor | None, ...]:
    """Return tensors (C) as they are applied to (N, C, ...)."""
    return tuple(None if tensor is None else tensor.reshape(-1, *[1] * (x.dim() - 2)) for tensor in given)


def _last(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return the numbers along some axes as the last one."""
    return x.movedim(tuple(axes), tuple(range(-len(axes), 0))).flatten(-len(axes))


_LOSING: dict[object, Lose] = {
    **dict.fromkeys((torch.mean, Tensor.mean, torch.sum, Tensor.sum), _summed),
    **dict.fromkeys((functional.avg_pool1d, torch.adaptive_avg_pool1d), partial(_pooled, 1)),
    **dict.fromkeys((functional.avg_pool2d, functional.adaptive_avg_pool2d), partial(_pooled, 2)),
    **dict.fromkeys((functional.avg_pool3d, functional.adaptive_avg_pool3d), partial(_pooled, 3)),
    functional.layer_norm: _layer_norm,
    functional.group_norm: _group_norm,
    functional.instance_norm: _instance_norm,
    functional.rms_norm: _rms_norm,
}
"""What is lost in the functions of torch that add."""
