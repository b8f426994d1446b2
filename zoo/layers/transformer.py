"""Transformer layers: TransformerEncoderLayer, TransformerDecoderLayer, TransformerEncoder, TransformerDecoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.layer import Emitter, Function, LayerId, Sizes, kind
from zoo.layers.normalization import LayerNorm
from zoo.layers.sequence import Depth, attention_cost, causal_mask, divided, sequence, steps, width
from zoo.shapes import Shape, Value
from zoo.strict import Count, Dropped, Positive, model_validator

if TYPE_CHECKING:
    from torch import nn


class _TransformerLayer(Function):
    """What the layers of an encoder and of a decoder share."""

    attentions: ClassVar[tuple[str, ...]] = ("self_attn",)

    d_model: Count | None = None
    """Features of each step; follows from the layer above, and is checked when written."""
    nhead: Count
    """How many attentions work side by side, each on its share of the features."""
    dim_feedforward: Count = 2048
    """Features between the two linear maps."""
    dropout: Dropped = 0.1
    """In training, the share of zeros put into attention weights and into what each part gives."""
    activation: Literal["relu", "gelu"] = "relu"
    """The function between the two linear maps."""
    layer_norm_eps: Positive = 1e-5
    """Added to the variance when a step is normalised."""
    norm_first: bool = False
    """Normalise what goes into each part, instead of what comes out."""
    bias: bool = True
    """Learn additive biases."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `shape` is not (N, length, features) of floats, or an option does not fit it.
        """
        divided(self, "nhead", self.nhead, width(self, shape, "d_model", self.d_model))
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """Return torch's class of the same name, with the batch on the first axis."""
        from torch import nn

        options = {name: getattr(self, name) for name in _TransformerLayer.model_fields if name not in self._plain()}
        options |= {"d_model": width(self, shape, "", None), "batch_first": True}
        module: nn.Module = getattr(nn, kind(self))(**options)
        return module

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of the attentions, the linear maps and the normalisations."""
        size, inner = width(self, shape, "", None), self.dim_feedforward
        weights: dict[str, Sizes] = {}
        for name in self.attentions:
            weights |= {f"{name}.in_proj_": (3 * size, size), f"{name}.out_proj.": (size, size)}
        weights |= {"linear1.": (inner, size), "linear2.": (size, inner)}
        weights |= {f"norm{number + 1}.": (size,) for number in range(len(self.attentions) + 1)}
        sizes: dict[str, Sizes] = {}
        for name, weight in weights.items():
            sizes |= {f"{name}weight": weight} | ({f"{name}bias": weight[:1]} if self.bias else {})
        return sizes

    def cost(self, values: tuple[Value, ...]) -> int:
        """Return those of the attentions, one for each value, and of the linear maps."""
        shape = values[0]
        assert isinstance(shape, Shape)  # infer has judged it
        size, length = width(self, shape, "", None), steps(shape)
        attended = [steps(value) for value in values if isinstance(value, Shape)]
        attention = sum(attention_cost(length, seen, size, 2 * size) for seen in attended)
        return attention + 2 * length * size * self.dim_feedforward

    @staticmethod
    def _plain() -> frozenset[str]:
        return frozenset(Function.model_fields)


class TransformerEncoderLayer(_TransformerLayer):
    """Self-attention and two linear maps, each added to its input and normalised: (N, T, C) -> (N, T, C).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html
    """

    type: Literal["TransformerEncoderLayer"]
    is_causal: bool = False
    """Let no step see a later one."""

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return what the module makes of the sequence."""
        (shape,), (x,) = values, inputs
        assert isinstance(shape, Shape)  # infer has judged it
        options = {"src_mask": causal_mask(x), "is_causal": True} if self.is_causal else {}
        return emitter.module(self.build(shape))(x, **options)


