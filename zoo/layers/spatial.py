"""Spatial layers: what layers share that work along the last one, two or three axes of (N, C, ...).

How many places a window has on an axis: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Annotated, ClassVar, Literal

from zoo.errors import ShapeError
from zoo.layers.layer import Layer, kind
from zoo.layers.namesake import Namesake
from zoo.shapes import Dimension, Shape
from zoo.strict import LARGEST_SIZE, Count, Field

Margin = Annotated[int, Field(ge=0, le=LARGEST_SIZE)]
"""How far an axis is padded."""
ONE = Field(min_length=1, max_length=1)
TWO = Field(min_length=2, max_length=2)
THREE = Field(min_length=3, max_length=3)
Counts1 = Count | Annotated[tuple[Count, ...], ONE]
Counts2 = Count | Annotated[tuple[Count, ...], TWO]
Counts3 = Count | Annotated[tuple[Count, ...], THREE]
Margins1 = Margin | Annotated[tuple[Margin, ...], ONE]
Margins2 = Margin | Annotated[tuple[Margin, ...], TWO]
Margins3 = Margin | Annotated[tuple[Margin, ...], THREE]

Mode = Literal["zeros", "constant", "reflect", "replicate", "circular"]
"""What a padding holds."""

AXES = {1: "sequences (N, C, L)", 2: "images (N, C, H, W)", 3: "volumes (N, C, D, H, W)"}
MOST_NUMBERS = 2**60  # in one row; torch counts the bytes of a tensor in 64 bits


class Spatial(Namesake):
    """What every layer has that works along the last `axes` axes of (N, C, ...)."""

    axes: ClassVar[int]

    def sides(self, shape: Shape) -> tuple[Dimension, ...]:
        """Return the sizes of the axes after the channels.

        Raises:
            ShapeError: there are more or fewer of them.
        """
        require_axes(self, shape, self.axes)
        return shape.dims[2:]


@dataclass(frozen=True)
class Window:
    """A window that slides along one axis."""

    kernel: int
    stride: int = 1
    before: int = 0
    """Padding at the start."""
    after: int = 0
    """Padding at the end."""
    dilation: int = 1
    ceil: bool = False
    """The last window may reach beyond the end."""

    @property
    def reach(self) -> int:
        """Return how many places of the axis lie under the window, the gaps of its dilation included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def smallest(self) -> int:
        """Return the smallest axis on which the window has a place."""
        return max(1, self.reach - self.before - self.after - (self.stride - 1 if self.ceil else 0))

    def places(self, size: int) -> int:
        """Return how many places the window has on an axis of `size`."""
        room = size + self.before + self.after - self.reach
        places = (-(-room // self.stride) if self.ceil else room // self.stride) + 1
        # No window begins in the padding at the end.
        return places - 1 if self.ceil and (places - 1) * self.stride >= size + self.before else places

    @property
    def keeps(self) -> bool:
        """Return whether it has as many places as the axis is long, on every axis."""
        return self.stride == 1 and self.places(1) == 1


def spread(option: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """Return an option's number for each axis."""
    return option if isinstance(option, tuple) else (option,) * axes


def require_axes(layer: Layer, shape: Shape, axes: int) -> None:
    """Refuse a tensor that has not exactly `axes` axes after the batch and the channels."""
    if shape.rank != axes + 2:
        name, given = kind(layer), shape.rank - 2
        remedy = f"bring the rows to {axes + 1} axes first, for instance with an Unflatten or a Flatten above it"
        if given in AXES and name.endswith(f"{axes}d"):
            remedy = f"write {name[:-2]}{given}d, which takes {AXES[given]}"
        raise ShapeError(f"{name} needs {AXES[axes]}", remedy)


def slid(layer: Layer, sides: tuple[Dimension, ...], windows: tuple[Window, ...]) -> tuple[Dimension, ...]:
    """Return how many places the windows have on each axis.

    Raises:
        ShapeError: a window is larger than its axis, or an axis of unknown length would change.
    """
    return tuple(
        resized(layer, axis, side, window.places, window.keeps, window.smallest, "kernel_size")
        for axis, (side, window) in enumerate(zip(sides, windows, strict=True), start=2)
    )


def resized(
    layer: Layer,
    axis: int,
    side: Dimension,
    rule: Callable[[int], int],
    keeps: bool,
    smallest: int = 1,
    option: str = "",
) -> Dimension:
    """Return the size of an axis after a layer.

    Args:
        layer: who changes it.
        axis: which one.
        side: its size.
        rule: its size afterwards.
        keeps: whether every size stays as it is.
        smallest: the smallest size that the layer takes.
        option: what to blame where the axis is smaller.

    Raises:
        ShapeError: it is smaller, it becomes empty or too large, or its length is unknown and would change.
    """
    if isinstance(side, str):
        if keeps:
            return side
        raise ShapeError(
            f"{kind(layer)} needs a known length on axis {axis}, which it changes",
            "write options that keep every length (stride 1, and a padding that makes up for the kernel), or give it "
            "rows of one length",
        )
    if side < smallest:
        raise ShapeError(
            f"{kind(layer)} needs axis {axis} to be {smallest:,} or longer",
            "write a smaller one, more padding, or fewer layers above that shrink it",
            option,
        )
    return indexable(layer, axis, rule(side))


def require_paddable(layer: Layer, mode: Mode, axis: int, side: Dimension, ends: tuple[int, int]) -> None:
    """Refuse an axis that is too short for its padding.

    Args:
        layer: who pads.
        mode: what the padding holds.
        axis: which axis.
        side: its size; every length has at least 1.
        ends: how far it is padded at its start and its end; less than 0 cuts off.
    """
    size = 1 if isinstance(side, str) else side
    longest, left = max(ends), size + min(0, ends[0]) + min(0, ends[1])
    if mode in ("zeros", "constant") and left < 0:
        message = f"{kind(layer)} needs axis {axis} to be as long as what its padding cuts off"
        raise ShapeError(message, "write a padding that leaves some of it", "padding")
    # Beyond these, torch refuses; where a circle would wrap around what is cut off, it reads what it has not written.
    limit = {"reflect": size - 1, "circular": left}.get(mode, longest)
    if longest > limit:
        known = "" if isinstance(side, int) else ", whatever its length"
        raise ShapeError(
            f"{kind(layer)} needs axis {axis} to be {'longer than' if mode == 'reflect' else 'at least'} its padding "
            f"of {longest:,}{known}",
            "write a smaller padding, or pad with zeros" if known else f"write at most {max(0, limit):,}",
            "padding",
        )


def indexable(layer: Layer, axis: int, size: int) -> int:
    """Return `size`.

    Raises:
        ShapeError: an axis of this size is empty, or too long for a runtime to index.
    """
    if not 1 <= size <= LARGEST_SIZE:
        message = f"{kind(layer)} needs an axis {axis} that does not become {size:,} long"
        raise ShapeError(message, f"write options that give it a size from 1 to {LARGEST_SIZE:,}")
    return size


def holdable(layer: Layer, shape: Shape) -> Shape:
    """Return `shape`.

    Raises:
        ShapeError: one row of it has more numbers than torch can count.
    """
    if prod(size for size in shape.dims if isinstance(size, int)) > MOST_NUMBERS:
        raise ShapeError(f"{kind(layer)} needs smaller sizes: no machine holds a tensor {shape}", "write smaller sizes")
    return shape


def positions(shape: Shape) -> int:
    """Return how many places the axes after the channels have; a length that nothing bounds counts as one."""
    longest = shape.longest or 1
    return prod(longest if isinstance(size, str) else size for size in shape.dims[2:])
