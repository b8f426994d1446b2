"""Layer: one entry of `model.layers` with its options, its documentation, its shape rule and its module."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, Self

from zoo.errors import ShapeError, SizeError
from zoo.shapes import Shape, Value
from zoo.strict import Field, Named, Strict

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

LayerId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
"""A name in the state dict."""

Sizes = tuple[int, ...]


class Emitter(Protocol):
    """Writes down how one layer computes, as a part of a torch.fx graph.

    What it returns are proxies: torch functions, methods and operators on them are written down as well.
    """

    def module(self, module: nn.Module, name: str = "") -> nn.Module:
        """Return `module`, to be called on proxies; it stands in the state dict at the layer's name, or below it."""

    def parameter(self, name: str, value: Tensor) -> fx.Proxy:
        """Return a learned tensor, which stands in the state dict below the layer's name."""

    def buffer(self, name: str, value: Tensor) -> fx.Proxy:
        """Return a tensor that is not learned and not in the state dict."""


class Layer(Strict):
    """What every layer has."""

    any_axes: ClassVar[bool] = False
    """Whether the layer takes tensors whose first axis is not the batch, such as the state of an LSTM."""
    functional: ClassVar[bool] = False
    """Whether the layer is written down with `emit` alone, because torch has no module for it."""
    whole: ClassVar[bool] = False
    """Whether the layer is a known model: it stands where the model stands, and its tensors keep their own names."""

    shares_input: ClassVar[bool] = False
    """Whether what it gives may be its input, or a view of it: what overwrites the one overwrites the other."""
    keeps_output: ClassVar[bool] = False
    """Whether torch computes its gradient from what it gives, so that nothing may overwrite that."""
    keeps_output_in_place: ClassVar[bool] = False
    """Whether torch does so where the layer overwrites its input."""

    id: LayerId | None = None
    """Name in the state dict and in messages; without it, the layer's position counted from 0."""
    source: Annotated[LayerId | None, Field(alias="from")] = None
    """The id of the layer whose output goes in, when it is not the one above."""

    @property
    def above(self) -> str | None:
        """Return the id of the layer whose output goes in first; None for the layer above."""
        return self.source

    @property
    def joined(self) -> tuple[str, ...]:
        """Return the ids of the layers whose outputs go in beside the first."""
        return ()

    def output_shape(self, shape: Shape) -> Value:
        """Return the shape that comes out when `shape` goes in.

        Raises:
            ShapeError: torch would refuse this input. The message says what the layer needs; the check adds what it is
                given, and by whom.
        """
        raise NotImplementedError(f"{kind(self)} takes several inputs")

    def infer(self, values: tuple[Value, ...]) -> Value:
        """Return what comes out when `values` go in: the first input, then those of `joined`.

        Raises:
            ShapeError: as `output_shape`; or an input is several tensors, or its first axis is not the batch.
        """
        shape = values[0]
        if not isinstance(shape, Shape):
            raise ShapeError(f"{kind(self)} needs one tensor", 'choose one: {"type": "Select", "index": 0} above it')
        if not (shape.batched or self.any_axes):
            raise ShapeError(
                f"{kind(self)} needs the batch on its first axis", 'bring it there: {"type": "Index"} or "Permute"'
            )
        return self.output_shape(shape)

    def build(self, shape: Shape) -> nn.Module:
        """Return the torch module for inputs of `shape`, with freshly drawn weights."""
        raise NotImplementedError(f"{kind(self)} is a function")

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the proxy of what the layer computes from the proxies of its inputs."""
        # Any: torch.fx has proxies in the places of tensors.
        (shape,) = values
        assert isinstance(shape, Shape)  # infer has judged it
        return emitter.module(self.build(shape))(*inputs)

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of each tensor the layer learns, by its name below the layer's, in torch's order."""
        return {}

    def multiply_adds(self, shape: Shape) -> int:
        """Return how many multiplications with additions one row of `shape` costs; 0 where they are not the point."""
        return 0

    def cost(self, values: tuple[Value, ...]) -> int:
        """Return the multiply-adds of one row; those of its first input, unless the others count as well."""
        value = values[0]
        while not isinstance(value, Shape):
            value = value[0]
        return self.multiply_adds(value)

    def made(self, shape: Shape) -> int | None:
        """Return how many numbers one row of `shape` makes in training; None where they are those that come out."""
        return None

    def smallest_training_batch(self, shape: Shape) -> int:
        """Return the fewest rows of `shape` that torch trains this layer on."""
        return 1

    def rests(self, frozen: Collection[str]) -> bool:
        """Return whether what needs several rows inside this layer is frozen with these tensors, and so needs one."""
        return False

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


class Tied(Layer):
    """What a layer has whose weight may be that of another one."""

    tie: LayerId | None = None
    """The id of a layer above whose weight this one uses as its own, such as that of the tokens in a language model."""


class Elementwise(Layer):
    """What every layer has that works on each number alone."""

    any_axes: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: the numbers are not floats.
        """
        require_float(self, shape)
        return shape


class Function(Layer):
    """What every layer has that is a torch function, or several, and no module."""

    functional: ClassVar[bool] = True

    @abstractmethod
    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the proxy of what the layer computes from the proxies of its inputs."""


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


def axis_size(layer: Layer, shape: Shape, axis: int) -> int:
    """Return the size of an axis that must be known.

    Raises:
        ShapeError: the axis is the batch, a sequence of any length, or not there.
    """
    size = shape.dims[axis] if -shape.rank <= axis < shape.rank else ""
    if not isinstance(size, int):
        remedy = "give it rows of known sizes" if size else "keep one in the layer above"
        raise ShapeError(f"{kind(layer)} needs axis {axis} to have a known size", remedy)
    return size


def features(layer: Layer, shape: Shape) -> int:
    """Return the size of the last axis.

    Raises:
        ShapeError: the numbers are not floats, or a row is a single number without an axis.
    """
    require_float(layer, shape)
    if shape.rank < 2:
        raise ShapeError(f"{kind(layer)} needs an axis after the batch", "keep one in the layer above")
    return axis_size(layer, shape, -1)


def agreed(layer: Layer, option: str, written: int | None, given: int, unit: str) -> int:
    """Return `given`, the size that follows from the input, after comparing it with the size written in the spec.

    Raises:
        SizeError: another size is written.
    """
    if written is not None and written != given:
        raise SizeError(
            f"{kind(layer)} expects {written} {unit}",
            f"remove {option} (it follows from the layer above), or write {given}",
            option,
        )
    return given
