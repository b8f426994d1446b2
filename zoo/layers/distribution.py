"""Layers whose outputs add up to 1 along an axis: Softmax, Softmin, LogSoftmax, Softmax2d."""

from __future__ import annotations

from typing import ClassVar, Literal

from zoo.errors import ShapeError
from zoo.layers.axis import Axis, apart
from zoo.layers.layer import require_float
from zoo.layers.namesake import Namesake
from zoo.shapes import Shape


class Distribution(Namesake):
    """What every layer has that gives probabilities along an axis."""

    keeps_output: ClassVar[bool] = True
    any_axes: ClassVar[bool] = True
    dim: Axis
    """The axis along which they add up to 1; torch deprecates leaving it out."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: the axis is the batch or not there, or the numbers are not floats.
        """
        require_float(self, shape)
        apart(self, "dim", self.dim, shape)
        return shape


class Softmax(Distribution):
    """exp(x), divided by its sum along an axis.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html
    """

    type: Literal["Softmax"]


class Softmin(Distribution):
    """exp(-x), divided by its sum along an axis.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmin.html
    """

    type: Literal["Softmin"]


class LogSoftmax(Distribution):
    """The logarithm of Softmax, computed exactly.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html
    """

    type: Literal["LogSoftmax"]


class Softmax2d(Namesake):
    """Softmax over the channels of each pixel.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax2d.html
    """

    keeps_output: ClassVar[bool] = True
    type: Literal["Softmax2d"]

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `shape` is not (N, C, H, W), or the numbers are not floats.
        """
        require_float(self, shape)
        if shape.rank != 4:
            raise ShapeError("Softmax2d needs images (N, C, H, W)", 'write {"type": "Softmax", "dim": 1}')
        return shape
