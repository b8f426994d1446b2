"""Recurrent layers: RNN, LSTM, GRU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.layer import Sizes, kind
from zoo.layers.namesake import Namesake
from zoo.layers.sequence import Depth, steps, width
from zoo.shapes import Shape, Value
from zoo.strict import LARGEST_SIZE, Count, Dropped, Field, model_validator

if TYPE_CHECKING:
    from torch import nn


class Recurrent(Namesake):
    """What every layer has that goes through a sequence (N, length, features) step by step."""

    gates: ClassVar[int] = 1
    """How many gates decide each number of the state."""

    input_size: Count | None = None
    """Features of each step; follows from the layer above, and is checked when written."""
    hidden_size: Count
    """Features of the state."""
    num_layers: Depth = 1
    """How many are stacked, each fed by the one below."""
    bias: bool = True
    """Learn additive biases."""
    dropout: Dropped = 0.0
    """In training, the share of zeros put into what each layer but the last gives."""
    bidirectional: bool = False
    """Go through the sequence backwards too; both results stand side by side."""

    @model_validator(mode="after")
    def _dropout_is_used(self) -> Self:
        if self.dropout and self.num_layers == 1:
            raise ValueError(
                "dropout says nothing in a single layer; write num_layers 2 or more, or put a Dropout below"
            )
        return self

    @property
    def ways(self) -> int:
        """Return 2 where the sequence is gone through in both directions."""
        return 2 if self.bidirectional else 1

    @property
    def state_size(self) -> int:
        """Return the features of what each step hands on."""
        return self.hidden_size

    def output_shape(self, shape: Shape) -> Value:
        """Return the outputs (N, length, ways · state), and the last states (layers · ways, N, state).

        Raises:
            ShapeError: `shape` is not (N, length, features) of floats, or `input_size` differs.
        """
        width(self, shape, "input_size", self.input_size)
        if self.state_size * self.ways > LARGEST_SIZE:
            raise ShapeError(f"{kind(self)} needs an output that can be indexed", "write a smaller one", "hidden_size")
        return shape.with_dims(*shape.dims[:2], self.ways * self.state_size), self.states()

    def states(self) -> Value:
        """Return the shape of the last states."""
        return Shape(self.num_layers * self.ways, "N", self.state_size)

    def build(self, shape: Shape) -> nn.Module:
        """Return torch's class of the same name, with the batch on the first axis."""
        from torch import nn

        options = self._options() | {"input_size": width(self, shape, "input_size", None), "batch_first": True}
        module: nn.Module = getattr(nn, kind(self))(**options)  # whose signature hides the options behind *args
        return module

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of each weight and bias, layer by layer."""
        sizes: dict[str, Sizes] = {}
        given = width(self, shape, "input_size", None)
        for layer in range(self.num_layers):
            for way in ("", "_reverse")[: self.ways]:
                sizes |= {f"{name}_l{layer}{way}": size for name, size in self._weights(given).items()}
            given = self.ways * self.state_size
        return sizes

    def multiply_adds(self, shape: Shape) -> int:
        """Return the length times the numbers in all weights."""
        sizes = self.parameter_shapes(shape).values()
        return steps(shape) * sum(size[0] * size[1] for size in sizes if len(size) == 2)

    def _weights(self, given: int) -> dict[str, Sizes]:
        rows = self.gates * self.hidden_size
        biases: dict[str, Sizes] = {"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}
        return {"weight_ih": (rows, given), "weight_hh": (rows, self.state_size), **biases}


class RNN(Recurrent):
    """h = tanh(W x + V h + b), step by step. Gives (outputs, last states); Select takes one of them.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html
    """

    type: Literal["RNN"]
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """What is applied to the sum."""


class GRU(Recurrent):
    """Gated recurrent units. Gives (outputs, last states); Select takes one of them.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html
    """

    gates: ClassVar[int] = 3
    type: Literal["GRU"]


class LSTM(Recurrent):
    """Long short-term memory. Gives (outputs, (last states, last cells)); Select takes one of them.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
    """

    keeps_output: ClassVar[bool] = True
    gates: ClassVar[int] = 4
    type: Literal["LSTM"]
    proj_size: Annotated[int, Field(ge=0, le=LARGEST_SIZE)] = 0
    """Features that the state is projected to before it is handed on; 0 for no projection."""

    @model_validator(mode="after")
    def _projection_is_smaller(self) -> Self:
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size must be smaller than hidden_size; write a smaller one, or remove proj_size")
        return self

    @property
    def state_size(self) -> int:
        """Return the features of what each step hands on."""
        return self.proj_size or self.hidden_size

    def states(self) -> Value:
        """Return the shapes of the last states and cells."""
        cells = Shape(self.num_layers * self.ways, "N", self.hidden_size)
        return super().states(), cells

    def _weights(self, given: int) -> dict[str, Sizes]:
        projection: dict[str, Sizes] = {"weight_hr": (self.proj_size, self.hidden_size)} if self.proj_size else {}
        return super()._weights(given) | projection
