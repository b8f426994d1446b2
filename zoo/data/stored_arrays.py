"""StoredArrays: rows of arrays in a file, read when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

from zoo.data.arrays import Header
from zoo.data.data import Rows
from zoo.data.pieces import read_pieces
from zoo.data.stored import Stored
from zoo.errors import DataError
from zoo.shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor

NUMPY = {"F16": "f2", "F32": "f4", "F64": "f8", "BF16": "u2"}
"""Kinds of safetensors -> numpy's letter and bytes; bfloat16, which it lacks, is the upper half of a float32."""


@dataclass(frozen=True)
class StoredArray:
    """An array whose rows stand one after the other in a file."""

    path: str
    key: str
    header: Header
    shape: Shape
    """Of a batch of its rows as tensors."""

    def rows(self, numbers: Sequence[int]) -> Tensor:
        """Return rows in the dtype and the sizes of the shape.

        Raises:
            DataError: the file has changed, or a number is not finite.
        """
        import numpy as np
        import torch

        kind = NUMPY.get(self.header.kind, self.header.kind)
        dtype = np.dtype(kind).newbyteorder("<" if self.header.little else ">")
        size = prod(self.header.sizes[1:]) * dtype.itemsize
        places = [(self.header.place or 0) + number * size for number in numbers]
        found = read_pieces(self.path, places, size).view(dtype)
        if self.header.kind == "BF16":
            found = (found.astype(np.uint32) << 16).view(np.float32)
        tensor = torch.from_numpy(found.astype(self.shape.dtype)).reshape(self.shape.concrete(len(numbers)))
        if tensor.is_floating_point() and not tensor.isfinite().all():
            row = numbers[int(tensor.flatten(1).isfinite().all(1).logical_not().nonzero()[0])]
            raise DataError(f"{self.key} of {self.path} is not finite in row {row}, counted from 0", "remove the row")
        return tensor


@dataclass(frozen=True)
class StoredArrays(Stored):
    """Rows of inputs and of targets."""

    inputs: StoredArray
    answers: StoredArray
    """The targets; the inputs themselves, where these are reconstructed."""
    numbers: Tensor
    """Of the rows of the split, in the file."""
    classes: int
    """How many there are; 0 where the targets are no classes."""
    ignored: int | None = None
    """The number beside those of the classes that targets may have."""

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.numbers)

    @cached_property
    def targets(self) -> Tensor:
        """Return the targets of all rows."""
        return self._targets(self.numbers.tolist())

    def read(self, numbers: Sequence[int], threads: int | None = None) -> Rows:
        """Return rows.

        Raises:
            DataError: the file has changed, or a number is not finite or no class.
        """
        chosen = self.numbers[list(numbers)].tolist()
        inputs = self.inputs.rows(chosen)
        return Rows(inputs, inputs if self.answers == self.inputs else self._targets(chosen))

    def _targets(self, chosen: Sequence[int]) -> Tensor:
        targets = self.answers.rows(chosen)
        require_classes(targets, self.classes, self.ignored, f"{self.answers.key} of {self.answers.path}")
        return targets


def require_classes(targets: Tensor, classes: int, ignored: int | None, place: str) -> None:
    """Refuse numbers that are no classes, where there are some; but one that the loss ignores.

    Raises:
        DataError: a number is below 0, or too large.
    """
    if not classes or not targets.numel():
        return
    judged = targets if ignored is None else targets[targets != ignored]
    if not judged.numel():
        return
    least, most = int(judged.min()), int(judged.max())
    if least < 0 or most >= classes:
        odd = least if least < 0 else most
        message = f"{place} has the class {odd}, but there are {classes} classes"
        remedy = "write numbers from 0, or more classes"
        if ignored is not None:
            remedy += f'; or, for targets that do not count, "ignore_index": {odd} in the loss'
        raise DataError(message, remedy)