class TransformerDecoderLayer(_TransformerLayer):
    """Self-attention, attention to a memory and two linear maps, each added to its input and normalised.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoderLayer.html
    """

    attentions: ClassVar[tuple[str, ...]] = ("self_attn", "multihead_attn")

    type: Literal["TransformerDecoderLayer"]
    memory: LayerId
    """The id of a layer whose output (N, S, C) is attended to."""
    tgt_is_causal: bool = False
    """Let no step see a later one of its own sequence."""

    @property
    def joined(self) -> tuple[str, ...]:
        """Return the id of the memory."""
        return (self.memory,)

    def infer(self, values: tuple[Value, ...]) -> Value:
        """Return the shape of the first input.

        Raises:
            ShapeError: an input is not (N, length, features) of floats, or an option does not fit it.
        """
        given = super().infer(values[:1])
        assert isinstance(given, Shape)  # output_shape gives one
        memory = sequence(self, values[1])
        if memory.dims[2] != given.dims[2]:
            message = f"{kind(self)} needs a memory of {given.dims[2]} features"
            raise ShapeError(message, f'put {{"type": "Linear", "out_features": {given.dims[2]}}} below it', "memory")
        return given

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return what the module makes of the sequence and its memory."""
        shape, (x, memory) = values[0], inputs
        assert isinstance(shape, Shape)  # infer has judged it
        return emitter.module(self.build(shape))(x, memory, **self.mask(x))

    def mask(self, x: Any) -> dict[str, Any]:
        """Return the options that hide later steps."""
        return {"tgt_mask": causal_mask(x), "tgt_is_causal": True} if self.tgt_is_causal else {}


class _Stack(Function):
    """What TransformerEncoder and TransformerDecoder share; their layers begin as copies of one."""

    part: ClassVar[str]
    """The option that holds the layer that is repeated."""

    num_layers: Depth
    """How many layers stand above one another."""
    norm: LayerNorm | None = None
    """Normalises what the last one gives."""

    @property
    def repeated(self) -> _TransformerLayer:
        """Return the layer that is repeated."""
        layer = getattr(self, self.part)
        assert isinstance(layer, _TransformerLayer)  # as both classes declare it
        return layer

    @property
    def joined(self) -> tuple[str, ...]:
        """Return the ids that the repeated layer looks into."""
        return self.repeated.joined

    @model_validator(mode="after")
    def _parts_have_no_place(self) -> Self:
        parts = (self.repeated, *((self.norm,) if self.norm else ()))
        if any(part.id or part.source for part in parts):
            raise ValueError('id and from say nothing inside this layer; write them beside its "type"')
        return self

    def infer(self, values: tuple[Value, ...]) -> Value:
        """Return the shape of the first input.

        Raises:
            ShapeError: the repeated layer or the norm refuses it.
        """
        option = self.part
        try:
            given = self.repeated.infer(values)
            option = "norm"
            return given if self.norm is None else self.norm.infer((given,))
        except ShapeError as error:
            raise ShapeError(error.message, error.remedy, option) from error

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of each layer's weights, then those of the norm."""
        each = self.repeated.parameter_shapes(shape)
        sizes = {f"layers.{at}.{name}": size for at in range(self.num_layers) for name, size in each.items()}
        norm = {} if self.norm is None else self.norm.parameter_shapes(shape)
        return sizes | {f"norm.{name}": size for name, size in norm.items()}

    def cost(self, values: tuple[Value, ...]) -> int:
        """Return those of all layers."""
        return self.num_layers * self.repeated.cost(values)

    # Any: torch asks for its own class of the first part.
    def _parts(self, shape: Shape) -> tuple[Any, int, nn.Module | None]:
        norm = None if self.norm is None else self.norm.build(shape)
        return self.repeated.build(shape), self.num_layers, norm


class TransformerEncoder(_Stack):
    """A stack of equal encoder layers; a Repeat of them is the same, but draws each one's weights anew.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html
    """

    part: ClassVar[str] = "encoder_layer"

    type: Literal["TransformerEncoder"]
    encoder_layer: TransformerEncoderLayer
    """The layer that is repeated."""

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return what the module makes of the sequence."""
        from torch import nn

        (shape,), (x,) = values, inputs
        assert isinstance(shape, Shape)  # infer has judged it
        module = nn.TransformerEncoder(*self._parts(shape), enable_nested_tensor=False)
        options = {"mask": causal_mask(x), "is_causal": True} if self.encoder_layer.is_causal else {}
        return emitter.module(module)(x, **options)


class TransformerDecoder(_Stack):
    """A stack of equal decoder layers that attend to one memory.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoder.html
    """

    part: ClassVar[str] = "decoder_layer"

    type: Literal["TransformerDecoder"]
    decoder_layer: TransformerDecoderLayer
    """The layer that is repeated; it names the memory."""

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return what the module makes of the sequence and its memory."""
        from torch import nn

        shape, (x, memory) = values[0], inputs
        assert isinstance(shape, Shape)  # infer has judged it
        module = nn.TransformerDecoder(*self._parts(shape))
        return emitter.module(module)(x, memory, **self.decoder_layer.mask(x))
