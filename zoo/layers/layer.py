"""Layer: one entry of `model.layers` with its options, its documentation, its shape rule and its module."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Named, Strict

if TYPE_CHECKING:
    from torch import nn

LayerId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]


class Layer(Strict):
    """What every layer has."""

    id: LayerId | None = None
    """Name in the state dict and in messages; without it, the layer's position counted from 0."""

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape that comes out when `shape` goes in.

        Raises:
            ShapeError: torch would refuse this input. The message says what the layer needs; the check adds what it is
                given, and by whom.
        """

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """Return the torch module for inputs of `shape`, with freshly drawn weights."""

    def smallest_training_batch(self, shape: Shape) -> int:
        """Return the fewest rows of `shape` that torch trains this layer on."""
        return 1

    def with_sizes(self, sizes: Mapping[str, int]) -> Self:
        """Return the layer with its named sizes, such as "classes", replaced by numbers.

        Raises:
            ShapeError: the data knows no size of that name.
        """
        numbers = {}
        for option, declared in type(self).model_fields.items():
            name = getattr(self, option)
            if isinstance(name, str) and any(isinstance(mark, Named) for mark in declared.metadata):
                if name not in sizes:
                    raise ShapeError(f'the data has no "{name}"', "write a number, or use data that has them", option)
                numbers[option] = sizes[name]
        return self.model_copy(update=numbers)


class Elementwise(Layer):
    """What every layer has that works on each number alone."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: the numbers are not floats.
        """
        require_float(self, shape)
        return shape


def kind(layer: Layer) -> str:
    """Return the layer's type as the spec writes it."""
    return type(layer).__name__


def require_float(layer: Layer, shape: Shape) -> None:
    """Refuse integers where torch needs floats."""
    if shape.dtype != "float32":
        raise ShapeError(
            f"{kind(layer)} needs float32 numbers",
            'convert them first: {"type": "ToDtype", "dtype": "float32", "scale": true} in data.transforms',
        )


def features(layer: Layer, shape: Shape) -> int:
    """Return the size of the last axis.

    Raises:
        ShapeError: the numbers are not floats, or a row is a single number without an axis.
    """
    require_float(layer, shape)
    if shape.rank < 2:
        raise ShapeError(f"{kind(layer)} needs an axis after the batch", "keep one in the layer above")
    return shape.row[-1]


def agreed(layer: Layer, option: str, written: int | None, given: int, unit: str) -> int:
    """Return `given`, the size that follows from the input, after comparing it with the size written in the spec.

    Raises:
        ShapeError: another size is written.
    """
    if written is not None and written != given:
        raise ShapeError(
            f"{kind(layer)} expects {written} {unit}",
            f"remove {option} (it follows from the layer above), or write {given}",
            option,
        )
    return given
