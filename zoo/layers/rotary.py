"""Rotary positions: options, angles, how queries and keys are turned, and RotaryEmbedding, which turns them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import ShapeError
from zoo.layers.layer import Emitter, Function, features
from zoo.layers.position import positions
from zoo.shapes import Shape, Value
from zoo.strict import Count, Positive, Strict

if TYPE_CHECKING:
    from torch import Tensor


class Rotary(Strict):
    """Rotary positions: each pair of features of queries and keys is turned by an angle that grows with the position.

    Source: Su et al. 2021, https://arxiv.org/abs/2104.09864, section 3.2
    """

    base: Positive = 10000.0
    """Pair i of d features turns by base^(-2i / d) at each step."""
    interleaved: bool = False
    """Pair neighbours, (0, 1), (2, 3) …; false pairs the first half with the second."""
    num_positions: Count | None = None
    """Length of the longest sequence; follows from the layer above or from the data's context."""


def angles(count: int, size: int, base: float, interleaved: bool) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (count, size) of the angles by which each feature is turned at each position."""
    import torch

    speed = base ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angle = torch.arange(count, dtype=torch.float64).unsqueeze(1) * speed
    angle = angle.repeat_interleave(2, 1) if interleaved else torch.cat([angle, angle], 1)
    return angle.cos().float(), angle.sin().float()


def turned(x: Any, tables: tuple[Any, Any], interleaved: bool) -> Any:
    """Return x · cos + (x turned by a quarter) · sin: proxies, all of them."""
    # Any: torch.fx has proxies in the places of tensors.
    import torch

    if interleaved:
        quarter = torch.stack([-x[..., 1::2], x[..., 0::2]], -1).flatten(-2)
    else:
        first, second = x.chunk(2, -1)[0], x.chunk(2, -1)[1]
        quarter = torch.cat([-second, first], -1)
    return x * tables[0] + quarter * tables[1]


class RotaryEmbedding(Rotary, Function):
    """Turns the queries or the keys of an attention (N, …, T, features) by the positions of their steps.

    Source: Su et al. 2021, https://arxiv.org/abs/2104.09864, section 3.2
    """

    type: Literal["RotaryEmbedding"]

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no sequences of floats with an even number of features, or positions are too few.
        """
        size = features(self, shape)
        if shape.rank < 3:
            raise ShapeError("RotaryEmbedding needs sequences (N, …, T, features)", "bring the rows into that form")
        if size % 2:
            message = f"RotaryEmbedding turns pairs of features, but there are {size}"
            raise ShapeError(message, "give it an even number of them")
        self._count(shape)
        return shape

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the turned sequence."""
        (shape,), (x,) = values, inputs
        assert isinstance(shape, Shape)  # infer has judged it
        count = self._count(shape)
        cosines, sines = angles(count, features(self, shape), self.base, self.interleaved)
        first = slice(None) if shape.dims[-2] == count else slice(x.size(-2))
        tables: list[Any] = [emitter.buffer("cosines", cosines), emitter.buffer("sines", sines)]
        return turned(x, (tables[0][first], tables[1][first]), self.interleaved)

    def _count(self, shape: Shape) -> int:
        return positions(self, shape.with_dims("N", *shape.dims[-2:]), self.num_positions)
