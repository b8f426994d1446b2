"""Data: one source of rows, which says its shapes, dtypes and classes without reading itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from zoo.errors import DataError
from zoo.shapes import Shape
from zoo.strict import Field, Strict
from zoo.transforms import Transform

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Split = Literal["train", "validation", "test"]
Place = tuple[str | int, ...]
"""Where among the options of a source: ("transforms", 0)."""
FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
"""A path; a relative one starts where the command runs."""
Fraction = Annotated[float, Field(gt=0, lt=1)]
ClassNames = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...], Field(min_length=1)]


class OptionError(DataError):
    """An option of a source does not fit what its files hold; `option` names it."""

    def __init__(self, message: str, remedy: str, option: str) -> None:
        super().__init__(message, remedy)
        self.option = option


@dataclass(frozen=True)
class Example:
    """What a source knows of its rows before they are read."""

    input: Shape
    """A batch as it leaves the source, before the transforms."""
    target: Shape
    """The targets of a batch: (N,) of int64 for class numbers."""
    input_name: str
    """What the input is called in an exported file: "features", "image"."""
    training_rows: int | None
    """How many rows the training split has; None where only reading everything would tell."""
    classes: tuple[str, ...] = ()
    """Names of the classes; empty when the targets are numbers."""
    vocabulary: int | None = None
    """How many tokens there are, where the rows are text."""
    context: int | None = None
    """How many tokens a row of text holds."""

    @property
    def sizes(self) -> dict[str, int]:
        """Return the sizes that layers may name."""
        known = {"classes": len(self.classes) or None, "vocabulary": self.vocabulary, "context": self.context}
        return {name: size for name, size in known.items() if size is not None}


@dataclass(frozen=True)
class Rows:
    """A split in memory: row i of `inputs` belongs to row i of `targets`."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def device(self) -> torch.device:
        """Return where the rows are."""
        return self.inputs.device

    def to(self, device: torch.device) -> Rows:
        """Return the rows on a device; windows that overlap still do, and targets that are the inputs still are."""
        inputs = _moved(self.inputs, device)
        return Rows(inputs, inputs if self.targets is self.inputs else _moved(self.targets, device))

    @property
    def nbytes(self) -> int:
        """Return how many bytes they take."""
        return self.inputs.nbytes + (0 if self.targets is self.inputs else self.targets.nbytes)

    def batches(self, starts: Iterable[int], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and targets of so many rows from each of these on."""
        for start in starts:
            yield self.inputs[start : start + size], self.targets[start : start + size]

    def close(self) -> None:
        """Do nothing: no process reads them."""


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; of a view that shows numbers more than once, these alone are copied."""
    held = tensor.untyped_storage().nbytes() // tensor.element_size()
    if tensor.device == device or held >= tensor.numel():
        return tensor.to(device)
    base = tensor.as_strided((held,), (1,), 0).to(device)
    return base.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


@dataclass(frozen=True)
class Truth:
    """The parameters that made the targets, where they are known: tensor name in a lone Linear -> numbers."""

    parameters: dict[str, tuple[float, ...]] = field(default_factory=dict)


class Data(Strict):
    """What every source has."""

    whereabouts: ClassVar[tuple[str, ...]] = ()
    """Options that say where the rows lie, not what they are; the first is the one to look at when they are absent."""

    type: str

    @property
    def splits(self) -> tuple[Split, ...]:
        """Return the splits that can be loaded."""
        return ("train", "test")

    @abstractmethod
    def example(self) -> Example:
        """Return what is known of the rows, without reading them all.

        Raises:
            DataError: what must be looked up is absent or unreadable; an OptionError names the option.
        """

    @abstractmethod
    def load(self, split: Split) -> Rows:
        """Return all rows of a split, before `early()`, in the source's own order.

        Raises:
            DataError: the data is absent, incomplete or unreadable, or there is no such split.
        """

    @abstractmethod
    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return what a person gives to predict, as a batch before `early()`.

        Raises:
            DataError: an input is not a row or a file of this kind.
        """

    @property
    def lacking(self) -> Mapping[str, str]:
        """Return what to write where a layer names a size that such data may have, but this has not."""
        return {}

    @property
    def mirrors(self) -> bool:
        """Return whether the target of a row is the row itself, as the model is given it."""
        return False

    @property
    def ignored(self) -> int | None:
        """Return the number beside those of the classes that targets may have; None where they have no other."""
        return None

    def ignoring(self, number: int | None) -> Self:
        """Return the source with targets that may have a number beside those of the classes, which the loss ignores."""
        return self

    def resolved(self) -> Self:
        """Return the source with what it looks up in its files written into its options, as far as options can say it.

        Raises:
            DataError: as `example`.
        """
        return self

    def fitted(self) -> Self:
        """Return the source with what a training learns from its rows written into its options.

        Raises:
            DataError: as `load`.
        """
        return self

    def missing(self) -> tuple[OptionError, ...]:
        """Return the splits whose rows are not there though those of training are; who does not train may do without.

        Raises:
            DataError: as `example`.
        """
        return ()

    def doubts(self) -> tuple[OptionError, ...]:
        """Return what a check tells of the files though the spec is right: what a training will miss, or what is odd.

        Raises:
            DataError: as `example`.
        """
        return ()

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know of the rows when a training begins."""
        return ()

    def pipeline(self) -> tuple[Transform, ...]:
        """Return the transforms between the source and the model."""
        return ()

    def early(self) -> tuple[Transform, ...]:
        """Return the transforms of loaded rows that stand before the augmentation."""
        return ()

    def random(self) -> tuple[Transform, ...]:
        """Return the transforms of the training split alone, which draw anew for every image."""
        return ()

    def route(self, training: bool) -> tuple[tuple[Place, Transform], ...]:
        """Return the transforms that an image meets, in order, each with its place in the source's options.

        Args:
            training: with those of the training split alone.
        """
        return ()

    def late(self) -> tuple[Transform, ...]:
        """Return the transforms that stand behind the augmentation."""
        return ()

    def token_names(self) -> tuple[str, ...]:
        """Return what each token stands for, where the rows are text; empty elsewhere."""
        return ()

    def row_names(self, split: Split) -> tuple[str, ...]:
        """Return what each row of a split is called, without a path of the machine; empty where they have no names.

        Raises:
            DataError: as `load`.
        """
        return ()

    def truth(self) -> Truth:
        """Return the parameters that made the targets; empty where nobody knows them."""
        return Truth()


@dataclass(frozen=True)
class Inputs:
    """Rows to predict, each with the words it was given in."""

    names: tuple[str, ...]
    rows: Tensor
