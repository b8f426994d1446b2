"""Data: one source of rows, which says its shapes, dtypes and classes without reading itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from zoo.shapes import Shape
from zoo.strict import Strict
from zoo.transforms import Transform

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Example:
    """What a source knows of its rows before they are read."""

    input: Shape
    """A batch as it leaves the source, before the transforms."""
    target: Shape
    """The targets of a batch: (N,) of int64 for class numbers."""
    input_name: str
    """What the input is called in an exported file: "features", "image"."""
    training_rows: int
    """How many rows the training split has."""
    classes: tuple[str, ...] = ()
    """Names of the classes; empty when the targets are numbers."""

    @property
    def sizes(self) -> dict[str, int]:
        """Return the sizes that layers may name."""
        return {"classes": len(self.classes)} if self.classes else {}


@dataclass(frozen=True)
class Rows:
    """A split in memory: row i of `inputs` belongs to row i of `targets`."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device) -> Rows:
        """Return the rows on a device."""
        return Rows(self.inputs.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Truth:
    """The parameters that made the targets, where they are known: tensor name in a lone Linear -> numbers."""

    parameters: dict[str, tuple[float, ...]] = field(default_factory=dict)


class Data(Strict):
    """What every source has."""

    whereabouts: ClassVar[tuple[str, ...]] = ()
    """Options that say where the rows lie, and not what they are."""

    @abstractmethod
    def example(self) -> Example:
        """Return what is known of the rows, without reading them."""

    @abstractmethod
    def load(self, split: Split) -> Rows:
        """Return all rows of a split, before the transforms, in the source's own order.

        Raises:
            DataError: the data is absent, incomplete or unreadable.
        """

    @abstractmethod
    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return what a person gives to predict, as a batch before the transforms.

        Raises:
            DataError: an input is not a row or a file of this kind.
        """

    def pipeline(self) -> tuple[Transform, ...]:
        """Return the transforms between the source and the model."""
        return ()

    def truth(self) -> Truth:
        """Return the parameters that made the targets; empty where nobody knows them."""
        return Truth()


@dataclass(frozen=True)
class Inputs:
    """Rows to predict, each with the words it was given in."""

    names: tuple[str, ...]
    rows: Tensor
