"""Attention layers: MultiheadAttention, CausalSelfAttention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from zoo.errors import ShapeError
from zoo.layers.layer import Emitter, Function, LayerId, Sizes, kind
from zoo.layers.position import first_positions, positions
from zoo.layers.rotary import Rotary, angles, turned
from zoo.layers.sequence import attention_cost, causal_mask, divided, sequence, steps, width
from zoo.shapes import Dimension, Shape, Value
from zoo.strict import Count, Dropped, model_validator

if TYPE_CHECKING:
    from torch import nn


class MultiheadAttention(Function):
    """Attention of a sequence (N, T, C) to itself, or to the output of the layer that `memory` names.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html
    """

    type: Literal["MultiheadAttention"]
    memory: LayerId | None = None
    """The id of a layer whose output gives keys and values; without it, the input gives them itself."""
    embed_dim: Count | None = None
    """Features of each step; follows from the layer above, and is checked when written."""
    num_heads: Count
    """How many attentions work side by side, each on its share of the features."""
    dropout: Dropped = 0.0
    """In training, the share of attention weights set to zero."""
    bias: bool = True
    """Learn additive biases."""
    add_bias_kv: bool = False
    """Learn one key and one value that are put behind the others."""
    add_zero_attn: bool = False
    """Put a key and a value of zeros behind the others."""
    kdim: Count | None = None
    """Features of the memory; embed_dim unless written."""
    vdim: Count | None = None
    """Features of the memory as values; as kdim."""
    is_causal: bool = False
    """Let no step see a later one."""
    need_weights: bool = False
    """Give (output, attention weights) instead of the output alone."""
    average_attn_weights: bool = True
    """Give the mean of the heads' weights; false gives those of each head. Only with need_weights."""

    @model_validator(mode="after")
    def _weights_are_given(self) -> Self:
        if not (self.average_attn_weights or self.need_weights):
            raise ValueError("average_attn_weights says nothing without need_weights; write need_weights true")
        return self

    @property
    def joined(self) -> tuple[str, ...]:
        """Return the id of the memory."""
        return () if self.memory is None else (self.memory,)

    def infer(self, values: tuple[Value, ...]) -> Value:
        """Return the shape of the input, and that of the attention weights where they are asked for.

        Raises:
            ShapeError: an input is not (N, length, features) of floats, or an option does not fit it.
        """
        shape = super().infer(values[:1])
        assert isinstance(shape, Shape)  # output_shape gives one
        memory = sequence(self, values[1]) if len(values) > 1 else shape
        for option, written in (("kdim", self.kdim), ("vdim", self.vdim)):
            if memory.dims[2] != (written or shape.dims[2]):
                message = f"{kind(self)} needs a {option} that is the features of its memory, {memory.dims[2]}"
                raise ShapeError(message, f"write {memory.dims[2]}", option)
        if self.is_causal and memory.dims[1] != shape.dims[1]:
            message = f"{kind(self)} needs a memory as long as its input where later steps are hidden"
            raise ShapeError(message, "remove is_causal", "is_causal")
        return (shape, self._weights(shape, memory)) if self.need_weights else shape

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `shape` is not (N, length, features) of floats, or an option does not fit it.
        """
        divided(self, "num_heads", self.num_heads, width(self, shape, "embed_dim", self.embed_dim))
        return shape

    def _weights(self, shape: Shape, memory: Shape) -> Shape:
        seen: Dimension = memory.dims[1]
        added = self.add_bias_kv + self.add_zero_attn
        if added and not isinstance(seen, int):
            message = f"{kind(self)} needs a memory of known length to give weights with a key more"
            raise ShapeError(message, "remove need_weights, add_bias_kv or add_zero_attn", "need_weights")
        seen = seen + added if isinstance(seen, int) else seen
        heads = () if self.average_attn_weights else (self.num_heads,)
        return shape.with_dims("N", *heads, shape.dims[1], seen)

    def build(self, shape: Shape) -> nn.Module:
        """Return torch.nn.MultiheadAttention."""
        from torch import nn

        return nn.MultiheadAttention(
            width(self, shape, "", None),
            self.num_heads,
            self.dropout,
            self.bias,
            self.add_bias_kv,
            self.add_zero_attn,
            self.kdim,
            self.vdim,
            batch_first=True,
        )

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the attended sequence, and the weights where they are asked for."""
        shape, x, memory = values[0], inputs[0], inputs[-1]
        assert isinstance(shape, Shape)  # infer has judged it
        options: dict[str, Any] = {"need_weights": self.need_weights}
        if self.need_weights:
            options["average_attn_weights"] = self.average_attn_weights
        if self.is_causal:
            # torch's own causal kernel would hide the added keys, which stand behind the last step
            options |= {"attn_mask": causal_mask(x), "is_causal": not (self.add_bias_kv or self.add_zero_attn)}
        given = emitter.module(self.build(shape))(x, memory, memory, **options)
        return (given[0], given[1]) if self.need_weights else given[0]

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of the projections, and of the added key and value."""
        size = width(self, shape, "", None)
        keys, values = self.kdim or size, self.vdim or size
        if keys == size == values:
            sizes: dict[str, Sizes] = {"in_proj_weight": (3 * size, size)}
        else:
            sizes = {"q_proj_weight": (size, size), "k_proj_weight": (size, keys), "v_proj_weight": (size, values)}
        if self.bias:
            sizes["in_proj_bias"] = (3 * size,)
        if self.add_bias_kv:
            sizes |= {"bias_k": (1, 1, size), "bias_v": (1, 1, size)}
        return sizes | {"out_proj.weight": (size, size)} | ({"out_proj.bias": (size,)} if self.bias else {})

    def cost(self, values: tuple[Value, ...]) -> int:
        """Return those of the projections and of the attention."""
        shape, memory = (value for value in (values[0], values[-1]) if isinstance(value, Shape))
        size, added = width(self, shape, "", None), self.add_bias_kv + self.add_zero_attn
        return attention_cost(steps(shape), steps(memory), size, (self.kdim or size) + (self.vdim or size), added)


class CausalSelfAttention(Function):
    """Attention of each step of a sequence (N, T, C) to itself and to those before it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
    """

    type: Literal["CausalSelfAttention"]
    embed_dim: Count | None = None
    """Features of each step; follows from the layer above, and is checked when written."""
    num_heads: Count
    """How many attentions work side by side."""
    head_dim: Count | None = None
    """Features of each head; embed_dim / num_heads unless written."""
    num_kv_heads: Count | None = None
    """Heads of keys and values, each shared by num_heads / num_kv_heads queries; num_heads unless written."""
    bias: bool = True
    """Learn additive biases."""
    dropout: Dropped = 0.0
    """In training, the share of attention weights set to zero."""
    rotary: Rotary | None = None
    """Turn queries and keys by their positions; without it, the layer does not know the order."""

    @model_validator(mode="after")
    def _heads_are_shared(self) -> Self:
        if self.num_heads % self.shared_heads:
            raise ValueError("num_kv_heads must divide num_heads; write a divisor, or remove num_kv_heads")
        return self

    @property
    def shared_heads(self) -> int:
        """Return how many heads keys and values have."""
        return self.num_kv_heads or self.num_heads

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: `shape` is not (N, length, features) of floats, or an option does not fit it.
        """
        size = self._head_dim(shape, width(self, shape, "embed_dim", self.embed_dim))
        if self.rotary is not None:
            positions(self, shape, self.rotary.num_positions, "rotary")
            if size % 2:
                message = f"CausalSelfAttention turns pairs of features, but a head has {size}"
                raise ShapeError(message, "write an even head_dim, or remove rotary", "rotary")
        return shape

    def emit(self, emitter: Emitter, values: tuple[Value, ...], inputs: tuple[Any, ...]) -> Any:
        """Return the attended sequence."""
        from torch import nn

        (shape,), (x,) = values, inputs
        assert isinstance(shape, Shape)  # infer has judged it
        given, inner, outer = self._widths(shape)
        size = self._head_dim(shape, given)
        projected = emitter.module(nn.Linear(given, inner, bias=self.bias), "in_proj")(x)
        split = projected.split([self.num_heads * size, *2 * [self.shared_heads * size]], dim=-1)
        query, key, value = (split[part].unflatten(-1, (-1, size)).transpose(1, 2) for part in range(3))
        if self.rotary is not None:  # (N, heads, T, size)
            tables = self._tables(emitter, x, shape, size)
            query, key = (turned(part, tables, self.rotary.interleaved) for part in (query, key))
        if self.shared_heads < self.num_heads:
            key, value = (self._repeated(part) for part in (key, value))
        mixed = self._attended(emitter, x, (query, key, value), size).transpose(1, 2).flatten(2)
        return emitter.module(nn.Linear(outer, given, bias=self.bias), "out_proj")(mixed)

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of the two projections."""
        given, inner, outer = self._widths(shape)
        sizes: dict[str, Sizes] = {}
        for name, out, into in (("in_proj", inner, given), ("out_proj", given, outer)):
            sizes |= {f"{name}.weight": (out, into)} | ({f"{name}.bias": (out,)} if self.bias else {})
        return sizes

    def multiply_adds(self, shape: Shape) -> int:
        """Return those of the projections and of the attention."""
        (given, inner, outer), length = self._widths(shape), steps(shape)
        return length * given * (inner + outer) + 2 * length * length * outer

    def _head_dim(self, shape: Shape, size: int) -> int:
        return self.head_dim or divided(self, "num_heads", self.num_heads, size)

    def _widths(self, shape: Shape) -> tuple[int, int, int]:
        given = width(self, shape, "", None)
        size = self._head_dim(shape, given)
        return given, (self.num_heads + 2 * self.shared_heads) * size, self.num_heads * size

    def _tables(self, emitter: Emitter, x: Any, shape: Shape, size: int) -> tuple[Any, Any]:
        assert self.rotary is not None  # the caller asks
        count = positions(self, shape, self.rotary.num_positions, "rotary")
        cosines, sines = angles(count, size, self.rotary.base, self.rotary.interleaved)
        tables = emitter.buffer("cosines", cosines), emitter.buffer("sines", sines)
        return first_positions(tables[0], x, shape, count), first_positions(tables[1], x, shape, count)

    def _repeated(self, heads: Any) -> Any:
        """Return each head as often as queries share it, next to one another."""
        return heads.unsqueeze(2).expand(-1, -1, self.num_heads // self.shared_heads, -1, -1).flatten(1, 2)

    def _attended(self, emitter: Emitter, x: Any, heads: tuple[Any, Any, Any], size: int) -> Any:
        from torch import nn
        from torch.nn.functional import scaled_dot_product_attention

        query, key, value = heads
        if not self.dropout:
            return scaled_dot_product_attention(query, key, value, is_causal=True)
        # written out, because a function in a graph does not know whether it trains
        weights = (query * size**-0.5) @ key.transpose(-2, -1)
        weights = weights.masked_fill(causal_mask(x), float("-inf")).softmax(-1)
        return emitter.module(nn.Dropout(self.dropout), "dropout")(weights) @ value
