"""Rotary positions: options, angles, and how queries and keys are turned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.strict import Count, Positive, Strict

if TYPE_CHECKING:
    from torch import Tensor


class Rotary(Strict):
    """Rotary positions: each pair of features of queries and keys is turned by an angle that grows with the position.

    Source: Su et al. 2021, https://arxiv.org/abs/2104.09864, section 3.2
    """

    base: Positive = 10000.0
    """Pair i of d features turns by base^(-2i / d) at each step."""
    interleaved: bool = False
    """Pair neighbours, (0, 1), (2, 3) …; false pairs the first half with the second."""
    num_positions: Count | None = None
    """Length of the longest sequence; follows from the layer above or from the data's context."""


def angles(rotary: Rotary, count: int, size: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (count, size) of the angles by which each feature is turned at each position."""
    import torch

    speed = rotary.base ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angle = torch.arange(count, dtype=torch.float64).unsqueeze(1) * speed
    angle = angle.repeat_interleave(2, 1) if rotary.interleaved else torch.cat([angle, angle], 1)
    return angle.cos().float(), angle.sin().float()


def turned(x: Any, tables: tuple[Any, Any], interleaved: bool) -> Any:
    """Return x · cos + (x turned by a quarter) · sin: proxies, all of them."""
    # Any: torch.fx has proxies in the places of tensors.
    import torch

    if interleaved:
        quarter = torch.stack([-x[..., 1::2], x[..., 0::2]], -1).flatten(-2)
    else:
        first, second = x.chunk(2, -1)[0], x.chunk(2, -1)[1]
        quarter = torch.cat([-second, first], -1)
    return x * tables[0] + quarter * tables[1]
