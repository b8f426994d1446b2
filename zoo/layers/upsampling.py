"""Upsampling layers: Upsample, UpsamplingNearest2d, UpsamplingBilinear2d."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.layer import kind, require_float
from zoo.layers.namesake import Namesake
from zoo.layers.spatial import AXES, TWO, Counts2, holdable, require_axes, resized
from zoo.shapes import Dimension, Shape
from zoo.strict import Count, Field, Positive, model_validator

INTERPOLATING = {"linear": (1,), "bilinear": (2,), "bicubic": (2,), "trilinear": (3,)}  # mode -> axes


class Resized(Namesake):
    """What every layer has that brings tensors to a size or scales them."""

    size: Count | tuple[Count, ...] | None = None
    """Sizes of what comes out; this or scale_factor."""
    scale_factor: Positive | tuple[Positive, ...] | None = None
    """Sizes of what comes out, as multiples of the input's; this or size."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.size is None) == (self.scale_factor is None):
            raise ValueError(f"{kind(self)} needs either size or scale_factor; write one of the two")
        return self

    def resampled(self, shape: Shape, axes: int) -> Shape:
        """Return (N, C, ...) with other sizes.

        Raises:
            ShapeError: `shape` has not the right axes or no floats, or an axis becomes empty.
        """
        require_float(self, shape)
        require_axes(self, shape, axes)
        option = "scale_factor" if self.size is None else "size"
        written = getattr(self, option)
        if isinstance(written, tuple) and len(written) != axes:
            message = f"{kind(self)} needs as many numbers in {option} as there are axes, {axes}"
            raise ShapeError(message, "write one number for each axis after the channels, or one for all", option)
        numbers = written if isinstance(written, tuple) else (written,) * axes
        sides = (self._side(*place) for place in enumerate(zip(shape.dims[2:], numbers, strict=True), start=2))
        return holdable(self, shape.with_dims(*shape.dims[:2], *sides))

    def _side(self, axis: int, place: tuple[Dimension, float]) -> Dimension:
        side, number = place
        if self.size is not None:
            return int(number)
        return resized(self, axis, side, partial(_scaled, number), keeps=number == 1)


def _scaled(factor: float, size: int) -> int:
    return int(size * factor)


class Upsample(Resized):
    """Enlarges, or shrinks, sequences, images or volumes (N, C, ...).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html
    """

    type: Literal["Upsample"]
    size: Count | Annotated[tuple[Count, ...], Field(min_length=1, max_length=3)] | None = None
    scale_factor: Positive | Annotated[tuple[Positive, ...], Field(min_length=1, max_length=3)] | None = None
    mode: Literal["nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear"] = "nearest"
    """How numbers between two are found; linear is for sequences, bilinear and bicubic for images, trilinear for
    volumes."""
    align_corners: bool | None = None
    """Keep the corner numbers as they are; only where the mode interpolates."""
    recompute_scale_factor: bool | None = None
    """Interpolate by the ratio of the two sizes in the place of scale_factor."""

    @model_validator(mode="after")
    def _options_mean_something(self) -> Self:
        if self.align_corners is not None and self.mode not in INTERPOLATING:
            raise ValueError(f'align_corners says nothing in mode "{self.mode}"; remove it, or write another mode')
        if self.recompute_scale_factor is not None and (self.scale_factor is None or self.mode == "area"):
            raise ValueError('recompute_scale_factor says nothing beside size or in mode "area"; remove it')
        return self

    def output_shape(self, shape: Shape) -> Shape:
        """Return (N, C, ...) with size, or floor(size * scale_factor), along each axis.

        Raises:
            ShapeError: `shape` has not the axes of the mode or no floats, or an axis becomes empty.
        """
        possible = INTERPOLATING.get(self.mode, (1, 2, 3))
        axes = shape.rank - 2
        if axes not in possible:
            wanted = " or ".join(AXES[number] for number in possible)
            modes = [mode for mode, numbers in INTERPOLATING.items() if axes in numbers]
            remedy = (
                f"write one of the modes nearest, {', '.join(modes)}" if modes else "bring the rows to such axes first"
            )
            raise ShapeError(f'Upsample with mode "{self.mode}" needs {wanted}', remedy, "mode")
        return self.resampled(shape, axes)


class UpsamplingNearest2d(Resized):
    """Enlarges images (N, C, H, W) by repeating numbers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingNearest2d.html
    """

    type: Literal["UpsamplingNearest2d"]
    size: Counts2 | None = None
    scale_factor: Positive | Annotated[tuple[Positive, ...], TWO] | None = None

    def output_shape(self, shape: Shape) -> Shape:
        """Return (N, C, H, W) with size, or floor(size * scale_factor), along each side."""
        return self.resampled(shape, 2)


class UpsamplingBilinear2d(Resized):
    """Enlarges images (N, C, H, W) by bilinear interpolation; the corner numbers stay.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingBilinear2d.html
    """

    type: Literal["UpsamplingBilinear2d"]
    size: Counts2 | None = None
    scale_factor: Positive | Annotated[tuple[Positive, ...], TWO] | None = None

    def output_shape(self, shape: Shape) -> Shape:
        """Return (N, C, H, W) with size, or floor(size * scale_factor), along each side."""
        return self.resampled(shape, 2)
