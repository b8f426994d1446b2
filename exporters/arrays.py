"""Arrays: what goes into an exported file and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]  # the dtype is the spec's to say


def pooled(arrays: Sequence[Array]) -> Array:
    """Return the numbers of all batches, one behind the other, in float64."""
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64)


def largest(numbers: Array) -> float:
    """Return the largest finite number, whatever its sign."""
    return float(np.abs(numbers[np.isfinite(numbers)]).max(initial=0.0))
