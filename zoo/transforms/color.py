"""Transforms of the channels: Grayscale, RGB."""

from __future__ import annotations

from typing import Literal

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.transforms.transform import Transform, image_axes


class Grayscale(Transform):
    """Makes an image grey.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Grayscale.html
    """

    type: Literal["Grayscale"]
    num_output_channels: Literal[1, 3] = 1
    """1, or 3 equal ones."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with `num_output_channels` channels.

        Raises:
            ShapeError: these are no images of 1 or 3 channels.
        """
        channels, *sides = image_axes(self, shape)
        if channels not in (1, 3):
            raise ShapeError("Grayscale needs images of 1 or 3 channels", "remove the Grayscale")
        return shape.with_dims("N", self.num_output_channels, *sides)


class RGB(Transform):
    """Makes three equal channels of a grey image; a coloured one stays as it is.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RGB.html
    """

    type: Literal["RGB"]

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with 3 channels.

        Raises:
            ShapeError: these are no images of 1 or 3 channels.
        """
        channels, *sides = image_axes(self, shape)
        if channels not in (1, 3):
            raise ShapeError("RGB needs images of 1 or 3 channels", "remove the RGB")
        return shape.with_dims("N", 3, *sides)
