"""Transforms of the numbers: ToDtype, Normalize."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Field, Number
from zoo.transforms.transform import Transform

SMALLEST = 2.0**-126  # the smallest normal float32: below, 1 / std overflows or std is zero

Deviation = Annotated[float, Field(ge=SMALLEST, le=1e30)]


class ToDtype(Transform):
    """Converts the numbers; with scale, 0…255 becomes 0…1.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ToDtype.html
    """

    numeric: ClassVar[bool] = True

    type: Literal["ToDtype"]
    dtype: Literal["float32"]
    """The dtype that comes out."""
    scale: bool = False
    """Divide by the largest value of the old dtype."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the new dtype."""
        return shape.with_dtype(self.dtype)

    def arguments(self) -> dict[str, Any]:
        """Return the options with torch's own dtype."""
        import torch

        return {"dtype": getattr(torch, self.dtype), "scale": self.scale}


class Normalize(Transform):
    """(x - mean) / std for each channel.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Normalize.html
    """

    numeric: ClassVar[bool] = True

    type: Literal["Normalize"]
    mean: Annotated[tuple[Number, ...], Field(min_length=1, max_length=1024)]
    """One number for each channel, or one for all."""
    std: Annotated[tuple[Deviation, ...], Field(min_length=1, max_length=1024)]
    """One number for each channel, or one for all; at least the smallest normal float32."""

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
        channels = int(shape.dims[1])
        for option, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, channels):
                remedy = "write one number for all channels" + (f", or {channels}" if channels > 1 else "")
                raise ShapeError(f"Normalize needs images of {len(numbers)} channels", remedy, option)
        return shape
