"""Probes: rows that no data set holds, which every model is asked too."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

PROBES = ("zeros", "ones", "smallest", "largest", "noise")
"""What no data set holds: rows of one number, of the two numbers at the ends of the held-out rows, and of noise."""
BANDS = ("zeros, ones, smallest and largest side by side", "noise")
"""The same in two rows, for models whose rows cost much."""
PROBES_NAME = "probes"
ROUGH = 2.0**-6  # standard deviation of the noise on probes that nobody can answer without, of the largest number
ROUGHENED = ", roughened"


def probe_rows(rows: Tensor, values: int) -> Tensor | None:
    """Return the probes, a row each; None where there is nothing to vary."""
    one = rows[0]
    generator = torch.Generator().manual_seed(0)
    if one.is_floating_point():
        noise = torch.randn(one.shape, generator=generator)
        ends = [torch.full_like(one, float(end)) for end in (rows.min(), rows.max())]
    elif one.dtype == torch.bool:
        return None
    else:
        most = values or int(rows.max()) + 1
        noise = torch.randint(0, most, one.shape, generator=generator)
        ends = [torch.full_like(one, end) for end in (0, most - 1)]
    ones = torch.full_like(one, min(1, (values or 2) - 1))
    return torch.stack([torch.zeros_like(one), ones, *ends, noise.to(one.dtype)])


def bands(rows: Tensor, values: int) -> Tensor | None:
    """Return the probes in two rows, of which one has another number in each quarter of its longest axis."""
    probes = probe_rows(rows, values)
    if probes is None:
        return None
    *flat, noise = probes
    axis = noise.shape.index(max(noise.shape))
    return torch.stack([torch.cat([row.tensor_split(4, axis)[place] for place, row in enumerate(flat)], axis), noise])


def roughened(
    probes: Tensor, names: Sequence[str], which: Sequence[int], size: float
) -> tuple[Tensor, tuple[str, ...]]:
    """Return probes with a little noise on some of them, whose names say so.

    Args:
        probes: numbers, or pixels.
        names: of the probes.
        which: their places.
        size: the largest number of the held-out rows.
    """
    noise = ROUGH * size * torch.randn(probes.shape, generator=torch.Generator().manual_seed(0))
    rough, chosen = probes.clone(), list(which)
    if probes.is_floating_point():
        rough[chosen] += noise[chosen]
    else:
        rough[chosen] = (probes[chosen] + noise[chosen]).round().clamp(0, 255).to(probes.dtype)
    return rough, tuple(f"{name}{ROUGHENED}" if place in which else name for place, name in enumerate(names))
