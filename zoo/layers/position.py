"""Layers that give sequences their order, and images the form of sequences.

PositionalEmbedding, ClassToken, PatchEmbedding.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.layer import Emitter, Function, Layer, Sizes, agreed, axis_size, kind, require_float
from zoo.layers.sequence import width
from zoo.shapes import Shape, Value
from zoo.strict import Count, Field, NonNegative, model_validator

if TYPE_CHECKING:
    from torch import Tensor, nn


def positions(layer: Layer, shape: Shape, written: int | None, option: str = "num_positions") -> int:
    """Return how many positions a table of them holds: as many as written, or as the longest sequence has.

    Args:
        layer: whose table it is.
        shape: (N, length, features).
        written: the layer's num_positions.
        option: where the layer says num_positions.

    Raises:
        ShapeError: a sequence may be longer than written, or nobody says how long one may be.
    """
    length = shape.dims[1] if isinstance(shape.dims[1], int) else shape.longest
    if length is None and written is None:
        raise ShapeError(f"{kind(layer)} needs to know the longest sequence", "write num_positions", option)
    if length is not None and written is not None and written < length:
        message = f"{kind(layer)} needs num_positions to be {length} or more"
        raise ShapeError(message, f"remove num_positions (it follows from the data), or write {length}", option)
    count = length if written is None else written
    assert count is not None  # one of the two is there
    return count


def first_positions(table: Any, x: Any, shape: Shape, count: int) -> Any:
    """Return the proxy of as many rows of `table` as the sequences `x` have steps."""
    # Any: torch.fx has proxies in the places of tensors.
    return table if shape.dims[1] == count else table[: x.size(1)]


class PositionalEmbedding(Function):
    """Adds to each step of a sequence (N, T, C) a vector that stands for its position.

    Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.5
    """

    type: Literal["PositionalEmbedding"]
    kind: Literal["learned", "sinusoidal"] = "learned"
    """"learned": a parameter; "sinusoidal": sines and cosines of the position, which are not learned."""
    num_positions: Count | None = None
    """Length of the longest sequence; follows from the layer above or from the data's context."""
    std: NonNegative = 0.02
    """Standard deviation of the learned vectors at first."""

    @model_validator(mode="after")
    def _std_is_used(self) -> Self:
        if self.kind == "sinusoidal" and self.std != 0.02:
            raise ValueError("std says nothing where nothing is learned; remove std")
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `shape` is not (N, length, features) of floats, or there are too few positions.
        """
        width(self, shape, "", None)
        positions(self, shape, self.num_positions)
        return shape

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the sum."""
        import torch

        shape, x = values[0], inputs[0]
        assert isinstance(shape, Shape)  # infer has judged it
        count = positions(self, shape, self.num_positions)
        size = (count, axis_size(self, shape, -1))
        if self.kind == "learned":
            table = emitter.parameter("weight", torch.empty(size).normal_(std=self.std))
        else:
            table = emitter.buffer("table", sinusoids(*size))
        return x + first_positions(table, x, shape, count)

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the size of the learned table."""
        count = positions(self, shape, self.num_positions)
        return {"weight": (count, axis_size(self, shape, -1))} if self.kind == "learned" else {}


def sinusoids(count: int, size: int) -> Tensor:
    """Return sin(p / 10000^(2i / size)) at column 2i and its cosine at 2i + 1, for the positions p below `count`."""
    import torch

    place = torch.arange(count, dtype=torch.float64).unsqueeze(1)
    angle = place * torch.exp(torch.arange(0, size, 2, dtype=torch.float64) * (-log(10000.0) / size))
    table = torch.empty(count, size, dtype=torch.float64)
    table[:, 0::2] = angle.sin()
    table[:, 1::2] = angle[:, : size // 2].cos()
    return table.float()


class ClassToken(Function):
    """Puts learned steps before each sequence, one unless written: (N, T, C) -> (N, T + num_tokens, C).

    Source: Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929, equation 1
    """

    type: Literal["ClassToken"]
    num_tokens: Annotated[int, Field(ge=1, le=65_536)] = 1
    """How many: one for the class; several are registers, or queries that a Narrow takes from the sequence."""
    std: NonNegative = 0.0
    """Standard deviation of the tokens at first; several that begin alike stay alike until positions are added."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with so many steps more.

        Raises:
            ShapeError: `shape` is not (N, length, features) of floats, or its length is not known.
        """
        width(self, shape, "", None)
        return shape.with_dims("N", axis_size(self, shape, 1) + self.num_tokens, shape.dims[2])

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the tokens, and the sequence behind them."""
        import torch

        (shape,), (x,) = values, inputs
        assert isinstance(shape, Shape)  # infer has judged it
        size = (1, self.num_tokens, axis_size(self, shape, 2))
        drawn = torch.empty(size).normal_(std=self.std) if self.std else torch.zeros(size)
        token: Any = emitter.parameter("token", drawn)
        return torch.cat([token.expand(x.size(0), -1, -1), x], 1)

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of the tokens."""
        return {"token": (1, self.num_tokens, axis_size(self, shape, 2))}


class PatchEmbedding(Function):
    """Cuts images into patches and maps each to a vector: (N, C, H, W) -> (N, patches, embed_dim), row by row.

    Source: Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929, equation 1
    """

    type: Literal["PatchEmbedding"]
    in_channels: Count | None = None
    """Channels of the images; follows from the layer above, and is checked when written."""
    embed_dim: Count
    """Size of each vector."""
    patch_size: Count | tuple[Count, Count]
    """Side of a patch in pixels, or [height, width]."""
    bias: bool = True
    """Learn an additive bias."""

    @property
    def patch(self) -> tuple[int, int]:
        """Return height and width of a patch."""
        return (self.patch_size, self.patch_size) if isinstance(self.patch_size, int) else self.patch_size

    def output_shape(self, shape: Shape) -> Shape:
        """Return (N, patches, embed_dim).

        Raises:
            ShapeError: these are no images of floats and of known sizes, or the patches do not fill them.
        """
        require_float(self, shape)
        if shape.rank != 4:
            raise ShapeError("PatchEmbedding needs images (N, C, H, W)", "put it first, or below layers on images")
        agreed(self, "in_channels", self.in_channels, axis_size(self, shape, 1), "channels")
        sides = axis_size(self, shape, 2), axis_size(self, shape, 3)
        if any(side % patch for side, patch in zip(sides, self.patch, strict=True)):
            message = f"PatchEmbedding needs images whose sides are multiples of {self.patch[0]} × {self.patch[1]}"
            raise ShapeError(message, "write another patch_size, or resize the images in data.transforms", "patch_size")
        return shape.with_dims("N", (sides[0] // self.patch[0]) * (sides[1] // self.patch[1]), self.embed_dim)

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return a convolution whose stride is its kernel, its positions in one row."""
        (shape,), (x,) = values, inputs
        assert isinstance(shape, Shape)  # infer has judged it
        return emitter.module(self._projection(shape), "projection")(x).flatten(2).transpose(1, 2)

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of the projection."""
        weight = (self.embed_dim, axis_size(self, shape, 1), *self.patch)
        return {"projection.weight": weight} | ({"projection.bias": (self.embed_dim,)} if self.bias else {})

    def multiply_adds(self, shape: Shape) -> int:
        """Return the numbers of an image times embed_dim."""
        return shape.row_size * self.embed_dim

    def _projection(self, shape: Shape) -> nn.Module:
        from torch import nn

        return nn.Conv2d(axis_size(self, shape, 1), self.embed_dim, self.patch, self.patch, bias=self.bias)
