"""Stored: a split where it lies, whose rows are read when they are asked for; and what sources have that stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from zoo.data.data import Data, Rows, Split
from zoo.strict import Field

if TYPE_CHECKING:
    from torch import Tensor

MEBIBYTE = 2**20


class Stored(ABC):
    """A split on the disk; it can be sent to another process."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many rows there are."""

    @property
    @abstractmethod
    def targets(self) -> Tensor:
        """Return the targets of all rows.

        Raises:
            DataError: they are no longer what they were.
        """

    @abstractmethod
    def read(self, numbers: Sequence[int], threads: int | None = None) -> Rows:
        """Return rows, before `early()`, in the order of their numbers.

        Args:
            numbers: from 0.
            threads: how many may decode at once; by default as many as are good.

        Raises:
            DataError: a row is absent, damaged, or other than the first one.
        """

    def load(self) -> Rows:
        """Return all rows.

        Raises:
            DataError: as `read`.
        """
        return self.read(range(len(self)))

    def resident(self, row: int) -> int:
        """Return how many bytes all rows take in memory.

        Args:
            row: bytes of one, behind the transforms, with its target.
        """
        return row * len(self)


class Streamable(Data):
    """What every source has that can stream: its rows are read step by step where they do not fit into memory."""

    streaming: ClassVar[tuple[str, ...]] = ("memory", "workers")
    """Options of this class; the weights do not depend on them."""

    memory: Annotated[int, Field(ge=0, le=2**31)] | None = None
    """MiB that the rows of all splits may take; a split beyond it streams. By default a quarter of what is free."""
    workers: Annotated[int, Field(ge=0, le=1024)] | None = None
    """Processes that read the rows of a split that streams; 0 reads in the training's own.

    By default one for each core, at most 8, where images are decoded or augmented, and none elsewhere.
    """

    @abstractmethod
    def stored(self, split: Split) -> Stored | None:
        """Return a split where it lies; None where its file can only be read whole.

        Raises:
            DataError: as `load`.
        """

    @property
    def laborious(self) -> bool:
        """Return whether reading a row takes so long that other processes should do it."""
        return bool(self.random())
