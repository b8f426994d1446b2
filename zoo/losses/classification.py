"""Losses of class numbers: CrossEntropyLoss, NLLLoss, MultiMarginLoss.

Where the classes stand: targets have one axis less than the output. Where the output without axis 1 has the axes of the
targets, axis 1 is the classes, as torch has it: (N, classes), or images (N, classes, H, W). Otherwise, where the output
without its last axis has them, the last axis is the classes, as sequence models give them: (N, T, classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.losses.loss import Loss, Weights, require_weights
from zoo.shapes import Shape
from zoo.strict import Integer, Number, Probability

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.losses.loss import Arrangement


class _Classes(Loss):
    """What the losses of class numbers share."""

    weight: Weights | Literal["balanced"] | None = None
    """A factor for each class, in the order of the class numbers; without it, 1.

    "balanced": rows / (classes * rows of the class) of the training split, as scikit-learn has it.
    """

    @property
    def counts_classes(self) -> bool:
        """Return whether the weights follow from the training split."""
        return self.weight == "balanced"

    def balanced(self, counts: Sequence[int]) -> Self:
        """Return the loss with the weights that these numbers of rows of each class give."""
        total = sum(counts)
        return self.model_copy(update={"weight": tuple(total / (len(counts) * max(1, count)) for count in counts)})

    def class_axis(self, output: Shape, target: Shape) -> int | None:
        """Return axis 1 or the last axis; None where neither leaves the axes of the targets."""
        if output.rank != target.rank + 1:
            return None
        if output.dims[:1] + output.dims[2:] == target.dims:
            return 1
        return output.rank - 1 if output.dims[:-1] == target.dims else None

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse targets that are not class numbers, and outputs that are not one number for each class.

        Raises:
            ShapeError: the shapes or dtypes do not fit, or there is not one weight for each class.
        """
        name = type(self).__name__
        if target.dtype != "int64":
            raise ShapeError(
                f"{name} needs class numbers, but the data gives targets {target}",
                'use {"type": "MSELoss"} for numbers',
            )
        axis = self.class_axis(output, target)
        if output.dtype != "float32" or axis is None or not isinstance(output.dims[axis], int):
            wanted = f"({', '.join(map(str, (*target.dims, 'classes')))})"
            flatten = '{"type": "Flatten"} and ' if target.rank == 1 else ""
            raise ShapeError(
                f"{name} needs {self.output_name.replace('_', ' ')} {wanted}, but the model gives {output}",
                f'end with {flatten}{{"type": "Linear", "out_features": "classes"}}',
            )
        require_weights(self, "weight", None if self.weight == "balanced" else self.weight, output, axis)

    def arrangement(self, output: Shape, target: Shape) -> Arrangement:
        """Return what joins batch and sequence into one axis, where the classes stand last."""
        return super().arrangement(output, target) if self.class_axis(output, target) == 1 else _joined


class _Weighted(_Classes):
    """What the losses share whose mean is weighted by the classes, and leaves some targets out."""

    ignore_index: Integer = -100
    """The class number of targets that do not count."""

    @property
    def ignored(self) -> int:
        """Return ignore_index."""
        return self.ignore_index

    def mass(self, target: Tensor) -> Tensor:
        """Return what the mean over these targets is divided by: the sum of their weights."""
        import torch

        counted = target != self.ignore_index
        if not isinstance(self.weight, tuple):
            return counted.sum(dtype=torch.float64)
        weights = torch.tensor(self.weight, dtype=torch.float64, device=target.device)
        return (weights[target.where(counted, 0)] * counted).sum()


class CrossEntropyLoss(_Weighted):
    """Negative log of the probability of the right class; takes logits, so the model ends without a softmax.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
    """

    output_name = "logits"

    type: Literal["CrossEntropyLoss"]
    label_smoothing: Probability = 0.0
    """Share of each target spread evenly over all classes."""

    @property
    def takes_probabilities(self) -> bool:
        """Return whether no class is left out: probabilities have none that torch could."""
        return self.ignore_index < 0


class NLLLoss(_Weighted):
    """Negative log of the probability of the right class; the model ends with a LogSoftmax.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
    """

    output_name = "log_probabilities"

    type: Literal["NLLLoss"]


class MultiMarginLoss(_Classes):
    """What the scores of the other classes lack to stay a margin below that of the right class.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html
    """

    output_name: ClassVar[str] = "scores"

    type: Literal["MultiMarginLoss"]
    p: Literal[1, 2] = 1
    """The power of each difference."""
    margin: Number = 1.0
    """By how much the right class is to win."""

    def arrangement(self, output: Shape, target: Shape) -> Arrangement:
        """Return what brings the classes to axis 1 of two: torch takes no other shape."""
        if output.rank == 2:
            return super().arrangement(output, target)
        return _joined if self.class_axis(output, target) != 1 else _moved


def _joined(output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    return output.flatten(0, -2), target.flatten()  # (N · T, classes), (N · T,)


def _moved(output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    return _joined(output.movedim(1, -1), target)
