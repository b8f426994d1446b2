"""Costs: what a spec's model takes, from its shapes alone: parameters, multiply-adds, memory in training.

Memory is an estimate: weights, gradients and optimizer state are counted in float32; activations are the outputs of all
steps at the batch size, because training keeps them for the gradient. What a kernel needs beside that is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod

from zoo.checked import CheckedSpec
from zoo.layers.layer import kind
from zoo.patterns import selected
from zoo.placed import PlacedLayer
from zoo.placing import shown
from zoo.shapes import Shape, Value
from zoo.strict import Strict

FLOAT = 4  # bytes of a float32
MIB = 2**20  # bytes
_BYTES = {"float32": 4, "float64": 8, "int64": 8, "int32": 4, "bool": 1, "uint8": 1, "float16": 2, "bfloat16": 2}
# Tensors of the weights' size that an optimizer keeps, whatever its options.
_KEPT = {
    "ASGD": 1,
    "Adadelta": 2,
    "Adagrad": 1,
    "Adam": 2,
    "AdamW": 2,
    "Adamax": 2,
    "Muon": 1,
    "NAdam": 2,
    "RAdam": 2,
    "RMSprop": 1,
    "Rprop": 2,
    "SGD": 0,
}

# Any shape as JSON: nested lists where a layer gives several tensors.
Sizes = list["int | str | Sizes"]


SMALL = 2**26  # multiply-adds of a step's forward pass; LeNet-5 with 128 rows has 2**25.7


@dataclass(frozen=True)
class LayerCost:
    """One step of the model."""

    name: str
    """In the state dict."""
    type: str
    output: str
    """Its shape, as messages write it; "T" is a sequence of any length."""
    shape: Sizes
    parameters: int
    multiply_adds: int
    """For one row; "T" counted with its longest."""


@dataclass(frozen=True)
class Memory:
    """Bytes while training."""

    batch_size: int
    weights: int
    gradients: int
    """Those of frozen weights are never made."""
    optimizer: int | None
    """None where the state has another size than the weights."""
    activations: int | None
    """None where a sequence has no longest."""

    @property
    def total(self) -> int | None:
        """Return the sum; None where a part is not known."""
        if self.optimizer is None or self.activations is None:
            return None
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True)
class Costs:
    """What a model takes, layer by layer and in total."""

    input: str
    layers: tuple[LayerCost, ...]
    parameters: int
    trainable: int
    multiply_adds: int
    memory: Memory

    def record(self) -> dict[str, object]:
        """Return the costs as JSON values."""
        return asdict(self) | {"memory": asdict(self.memory) | {"total": self.memory.total}}


def costs(checked: CheckedSpec) -> Costs:
    """Return what the spec's model takes; torch is not asked."""
    counts = checked.parameter_counts
    layers = tuple(
        LayerCost(
            placed.name,
            kind(placed.layer),
            shown(placed.result),
            _sizes(placed.result),
            count,
            placed.layer.cost(placed.values),
        )
        for placed, count in zip(checked.layers, counts, strict=True)
    )
    parameters = sum(counts)
    trainable = parameters - _frozen(checked)
    return Costs(
        str(checked.input),
        layers,
        parameters,
        trainable,
        sum(layer.multiply_adds for layer in layers),
        _memory(checked, parameters, trainable),
    )


def has_small_steps(checked: CheckedSpec) -> bool:
    """Return whether a step of the training is so small that one thread is the fastest."""
    return costs(checked).multiply_adds * checked.spec.train.batch_size < SMALL


def _frozen(checked: CheckedSpec) -> int:
    """Return how many parameters no gradient reaches."""
    frozen = selected(checked.spec.freeze, checked.parameters)
    return sum(prod(checked.parameters[name]) for name in frozen)


def _memory(checked: CheckedSpec, parameters: int, trainable: int) -> Memory:
    size = checked.spec.train.batch_size
    kept = state_tensors(checked.spec.optimizer)
    state = None if kept is None else kept * trainable * FLOAT
    return Memory(size, parameters * FLOAT, trainable * FLOAT, state, _activations(checked.layers, size))


def state_tensors(optimizer: Strict) -> int | None:
    """Return how many tensors of the weights' size an optimizer keeps; None where they have other sizes."""
    kept = _KEPT.get(type(optimizer).__name__)
    if kept is None:
        return None
    return (
        kept + sum(bool(getattr(optimizer, option, False)) for option in ("amsgrad", "centered")) + _momentum(optimizer)
    )


def _momentum(optimizer: Strict) -> int:
    return int(type(optimizer).__name__ in ("SGD", "RMSprop") and bool(getattr(optimizer, "momentum", 0)))


def _activations(steps: tuple[PlacedLayer, ...], batch: int) -> int | None:
    try:
        return sum(_made(placed, batch) for placed in steps)
    except TypeError:
        return None


def _made(placed: PlacedLayer, batch: int) -> int:
    numbers = placed.layer.made(placed.input)
    return _bytes(placed.result, batch) if numbers is None else batch * numbers * FLOAT


def _bytes(value: Value, batch: int) -> int:
    if isinstance(value, Shape):
        return prod(value.concrete(batch)) * _BYTES[value.dtype]
    return sum(_bytes(part, batch) for part in value)


def _sizes(value: Value) -> Sizes:
    return list(value.dims) if isinstance(value, Shape) else [_sizes(part) for part in value]


def tables(found: Costs) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
    """Return the rows of two tables: the layers with their totals, and the memory in MiB."""
    rows: list[Sequence[str]] = [("", "input", found.input, "", "")]
    rows += [
        (layer.name, layer.type, layer.output, _count(layer.parameters), _count(layer.multiply_adds))
        for layer in found.layers
    ]
    rows.append(("total", "", "", f"{found.parameters:,}", f"{found.multiply_adds:,}"))
    memory = found.memory
    parts = [
        ("weights", memory.weights),
        ("gradients", memory.gradients),
        ("optimizer state", memory.optimizer),
        (f"activations, {memory.batch_size:,} rows", memory.activations),
        ("total", memory.total),
    ]
    return rows, [(name, "unknown" if size is None else f"{size / MIB:,.2f}") for name, size in parts]


def _count(number: int) -> str:
    return f"{number:,}" if number else ""
