"""Dropout layers: Dropout, Dropout1d, Dropout2d, Dropout3d, AlphaDropout, FeatureAlphaDropout."""

from __future__ import annotations

from typing import ClassVar, Literal

from zoo.errors import ShapeError
from zoo.layers.layer import Elementwise, kind, require_float
from zoo.layers.namesake import Namesake
from zoo.shapes import Shape
from zoo.strict import Dropped


class Dropping(Namesake):
    """What every dropout layer has."""

    shares_input: ClassVar[bool] = True
    p: Dropped = 0.5
    """Probability that a number, or a whole channel, is dropped."""
    inplace: bool = False
    """Overwrite the input; saves memory."""


class Dropout(Elementwise, Dropping):
    """In training, sets each number to zero with probability p and scales the others by 1 / (1 - p).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
    """

    type: Literal["Dropout"]


class AlphaDropout(Elementwise, Dropping):
    """In training, drops numbers so that mean 0 and variance 1 stay, as SELU wants.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AlphaDropout.html
    """

    type: Literal["AlphaDropout"]


class ChannelDropout(Dropping):
    """What every dropout layer has that drops whole channels."""

    rank: ClassVar[int]
    """The rank of the shapes that the layer takes."""
    wanted: ClassVar[str]
    """Those shapes, as a message writes them."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `shape` has another rank, or the numbers are not floats.
        """
        require_float(self, shape)
        if shape.rank != self.rank:
            fitting = {3: "Dropout1d", 4: "Dropout2d", 5: "Dropout3d"}.get(shape.rank, "Dropout")
            raise ShapeError(f"{kind(self)} needs {self.wanted}", f"write {fitting}")
        return shape


class Dropout1d(ChannelDropout):
    """In training, sets whole channels of a sequence to zero with probability p and scales the others by 1 / (1 - p).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout1d.html
    """

    type: Literal["Dropout1d"]
    rank: ClassVar[int] = 3
    wanted: ClassVar[str] = "sequences (N, C, L)"


class Dropout2d(ChannelDropout):
    """In training, sets whole channels of an image to zero with probability p and scales the others by 1 / (1 - p).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html
    """

    type: Literal["Dropout2d"]
    rank: ClassVar[int] = 4
    wanted: ClassVar[str] = "images (N, C, H, W)"


class Dropout3d(ChannelDropout):
    """In training, sets whole channels of a volume to zero with probability p and scales the others by 1 / (1 - p).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout3d.html
    """

    type: Literal["Dropout3d"]
    rank: ClassVar[int] = 5
    wanted: ClassVar[str] = "volumes (N, C, D, H, W)"


class FeatureAlphaDropout(Dropping):
    """In training, drops whole channels so that mean 0 and variance 1 stay, as SELU wants.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.FeatureAlphaDropout.html
    """

    type: Literal["FeatureAlphaDropout"]

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: there are no channels on axis 1, or the numbers are not floats.
        """
        require_float(self, shape)
        if shape.rank < 2:
            raise ShapeError("FeatureAlphaDropout needs channels (N, C, …)", "write AlphaDropout")
        return shape
