"""Loss: what training makes small, with its options and the shapes that it compares."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import AfterValidator, Field, NonNegative, Strict

if TYPE_CHECKING:
    from torch import Tensor, nn

    Arrangement = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


def _some_count(weights: tuple[float, ...]) -> tuple[float, ...]:
    if not any(weights):
        raise ValueError("all weights are 0, so nothing would be learned; write one above 0")
    return weights


Weights = Annotated[tuple[NonNegative, ...], Field(min_length=1, max_length=2**20), AfterValidator(_some_count)]


class Loss(Strict):
    """What every loss has."""

    output_name: ClassVar[str] = "prediction"
    """What the model's output is called in an exported file."""

    reduction: Literal["mean", "sum"] = "mean"
    """Mean or sum over the numbers of a batch."""

    @property
    def averaged(self) -> bool:
        """Return whether the loss of a batch is a mean, and not a sum."""
        return self.reduction != "sum"

    def mass(self, target: Tensor) -> Tensor:
        """Return what the mean over a batch is divided by, up to a factor that all batches share: its rows."""
        import torch

        return torch.full((), len(target), dtype=torch.float64, device=target.device)

    @property
    def takes_probabilities(self) -> bool:
        """Return whether targets may also be a probability for each class, as MixUp and CutMix make them."""
        return False

    @property
    def ignored(self) -> int | None:
        """Return the class number of targets that do not count; None where all count."""
        return None

    @property
    def counts_classes(self) -> bool:
        """Return whether options of the loss follow from how many rows each class has in the training split."""
        return False

    def balanced(self, counts: Sequence[int]) -> Self:
        """Return the loss with the options that these numbers of rows of each class give."""
        return self

    @abstractmethod
    def require(self, output: Shape, target: Shape) -> None:
        """Refuse an output of the model that this loss cannot compare with the targets.

        Raises:
            ShapeError: torch would refuse the shapes or dtypes, or would broadcast them and compare the wrong pairs.
        """

    def class_axis(self, output: Shape, target: Shape) -> int | None:
        """Return the axis of the output that has one number for each class; None where there is none."""
        return None

    def arrangement(self, output: Shape, target: Shape) -> Arrangement:
        """Return what makes the arguments of the module from the model's output and the targets.

        Which way is decided from the declared shapes, never from a batch: a sequence that is by chance as long as
        there are classes is still a sequence.
        """
        return _as_they_are

    def build(self) -> nn.Module:
        """Return torch.nn's loss of this name. It may hold weights: bring it to the device of the model."""
        import torch
        from torch import nn

        options = {
            name: torch.tensor(value) if isinstance(value, tuple) else value for name, value in self._options().items()
        }
        loss: nn.Module = getattr(nn, type(self).__name__)(**options)
        return loss

    # Any: the values of torch's options.
    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields if name != "type"}


class Pairwise(Loss):
    """What the losses share that compare each number of the output with one of the targets."""

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse shapes that differ: torch would broadcast some of them and compare the wrong pairs.

        Raises:
            ShapeError: the shapes differ, or their numbers are not floats.
        """
        if output != target or output.dtype != "float32":
            remedy = f"make the last layer give {target}"
            if target.dtype == "int64":
                remedy = 'use {"type": "CrossEntropyLoss"} for class numbers'
            raise ShapeError(f"{type(self).__name__} compares {output} of the model with targets {target}", remedy)


def require_weights(loss: Loss, option: str, weights: tuple[float, ...] | None, output: Shape, axis: int) -> None:
    """Refuse weights that are not one for each number along an axis of the output.

    Raises:
        ShapeError: there are more or fewer, or the axis is the batch.
    """
    if weights is None:
        return
    size = output.dims[axis] if output.rank > 1 else "N"
    if not isinstance(size, int):
        message = f"{type(loss).__name__} needs an axis of known size for its weights, but the model gives {output}"
        raise ShapeError(message, f"remove {option}", option)
    if len(weights) != size:
        message = f"{type(loss).__name__} has {len(weights)} numbers in {option}, but the model gives {output}"
        raise ShapeError(message, f"write {size} numbers, or remove {option}", option)


def _as_they_are(output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    return output, target
