"""Attention within windows of images: ShiftedWindowAttention."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.layer import Layer, Sizes, agreed, axis_size, kind, require_float
from zoo.layers.sequence import divided
from zoo.shapes import Shape
from zoo.strict import Count, Dropped, Field, model_validator

if TYPE_CHECKING:
    from torch import nn

Side = Annotated[int, Field(ge=1, le=256)]
Step = Annotated[int, Field(ge=0, le=255)]


class ShiftedWindowAttention(Layer):
    """Attention of the pixels of images (N, H, W, C) to those of their window, with a learned bias for each offset.

    Sides that the windows do not fill are padded at their ends for the attention.

    Source: https://docs.pytorch.org/vision/stable/models/swin_transformer.html and Liu et al. 2021,
    https://arxiv.org/abs/2103.14030, section 3.2
    """

    type: Literal["ShiftedWindowAttention"]
    dim: Count | None = None
    """Channels of the images; follows from the layer above, and is checked when written."""
    window_size: tuple[Side, Side]
    """[height, width] of a window in pixels."""
    shift_size: tuple[Step, Step] = (0, 0)
    """How far the windows are shifted down and to the right; none reaches from one end of the images to the other."""
    num_heads: Count
    """How many attentions work side by side, each on its share of the channels."""
    qkv_bias: bool = True
    """Learn additive biases of queries, keys and values."""
    proj_bias: bool = True
    """Learn an additive bias of what comes out."""
    attention_dropout: Dropped = 0.0
    """In training, the share of attention weights set to zero."""
    dropout: Dropped = 0.0
    """In training, the share of zeros put into what comes out."""

    @model_validator(mode="after")
    def _shift_is_smaller(self) -> Self:
        if any(shift >= side for shift, side in zip(self.shift_size, self.window_size, strict=True)):
            raise ValueError("shift_size must be smaller than window_size; write half of it")
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no images with their channels last, of floats and of known sizes; the heads do not
                share the channels evenly; or a single window is to be shifted.
        """
        require_float(self, shape)
        if shape.rank != 4:
            remedy = 'bring the channels to the end: {"type": "Permute", "dims": [0, 2, 3, 1]} above it'
            raise ShapeError(f"{kind(self)} needs images (N, H, W, C)", remedy)
        channels = agreed(self, "dim", self.dim, axis_size(self, shape, 3), "channels")
        divided(self, "num_heads", self.num_heads, channels)
        for axis, (window, shift) in enumerate(zip(self.window_size, self.shift_size, strict=True), start=1):
            if axis_size(self, shape, axis) <= window and shift:
                message = f"{kind(self)} needs several windows on axis {axis} to shift them"
                raise ShapeError(message, "write 0 there, or a smaller window_size", "shift_size")
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """Return torchvision's class of the same name."""
        from torchvision.models.swin_transformer import ShiftedWindowAttention as Module

        sizes = axis_size(self, shape, 3), list(self.window_size), list(self.shift_size), self.num_heads
        module: nn.Module = Module(*sizes, self.qkv_bias, self.proj_bias, self.attention_dropout, self.dropout)
        return module

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of the table of biases, and of the two projections."""
        size = axis_size(self, shape, 3)
        table = prod(2 * side - 1 for side in self.window_size), self.num_heads
        sizes: dict[str, Sizes] = {"relative_position_bias_table": table}
        for name, out, bias in (("qkv", 3 * size, self.qkv_bias), ("proj", size, self.proj_bias)):
            sizes |= {f"{name}.weight": (out, size)} | ({f"{name}.bias": (out,)} if bias else {})
        return sizes

    def multiply_adds(self, shape: Shape) -> int:
        """Return those of the projections and of the attention, at each pixel of the padded images."""
        size = axis_size(self, shape, 3)
        sides = zip((axis_size(self, shape, axis) for axis in (1, 2)), self.window_size, strict=True)
        pixels = prod(-(-side // window) * window for side, window in sides)
        return pixels * size * (4 * size + 2 * prod(self.window_size))
