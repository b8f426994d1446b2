"""Losses of yes and no, one or several for each row: binary cross entropy, hinge and soft margins."""

from __future__ import annotations

from typing import Literal

from zoo.errors import ShapeError
from zoo.losses.loss import Loss, Pairwise, Weights, require_weights
from zoo.shapes import Shape
from zoo.strict import Number


class _Weighted(Pairwise):
    weight: Weights | None = None
    """A factor for each number along the last axis; without it, 1."""

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse shapes that differ, and weights that do not stand along the last axis.

        Raises:
            ShapeError: the shapes or dtypes differ, or the number of weights is another.
        """
        super().require(output, target)
        require_weights(self, "weight", self.weight, output, -1)


class BCELoss(_Weighted):
    """Binary cross entropy of probabilities: the model ends with a Sigmoid.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
    """

    output_name = "probabilities"

    type: Literal["BCELoss"]


class BCEWithLogitsLoss(_Weighted):
    """Binary cross entropy of logits: the model ends without a Sigmoid.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    """

    output_name = "logits"

    type: Literal["BCEWithLogitsLoss"]
    pos_weight: Weights | None = None
    """A factor for the positive targets, for each number along the last axis; above 1 finds more of them."""

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse shapes that differ, and weights that do not stand along the last axis.

        Raises:
            ShapeError: the shapes or dtypes differ, or the number of weights is another.
        """
        super().require(output, target)
        require_weights(self, "pos_weight", self.pos_weight, output, -1)


class HingeEmbeddingLoss(Pairwise):
    """The output itself where the target is 1; where it is -1, what the output lacks to the margin.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html
    """

    output_name = "distance"

    type: Literal["HingeEmbeddingLoss"]
    margin: Number = 1.0
    """The distance beyond which a negative pair costs nothing."""


class SoftMarginLoss(Pairwise):
    """log(1 + exp(-target · output)), for targets of 1 and -1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SoftMarginLoss.html
    """

    output_name = "scores"

    type: Literal["SoftMarginLoss"]


class MultiLabelSoftMarginLoss(_Weighted):
    """Binary cross entropy of logits, averaged over the labels of each row.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelSoftMarginLoss.html
    """

    output_name = "logits"

    type: Literal["MultiLabelSoftMarginLoss"]

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse shapes that differ, and rows without an axis of labels.

        Raises:
            ShapeError: the shapes or dtypes differ, a row has no axis, or the number of weights is another.
        """
        super().require(output, target)
        if output.rank < 2:
            message = f"MultiLabelSoftMarginLoss needs logits (N, labels), but the model gives {output}"
            raise ShapeError(message, 'use {"type": "BCEWithLogitsLoss"} for one label')


class MultiLabelMarginLoss(Loss):
    """Margin between each label that a row has and each that it has not; targets are label numbers, then -1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelMarginLoss.html
    """

    output_name = "scores"

    type: Literal["MultiLabelMarginLoss"]

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse targets that are not label numbers, and outputs that are not one score for each label.

        Raises:
            ShapeError: the shapes or dtypes do not fit.
        """
        if target.dtype != "int64" or target.rank != 2:
            raise ShapeError(
                f"MultiLabelMarginLoss needs label numbers (N, labels), but the data gives targets {target}",
                'use {"type": "CrossEntropyLoss"} for one class in each row',
            )
        if output != target.with_dtype("float32") or not isinstance(output.dims[1], int):
            wanted = target.with_dtype("float32")
            message = f"MultiLabelMarginLoss needs scores {wanted}, but the model gives {output}"
            raise ShapeError(message, f"make the last layer give {wanted}")
