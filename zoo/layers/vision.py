"""Layers of torchvision.ops: SqueezeExcitation, StochasticDepth, DropBlock2d, DropBlock3d."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.layer import Layer, Sizes, agreed, axis_size, kind, require_float
from zoo.shapes import Shape
from zoo.strict import Count, Dropped, Positive, model_validator

if TYPE_CHECKING:
    from torch import nn

Activation = Literal["ReLU", "ReLU6", "GELU", "Hardsigmoid", "Hardswish", "Mish", "SiLU", "Sigmoid", "Tanh"]


def _sides(layer: Layer, shape: Shape, rank: int) -> tuple[int, ...]:
    require_float(layer, shape)
    if shape.rank != rank:
        axes = "images (N, C, H, W)" if rank == 4 else "volumes (N, C, D, H, W)"
        raise ShapeError(f"{kind(layer)} needs {axes}", "put it below layers that give them")
    return tuple(axis_size(layer, shape, axis) for axis in range(1, rank))


class SqueezeExcitation(Layer):
    """Scales each channel of images (N, C, H, W) by a number that two 1 × 1 convolutions make of all channels' means.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.SqueezeExcitation.html
    """

    type: Literal["SqueezeExcitation"]
    input_channels: Count | None = None
    """Channels of the images; follows from the layer above, and is checked when written."""
    squeeze_channels: Count
    """Channels between the two convolutions."""
    activation: Activation = "ReLU"
    """The function between them."""
    scale_activation: Activation = "Sigmoid"
    """The function that makes the factors."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `shape` is not (N, C, H, W) of floats and of known sizes, or `input_channels` differs.
        """
        agreed(self, "input_channels", self.input_channels, _sides(self, shape, 4)[0], "channels")
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """Return torchvision.ops.SqueezeExcitation."""
        from torch import nn
        from torchvision.ops import SqueezeExcitation as Module

        functions = getattr(nn, self.activation), getattr(nn, self.scale_activation)
        module: nn.Module = Module(axis_size(self, shape, 1), self.squeeze_channels, *functions)
        return module

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of the two convolutions."""
        wide, narrow = axis_size(self, shape, 1), self.squeeze_channels
        return {
            "fc1.weight": (narrow, wide, 1, 1),
            "fc1.bias": (narrow,),
            "fc2.weight": (wide, narrow, 1, 1),
            "fc2.bias": (wide,),
        }

    def multiply_adds(self, shape: Shape) -> int:
        """Return those of the convolutions."""
        return 2 * axis_size(self, shape, 1) * self.squeeze_channels


class StochasticDepth(Layer):
    """In training, sets whole rows to zero with probability p and scales the others by 1 / (1 - p).

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.StochasticDepth.html
    """

    shares_input: ClassVar[bool] = True
    type: Literal["StochasticDepth"]
    p: Dropped
    """Probability of zeros."""
    mode: Literal["batch", "row"]
    """"row" decides for each row, "batch" for all rows at once."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: the numbers are not floats.
        """
        require_float(self, shape)
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """Return torchvision.ops.StochasticDepth."""
        from torchvision.ops import StochasticDepth as Module

        module: nn.Module = Module(self.p, self.mode)
        return module


class _DropBlock(Layer):
    """What DropBlock2d and DropBlock3d share."""

    shares_input: ClassVar[bool] = True
    rank: ClassVar[int]

    p: Dropped
    """Share of the numbers set to zero."""
    block_size: Count
    """Side of each block; odd. A side of the input that is shorter bounds it."""
    inplace: bool = False
    """Overwrite the input; saves memory."""
    eps: Positive = 1e-6
    """Added to the count of kept numbers, by which they are scaled."""

    @model_validator(mode="after")
    def _block_is_odd(self) -> Self:
        if self.block_size % 2 == 0:
            raise ValueError("block_size must be odd; write one more or one less")
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no floats of this rank and of known sizes, or a side is even and shorter than a block.
        """
        shortest = min(_sides(self, shape, self.rank)[1:])
        if shortest < self.block_size and shortest % 2 == 0:
            message = f"{kind(self)} needs blocks that fit into the shortest side, {shortest}"
            raise ShapeError(message, f"write {shortest - 1}", "block_size")
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """Return the class of the same name in torchvision.ops."""
        from torchvision import ops

        module: nn.Module = getattr(ops, kind(self))(self.p, self.block_size, self.inplace, self.eps)
        return module


class DropBlock2d(_DropBlock):
    """In training, sets squares of images (N, C, H, W) to zero and scales the rest.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.DropBlock2d.html
    """

    rank: ClassVar[int] = 4
    type: Literal["DropBlock2d"]


class DropBlock3d(_DropBlock):
    """In training, sets cubes of volumes (N, C, D, H, W) to zero and scales the rest.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.DropBlock3d.html
    """

    rank: ClassVar[int] = 5
    type: Literal["DropBlock3d"]
