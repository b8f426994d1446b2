"""Layers that look up a learned vector for each token: Embedding, EmbeddingBag."""

from __future__ import annotations

from typing import Literal, Self

from zoo.errors import ShapeError
from zoo.layers.layer import Sizes, Tied, kind
from zoo.layers.namesake import Namesake
from zoo.shapes import Shape
from zoo.strict import Count, Integer, Positive, Size, model_validator


class _Table(Namesake):
    """What Embedding and EmbeddingBag share."""

    num_embeddings: Size
    """How many different tokens there are, or "vocabulary"."""
    embedding_dim: Count
    """Size of each vector."""
    padding_idx: Integer | None = None
    """The token that stands for nothing: its vector is zero at first and never learns; negative counts from the end."""
    max_norm: Positive | None = None
    """Vectors longer than this are shortened to it when they are looked up."""
    norm_type: Positive = 2.0
    """The p of the p-norm that measures them; only with max_norm."""
    scale_grad_by_freq: bool = False
    """Divide each vector's gradient by how often its token stands in the batch."""

    @model_validator(mode="after")
    def _norm_is_used(self) -> Self:
        if self.max_norm is None and self.norm_type != 2.0:
            raise ValueError("norm_type says nothing without max_norm; write max_norm, or remove norm_type")
        return self

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the size of the table."""
        return {"weight": (int(self.num_embeddings), self.embedding_dim)}

    def _require_tokens(self, shape: Shape) -> None:
        if shape.dtype != "int64":
            raise ShapeError(f"{kind(self)} needs tokens, whole numbers of int64", "use data that gives tokens")
        last = int(self.num_embeddings) - 1
        if self.padding_idx is not None and not -last - 1 <= self.padding_idx <= last:
            message = f"{kind(self)} needs padding_idx {self.padding_idx} to be one of its {last + 1} tokens"
            raise ShapeError(message, f"write a number from 0 to {last}", "padding_idx")


class Embedding(_Table, Tied):
    """A learned vector for each token: (N, T) of tokens -> (N, T, embedding_dim).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html
    """

    type: Literal["Embedding"]

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the vectors as its last axis.

        Raises:
            ShapeError: these are no tokens, or `padding_idx` is none of them.
        """
        self._require_tokens(shape)
        return shape.with_dims(*shape.dims, self.embedding_dim).with_dtype("float32")


class EmbeddingBag(_Table):
    """The mean, sum or largest of the vectors of each row's tokens: (N, T) of tokens -> (N, embedding_dim).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.EmbeddingBag.html
    """

    type: Literal["EmbeddingBag"]
    mode: Literal["sum", "mean", "max"] = "mean"
    """How the vectors of a row become one."""

    @model_validator(mode="after")
    def _gradients_are_scaled(self) -> Self:
        if self.scale_grad_by_freq and self.mode == "max":
            raise ValueError('torch cannot scale gradients by frequency with the mode "max"; write another mode')
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return (N, embedding_dim).

        Raises:
            ShapeError: these are not rows of tokens (N, T), or `padding_idx` is none of them.
        """
        self._require_tokens(shape)
        if shape.rank != 2:
            raise ShapeError("EmbeddingBag needs rows of tokens (N, T)", "bring the rows into that form above it")
        return Shape("N", self.embedding_dim)
