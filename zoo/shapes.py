"""Shapes and dtypes of tensors, known before any tensor exists; batch and sequence axes are symbols."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

Dimension = int | str
"""The size of an axis: a number, or a symbol: "N" for the batch, "T" for a sequence of any length."""


@dataclass(frozen=True, init=False)
class Shape:
    """The axes of a tensor and its dtype: `Shape("N", 3, 224, 224)` is a batch of images."""

    dims: tuple[Dimension, ...]
    dtype: str
    longest: int | None = field(compare=False)
    """The largest size that "T" takes, where the data bounds it: its context."""

    def __init__(self, *dims: Dimension, dtype: str = "float32", longest: int | None = None) -> None:
        object.__setattr__(self, "dims", dims)
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "longest", longest)

    def __str__(self) -> str:
        axes = ", ".join(map(str, self.dims)) + ("," if len(self.dims) == 1 else "")
        return f"({axes})" if self.dtype == "float32" else f"({axes}) of {self.dtype}"

    @property
    def rank(self) -> int:
        """Return how many axes there are, the batch axis included."""
        return len(self.dims)

    @property
    def batched(self) -> bool:
        """Return whether the first axis is the batch."""
        return self.dims[:1] == ("N",)

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

    def concrete(self, batch: int, length: int | None = None) -> tuple[int, ...]:
        """Return the sizes with `batch` rows and sequences of `length`, by default the longest.

        Raises:
            TypeError: a sequence has no length.
        """
        sizes = {"N": batch, "T": self.longest if length is None else length}
        found = [sizes.get(size) if isinstance(size, str) else size for size in self.dims]
        if None in found:
            raise TypeError(f"{self} has an axis of unknown size")
        return tuple(size for size in found if size is not None)

    def with_dims(self, *dims: Dimension) -> Shape:
        """Return a shape of the same dtype with other axes."""
        return Shape(*dims, dtype=self.dtype, longest=self.longest)

    def with_dtype(self, dtype: str) -> Shape:
        """Return the same axes with another dtype."""
        return Shape(*self.dims, dtype=dtype, longest=self.longest)


Value: TypeAlias = "Shape | tuple[Value, ...]"
"""What a layer gives: a tensor, or several, as torch's LSTM gives its outputs and its state."""


def class_axis(output: Shape, target: Shape) -> int | None:
    """Return the axis of a model's output that has one number for each class; None where there is none.

    Targets have one axis less. Where the output without axis 1 has their axes, it is axis 1, as torch has it: (N,
    classes), or images (N, classes, H, W). Otherwise it is the last one, as sequence models have it: (N, T, classes).
    """
    if output.rank != target.rank + 1:
        return None
    if output.dims[:1] + output.dims[2:] == target.dims:
        return 1
    return output.rank - 1 if output.dims[:-1] == target.dims else None
