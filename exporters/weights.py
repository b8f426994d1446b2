"""Weights: the tensors of a file held against the module's, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from zoo.errors import ProofFailed, reason

ROOM = 2**24  # bytes that an archive may have beside the weights


def require_equal(mine: Mapping[str, Tensor], stored: Mapping[str, Tensor], file: str) -> int:
    """Return how many tensors are equal, which is all of them.

    Raises:
        ProofFailed: one is not, or is absent, or is in the file alone.
    """
    odd = sorted(mine.keys() ^ stored.keys())
    wrong = odd or [name for name, tensor in mine.items() if not equal(tensor, stored[name])]
    if wrong:
        raise ProofFailed(
            f"{wrong[0]} in {file} is not the model's, bit for bit", "nothing was published; please report the spec"
        )
    return len(mine)


def equal(first: Tensor, second: Tensor) -> bool:
    """Return whether two tensors have the same shape, dtype and bits."""
    a, b = (np.ascontiguousarray(tensor.detach().cpu().numpy()) for tensor in (first, second))
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def unreadable(path: Path, error: Exception) -> ProofFailed:
    """Return the error that a file cannot be loaded again."""
    message = f"{path.name} cannot be loaded: {reason(error)}"
    return ProofFailed(message, "nothing was published; please report the spec")
