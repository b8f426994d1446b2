"""Shapes and dtypes of tensors, known before any tensor exists; the batch axis is a symbol."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

Dimension = int | str


@dataclass(frozen=True, init=False)
class Shape:
    """The axes of a tensor and its dtype: `Shape("N", 3, 224, 224)` is a batch of images."""

    dims: tuple[Dimension, ...]
    dtype: str

    def __init__(self, *dims: Dimension, dtype: str = "float32") -> None:
        object.__setattr__(self, "dims", dims)
        object.__setattr__(self, "dtype", dtype)

    def __str__(self) -> str:
        axes = ", ".join(map(str, self.dims)) + ("," if len(self.dims) == 1 else "")
        return f"({axes})" if self.dtype == "float32" else f"({axes}) of {self.dtype}"

    @property
    def rank(self) -> int:
        """Return how many axes there are, the batch axis included."""
        return len(self.dims)

    @property
    def row(self) -> tuple[int, ...]:
        """Return the sizes of one row: every axis but the batch.

        Raises:
            TypeError: an axis other than the batch is symbolic.
        """
        sizes = tuple(size for size in self.dims[1:] if isinstance(size, int))
        if len(sizes) != self.rank - 1:
            raise TypeError(f"{self} has a symbolic axis beside the batch")
        return sizes

    @property
    def row_size(self) -> int:
        """Return how many numbers one row holds."""
        return prod(self.row)

    def with_dims(self, *dims: Dimension) -> Shape:
        """Return a shape of the same dtype with other axes."""
        return Shape(*dims, dtype=self.dtype)

    def with_dtype(self, dtype: str) -> Shape:
        """Return the same axes with another dtype."""
        return Shape(*self.dims, dtype=dtype)
