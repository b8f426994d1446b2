"""Transforms of torchvision v2: what happens to an image between the file and the model."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Number, Positive, Strict

if TYPE_CHECKING:
    from torch import nn


class Transform(Strict):
    """What every transform has."""

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape that comes out when `shape` goes in.

        Raises:
            ShapeError: torchvision would refuse this input. The message says what the transform needs; the check adds
                what it is given, and by whom.
        """

    @abstractmethod
    def build(self) -> nn.Module:
        """Return the torchvision transform; it works on one image and on a batch alike."""


class ToDtype(Transform):
    """Converts the numbers; with scale, 0…255 becomes 0…1.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ToDtype.html
    """

    type: Literal["ToDtype"]
    dtype: Literal["float32"]
    """The dtype that comes out."""
    scale: bool = False
    """Divide by the largest value of the old dtype."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the new dtype."""
        return shape.with_dtype(self.dtype)

    def build(self) -> nn.Module:
        """Return torchvision.transforms.v2.ToDtype."""
        import torch
        from torchvision.transforms import v2

        module: nn.Module = v2.ToDtype(getattr(torch, self.dtype), scale=self.scale)
        return module


class Normalize(Transform):
    """(x - mean) / std for each channel.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Normalize.html
    """

    type: Literal["Normalize"]
    mean: Annotated[tuple[Number, ...], Field(min_length=1, max_length=1024)]
    """One number for each channel, or one for all."""
    std: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=1024)]
    """One number for each channel, or one for all."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: the numbers are not floats, or there are other than 1 or `channels` means or deviations.
        """
        if shape.dtype != "float32":
            raise ShapeError(
                "Normalize needs float32 numbers",
                'put {"type": "ToDtype", "dtype": "float32", "scale": true} before it',
            )
        if shape.rank != 4:
            raise ShapeError("Normalize needs images (N, channels, height, width)", "remove the Normalize")
        for option, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, shape.row[0]):
                remedy = "write one number for all channels" + (f", or {shape.row[0]}" if shape.row[0] > 1 else "")
                raise ShapeError(f"Normalize needs images of {len(numbers)} channels", remedy, option)
        return shape

    def build(self) -> nn.Module:
        """Return torchvision.transforms.v2.Normalize."""
        from torchvision.transforms import v2

        module: nn.Module = v2.Normalize(list(self.mean), list(self.std))
        return module


AnyTransform = Annotated[Normalize | ToDtype, Field(discriminator="type")]
