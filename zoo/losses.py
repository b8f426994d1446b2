"""Losses: MSELoss, L1Loss, CrossEntropyLoss."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Probability, Strict

if TYPE_CHECKING:
    from torch import nn


class Loss(Strict):
    """What every loss has."""

    output_name: ClassVar[str] = "prediction"
    """What the model's output is called in an exported file."""

    @abstractmethod
    def require(self, output: Shape, target: Shape) -> None:
        """Refuse an output of the model that this loss cannot compare with the targets.

        Raises:
            ShapeError: the shapes or dtypes do not fit.
        """

    @abstractmethod
    def build(self) -> nn.Module:
        """Return the torch loss."""


class _Regression(Loss):
    """What the losses between numbers share."""

    reduction: Literal["mean", "sum"] = "mean"
    """Mean or sum over the numbers of a batch."""

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse shapes that differ: torch would broadcast them and compare the wrong pairs.

        Raises:
            ShapeError: the shapes or dtypes differ.
        """
        if output != target or output.dtype != "float32":
            remedy = f"make the last layer give {target}"
            if target.dtype == "int64":
                remedy = 'use {"type": "CrossEntropyLoss"} for class numbers'
            raise ShapeError(f"{type(self).__name__} compares {output} of the model with targets {target}", remedy)


class MSELoss(_Regression):
    """Mean of the squared errors.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
    """

    type: Literal["MSELoss"]

    def build(self) -> nn.Module:
        """Return torch.nn.MSELoss."""
        from torch import nn

        return nn.MSELoss(reduction=self.reduction)


class L1Loss(_Regression):
    """Mean of the absolute errors.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
    """

    type: Literal["L1Loss"]

    def build(self) -> nn.Module:
        """Return torch.nn.L1Loss."""
        from torch import nn

        return nn.L1Loss(reduction=self.reduction)


class CrossEntropyLoss(Loss):
    """Negative log of the probability of the right class; takes logits, so the model ends without a softmax.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
    """

    output_name = "logits"

    type: Literal["CrossEntropyLoss"]
    reduction: Literal["mean", "sum"] = "mean"
    """Mean or sum over the rows of a batch."""
    label_smoothing: Probability = 0.0
    """Share of each target spread evenly over all classes."""

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse targets that are not class numbers, and outputs that are not one logit for each class.

        Raises:
            ShapeError: the shapes or dtypes do not fit.
        """
        if target.dtype != "int64":
            raise ShapeError(
                f"CrossEntropyLoss needs class numbers, but the data gives targets {target}",
                'use {"type": "MSELoss"} for numbers',
            )
        if output.rank != target.rank + 1 or output.dtype != "float32" or output.dims[2:] != target.dims[1:]:
            raise ShapeError(
                f"CrossEntropyLoss needs logits (N, classes), but the model gives {output}",
                'end with {"type": "Flatten"} and {"type": "Linear", "out_features": "classes"}',
            )

    def build(self) -> nn.Module:
        """Return torch.nn.CrossEntropyLoss."""
        from torch import nn

        return nn.CrossEntropyLoss(reduction=self.reduction, label_smoothing=self.label_smoothing)


AnyLoss = Annotated[CrossEntropyLoss | L1Loss | MSELoss, Field(discriminator="type")]
