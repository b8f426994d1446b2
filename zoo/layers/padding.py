"""Padding layers: constants, zeros, reflections, replications and circles around one, two or three axes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from zoo.errors import ShapeError
from zoo.layers.layer import kind, require_float
from zoo.layers.spatial import Mode, Spatial, holdable, require_paddable, resized
from zoo.shapes import Dimension, Shape
from zoo.strict import Field, Integer, Number

Ends1 = Integer | Annotated[tuple[Integer, ...], Field(min_length=2, max_length=2)]
Ends2 = Integer | Annotated[tuple[Integer, ...], Field(min_length=4, max_length=4)]
Ends3 = Integer | Annotated[tuple[Integer, ...], Field(min_length=6, max_length=6)]

RANGES = {"bool": (0, 1), "uint8": (0, 255)}  # of the dtypes that hold fewer whole numbers than a float


class Pad(Spatial):
    """What every padding layer has."""

    mode: ClassVar[Mode] = "constant"

    padding: int | tuple[int, ...]
    """At all ends; or at start and end of the last axis, then of the one before it, and so on. Less than 0 cuts off."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape` with longer or shorter last axes.

        Raises:
            ShapeError: `shape` has not the right axes or numbers, or an axis is too short for its padding.
        """
        self.require_input(shape)
        sides: list[Dimension] = []
        for axis, (start, end) in enumerate(self.ends(), start=shape.rank - self.axes):
            side = shape.dims[axis]
            require_paddable(self, self.mode, axis, side, (start, end))
            sides.append(resized(self, axis, side, (start + end).__add__, keeps=start + end == 0))
        return holdable(self, shape.with_dims(*shape.dims[: -self.axes], *sides))

    def require_input(self, shape: Shape) -> None:
        """Refuse integers and other axes than (N, C, ...)."""
        require_float(self, shape)
        self.sides(shape)

    def ends(self) -> tuple[tuple[int, int], ...]:
        """Return how far each axis is padded at its start and its end, in the order of the axes."""
        if isinstance(self.padding, int):
            return ((self.padding, self.padding),) * self.axes
        return tuple(zip(self.padding[-2::-2], self.padding[::-2], strict=True))


class ZeroPad(Pad):
    """What every layer has that pads with zeros: any numbers go in, and any axes before the padded ones."""

    def require_input(self, shape: Shape) -> None:
        """Refuse tensors that have only padded axes: the batch stays as it is."""
        if shape.rank <= self.axes:
            remedy = f"give it rows of {self.axes} axes or more"
            raise ShapeError(f"{kind(self)} needs {self.axes} axes after the batch", remedy)


class ConstantPad(ZeroPad):
    """What every layer has that pads with a constant."""

    value: Number
    """What the padding holds."""

    def require_input(self, shape: Shape) -> None:
        """Refuse a constant that the dtype does not hold, and tensors that have only padded axes."""
        super().require_input(shape)
        low, high = RANGES.get(shape.dtype, (-(2**53), 2**53))
        if shape.dtype != "float32" and not (self.value == int(self.value) and low <= self.value <= high):
            message = f"{kind(self)} needs a value that {shape.dtype} holds, not {self.value:g}"
            raise ShapeError(message, f"write a whole number from {low} to {high}", "value")

    # Any: torch's own argument types.
    def sizes(self, shape: Shape) -> dict[str, Any]:
        """Return the constant as a float: TorchScript takes no whole number."""
        return {"value": float(self.value)}


class CircularPad(Pad):
    """What every layer has that pads with the other end: any numbers go in."""

    mode: ClassVar[Mode] = "circular"

    def require_input(self, shape: Shape) -> None:
        """Refuse other axes than (N, C, ...)."""
        self.sides(shape)


class ConstantPad1d(ConstantPad):
    """Pads the last axis with a constant.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["ConstantPad1d"]
    padding: Ends1


class ConstantPad2d(ConstantPad):
    """Pads the last two axes with a constant.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["ConstantPad2d"]
    padding: Ends2


class ConstantPad3d(ConstantPad):
    """Pads the last three axes with a constant.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad3d.html
    """

    axes: ClassVar[int] = 3

    type: Literal["ConstantPad3d"]
    padding: Ends3


class ZeroPad1d(ZeroPad):
    """Pads the last axis with zeros.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["ZeroPad1d"]
    padding: Ends1


class ZeroPad2d(ZeroPad):
    """Pads the last two axes with zeros.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["ZeroPad2d"]
    padding: Ends2


class ZeroPad3d(ZeroPad):
    """Pads the last three axes with zeros.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad3d.html
    """

    axes: ClassVar[int] = 3

    type: Literal["ZeroPad3d"]
    padding: Ends3


class ReflectionPad1d(Pad):
    """Pads sequences (N, C, L) with their own reflection.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad1d.html
    """

    axes: ClassVar[int] = 1
    mode: ClassVar[Mode] = "reflect"

    type: Literal["ReflectionPad1d"]
    padding: Ends1


class ReflectionPad2d(Pad):
    """Pads images (N, C, H, W) with their own reflection.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad2d.html
    """

    axes: ClassVar[int] = 2
    mode: ClassVar[Mode] = "reflect"

    type: Literal["ReflectionPad2d"]
    padding: Ends2


class ReflectionPad3d(Pad):
    """Pads volumes (N, C, D, H, W) with their own reflection.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad3d.html
    """

    axes: ClassVar[int] = 3
    mode: ClassVar[Mode] = "reflect"

    type: Literal["ReflectionPad3d"]
    padding: Ends3


class ReplicationPad1d(Pad):
    """Pads sequences (N, C, L) with the numbers at their edges.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad1d.html
    """

    axes: ClassVar[int] = 1
    mode: ClassVar[Mode] = "replicate"

    type: Literal["ReplicationPad1d"]
    padding: Ends1


class ReplicationPad2d(Pad):
    """Pads images (N, C, H, W) with the numbers at their edges.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad2d.html
    """

    axes: ClassVar[int] = 2
    mode: ClassVar[Mode] = "replicate"

    type: Literal["ReplicationPad2d"]
    padding: Ends2


class ReplicationPad3d(Pad):
    """Pads volumes (N, C, D, H, W) with the numbers at their edges.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad3d.html
    """

    axes: ClassVar[int] = 3
    mode: ClassVar[Mode] = "replicate"

    type: Literal["ReplicationPad3d"]
    padding: Ends3


class CircularPad1d(CircularPad):
    """Pads sequences (N, C, L) with the numbers from their other ends.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad1d.html
    """

    axes: ClassVar[int] = 1

    type: Literal["CircularPad1d"]
    padding: Ends1


class CircularPad2d(CircularPad):
    """Pads images (N, C, H, W) with the numbers from their other ends.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad2d.html
    """

    axes: ClassVar[int] = 2

    type: Literal["CircularPad2d"]
    padding: Ends2


class CircularPad3d(CircularPad):
    """Pads volumes (N, C, D, H, W) with the numbers from their other ends.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad3d.html
    """

    axes: ClassVar[int] = 3

    type: Literal["CircularPad3d"]
    padding: Ends3
