"""Layers that deal numbers out anew: Fold, Unfold, PixelShuffle, PixelUnshuffle, ChannelShuffle."""

from __future__ import annotations

from math import prod
from typing import ClassVar, Literal

from zoo.errors import ShapeError
from zoo.layers.layer import axis_size, kind, require_float
from zoo.layers.namesake import Namesake
from zoo.layers.spatial import (
    AXES,
    Counts2,
    Margins2,
    Spatial,
    Window,
    holdable,
    indexable,
    slid,
    spread,
)
from zoo.shapes import Dimension, Shape
from zoo.strict import Count


class Blocks(Spatial):
    """What Fold and Unfold have: blocks that slide over images."""

    axes: ClassVar[int] = 2

    kernel_size: Counts2
    """Sides of a block."""
    dilation: Counts2 = 1
    """Steps from one number of a block to the next."""
    padding: Margins2 = 0
    """Zeros at both ends of each axis of the images."""
    stride: Counts2 = 1
    """Steps from one block to the next."""

    @property
    def kernel(self) -> int:
        """Return how many places a block has."""
        return prod(spread(self.kernel_size, self.axes))

    def blocks(self, sides: tuple[Dimension, ...]) -> int:
        """Return how many blocks images of these sides have.

        Raises:
            ShapeError: a block is larger than the padded images, or a side is not known.
        """
        options = (self.kernel_size, self.stride, self.padding, self.padding, self.dilation)
        windows = tuple(Window(*numbers) for numbers in zip(*(spread(o, self.axes) for o in options), strict=True))
        places = [side if isinstance(side, int) else 0 for side in slid(self, sides, windows)]
        if 0 in places:
            raise ShapeError(f"{kind(self)} needs images of known sizes", "give it rows of one length")
        return prod(places)


class Unfold(Blocks):
    """Cuts images (N, C, H, W) into blocks, which may overlap: (N, C · kernel, blocks).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Unfold.html
    """

    type: Literal["Unfold"]

    def output_shape(self, shape: Shape) -> Shape:
        """Return (N, C * kernel, blocks).

        Raises:
            ShapeError: `shape` is not (N, C, H, W) of floats, or a block is larger than the padded images.
        """
        require_float(self, shape)
        blocks = indexable(self, 2, self.blocks(self.sides(shape)))
        return holdable(self, shape.with_dims("N", indexable(self, 1, axis_size(self, shape, 1) * self.kernel), blocks))


class Fold(Blocks):
    """Puts blocks (N, C · kernel, blocks) together to images (N, C, *output_size); adds where they overlap.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Fold.html
    """

    type: Literal["Fold"]
    output_size: Counts2
    """Height and width of the images."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return (N, C, *output_size).

        Raises:
            ShapeError: `shape` is not (N, C * kernel, blocks) of floats for images of output_size.
        """
        require_float(self, shape)
        if shape.rank != 3:
            raise ShapeError("Fold needs blocks (N, C · kernel, blocks)", "put an Unfold above it")
        sides = spread(self.output_size, self.axes)
        channels, blocks = axis_size(self, shape, 1), self.blocks(sides)
        if channels % self.kernel:
            message = f"Fold needs axis 1 to be a multiple of the {self.kernel} numbers of a block"
            raise ShapeError(message, "write the kernel_size of the Unfold above", "kernel_size")
        if axis_size(self, shape, 2) != blocks:
            message = f"Fold needs {blocks:,} blocks for images of {list(sides)}"
            raise ShapeError(message, "write the output_size that these blocks are of", "output_size")
        return holdable(self, shape.with_dims("N", channels // self.kernel, *sides))


class PixelShuffle(Namesake):
    """Moves channels into space: (N, C · r², H, W) becomes (N, C, H · r, W · r).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html
    """

    type: Literal["PixelShuffle"]
    upscale_factor: Count
    """r."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return (..., C, H * r, W * r).

        Raises:
            ShapeError: there are too few axes, or the channels are no multiple of r².
        """
        channels, height, width = _image(self, shape)
        factor = self.upscale_factor
        if channels % factor**2:
            message = f"PixelShuffle needs the channels ({channels}) to be a multiple of upscale_factor² ({factor**2})"
            raise ShapeError(message, "write another factor, or other channels above", "upscale_factor")
        sides = (indexable(self, shape.rank - 2, height * factor), indexable(self, shape.rank - 1, width * factor))
        return shape.with_dims(*shape.dims[:-3], channels // factor**2, *sides)


class PixelUnshuffle(Namesake):
    """Moves space into channels: (N, C, H · r, W · r) becomes (N, C · r², H, W).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html
    """

    type: Literal["PixelUnshuffle"]
    downscale_factor: Count
    """r."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return (..., C * r², H / r, W / r).

        Raises:
            ShapeError: there are too few axes, or r does not divide a side.
        """
        channels, height, width = _image(self, shape)
        factor = self.downscale_factor
        if height % factor or width % factor:
            message = (
                f"PixelUnshuffle needs sides ({height}, {width}) that are multiples of downscale_factor ({factor})"
            )
            raise ShapeError(message, "write a factor that divides both sides, or pad them above", "downscale_factor")
        more = indexable(self, shape.rank - 3, channels * factor**2)
        return shape.with_dims(*shape.dims[:-3], more, height // factor, width // factor)


class ChannelShuffle(Namesake):
    """Deals the channels of each group out over all groups.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html
    """

    type: Literal["ChannelShuffle"]
    groups: Count
    """Groups of channels."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: there is no axis after the channels, or the groups do not divide them.
        """
        if shape.rank < 3:
            raise ShapeError("ChannelShuffle needs (N, C, ...), with axes after the channels", "remove it")
        channels = axis_size(self, shape, 1)
        if channels % self.groups:
            message = f"ChannelShuffle needs the channels ({channels}) to be a multiple of groups ({self.groups})"
            raise ShapeError(message, f"write groups that divide {channels}", "groups")
        return shape


def _image(layer: Namesake, shape: Shape) -> tuple[int, int, int]:
    if shape.rank < 4:
        remedy = "give it rows (C, H, W), for instance with an Unflatten above it"
        raise ShapeError(f"{kind(layer)} needs {AXES[2]}", remedy)
    return axis_size(layer, shape, -3), axis_size(layer, shape, -2), axis_size(layer, shape, -1)
