"""Graph reading: the nodes, tensors and values of an ONNX graph, held against what no honest graph does.

A graph is sorted: a node uses what stands above it. One that does not, or uses itself, is refused, and so are tensors
that claim other sizes than the file holds, and graphs in graphs in graphs without end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from exporters.wire import Message, WireError, signed
from zoo.strict import LARGEST_SIZE

DEEPEST = 20  # graphs inside of each other; a loop in a loop has 3
LARGEST_TENSOR = 2**43  # bits, 1 TiB, of a tensor that lies in another file
DTYPES = (
    *("undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16"),
    *("float64", "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz"),
    *("float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1", "float8e8m0", "uint2", "int2"),
)
"""By their number in TensorProto.DataType."""
_BITS = (0, 32, 8, 8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64, 64, 128, 16, 8, 8, 8, 8, 4, 4, 4, 8, 2, 2)
_KINDS = {4: "sequence", 5: "map", 9: "optional"}
"""Types that are no tensor, by their field in TypeProto."""
_TENSORS = (1, 8)
"""Tensors, dense and sparse, by their field in TypeProto."""


Scopes = tuple[set[str], ...]
"""The names of values that a node may use, of each graph around it, the innermost last."""


@dataclass(frozen=True)
class Tensor:
    """A stored tensor."""

    name: str
    count: int
    location: str | None
    """The file that holds its numbers; None where it is this one."""


@dataclass(frozen=True)
class Value:
    """An input or output of a graph."""

    name: str
    dtype: str
    axes: tuple[int | str, ...] | None


@dataclass
class Graph:
    """A graph with what stands outermost in it."""

    name: str = ""
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    nodes: list[Message] = field(default_factory=list)


@dataclass
class GraphReading:
    """What is found in all graphs of a file."""

    operators: Counter[str] = field(default_factory=Counter)
    tensors: list[Tensor] = field(default_factory=list)
    functions: dict[str, set[str]] = field(default_factory=dict)
    """Each operator that the file defines, with those it uses."""

    def graph(self, message: Message, outside: Scopes = ()) -> Graph:
        """Return a graph after reading all that is in it.

        Args:
            message: the GraphProto.
            outside: the values of each graph around it.

        Raises:
            WireError: it is none, or does what no honest graph does.
        """
        if len(outside) >= DEEPEST:
            raise WireError(f"more than {DEEPEST} graphs stand inside of each other")
        found = _graph(message)
        self.tensors += found.tensors
        given = {value.name for value in found.inputs} | {tensor.name for tensor in found.tensors}
        scopes = (*outside, given)
        self._nodes(found.nodes, scopes)
        absent = [value.name for value in found.outputs if not _known(value.name, scopes)]
        if absent:
            raise WireError(f"nothing computes its output {absent[0]!r}")
        return found

    def function(self, message: Message) -> None:
        """Read an operator that the file defines."""
        name, domain, nodes, inputs = "", "", list[Message](), set[str]()
        for number, value in message.fields():
            if not isinstance(value, Message):
                continue
            if number == 1:
                name = value.text()
            elif number == 4:
                inputs.add(value.text())
            elif number == 7:
                nodes.append(value)
            elif number == 10:
                domain = value.text()
        before = Counter(self.operators)
        self._nodes(nodes, (inputs,))
        self.functions[_operator(domain, name)] = set(self.operators - before)

    def require_functions_end(self) -> None:
        """Refuse operators that are defined by themselves.

        Raises:
            WireError: there is such a circle.
        """
        left = {name: used & self.functions.keys() for name, used in self.functions.items()}
        while left:
            ended = [name for name, used in left.items() if not used & left.keys()]
            if not ended:
                raise WireError(f"its operator {min(left)} is defined by itself")
            for name in ended:
                del left[name]

    def _nodes(self, nodes: list[Message], scopes: Scopes) -> None:
        """Read nodes, each of which uses what stands above it; the last scope learns the names of what they compute."""
        for message in nodes:
            node = _node(message)
            self.operators[node.operator] += 1
            unknown = [name for name in node.inputs if name and not _known(name, scopes)]
            if unknown:
                raise WireError(f"a node {node.operator} uses {unknown[0]!r}, which nothing above it computes")
            for graph in node.graphs:
                self.graph(graph, scopes)
            self.tensors += node.tensors
            twice = [name for name in node.outputs if name and name in scopes[-1]]
            if twice:
                raise WireError(f"{twice[0]!r} is computed twice")
            scopes[-1].update(node.outputs)


def _known(name: str, scopes: Scopes) -> bool:
    return any(name in scope for scope in scopes)


@dataclass
class Node:
    """A node with what it holds."""

    operator: str
    inputs: list[str]
    outputs: list[str]
    graphs: list[Message]
    tensors: list[Tensor]


def _node(message: Message) -> Node:
    texts: dict[int, list[str]] = {1: [], 2: [], 4: [], 7: []}
    graphs, tensors = list[Message](), list[Tensor]()
    for number, value in message.fields():
        if isinstance(value, int):
            continue
        if number in texts:
            texts[number].append(value.text())
        elif number == 5:
            for kind, held in value.fields():
                if isinstance(held, Message) and kind in (6, 11):
                    graphs.append(held)
                elif isinstance(held, Message) and kind in (5, 10):
                    tensors.append(_tensor(held))
                elif isinstance(held, Message) and kind in (22, 23):
                    tensors += _sparse(held)
    operator = _operator("".join(texts[7]), "".join(texts[4]))
    external = [tensor for tensor in tensors if tensor.location is not None]  # the others are constants of the graph
    return Node(operator, texts[1], texts[2], graphs, external)


def _operator(domain: str, name: str) -> str:
    return f"{domain}::{name}" if domain not in ("", "ai.onnx") else name


def _graph(message: Message) -> Graph:
    found = Graph()
    for number, value in message.fields():
        if isinstance(value, int):
            continue
        if number == 1:
            found.nodes.append(value)
        elif number == 2:
            found.name = value.text()
        elif number == 5:
            found.tensors.append(_tensor(value))
        elif number == 11:
            found.inputs.append(_value(value))
        elif number == 12:
            found.outputs.append(_value(value))
        elif number == 15:
            found.tensors += _sparse(value)
    return found


def _sparse(message: Message) -> list[Tensor]:
    """Return the values and the places of a sparse tensor."""
    return [_tensor(held) for part, held in message.fields() if part in (1, 2) and isinstance(held, Message)]


def _tensor(message: Message) -> Tensor:
    """Return a tensor whose size is what the file holds of it."""
    dims, dtype, name, raw, location, external = list[int](), 0, "", None, None, False
    for number, value in message.fields():
        if number == 1:
            dims += [signed(value)] if isinstance(value, int) else value.integers()
        elif isinstance(value, int):
            dtype = value if number == 2 else dtype
            external = bool(value) if number == 14 else external
        elif number == 8:
            name = value.text()
        elif number == 9:
            raw = len(value)
        elif number == 13:
            location = _location(value) or location
    if any(not 0 <= size <= LARGEST_SIZE for size in dims):
        raise WireError(f"its tensor {name[:80]!r} has an axis of {_odd(dims)}")
    if not 0 < dtype < len(DTYPES):
        raise WireError(f"its tensor {name[:80]!r} has the unknown type {dtype}")
    count = prod(dims)
    bits = count * _BITS[dtype]
    if external and location is None:
        raise WireError(f"its tensor {name[:80]!r} lies in another file without a name")
    if (raw is not None and not external and raw != (bits + 7) // 8) or bits > max(LARGEST_TENSOR, 8 * len(message)):
        raise WireError(f"its tensor {name[:80]!r} has {count:,} numbers, and other bytes than those")
    if not external and raw is None and count * min(8, _BITS[dtype] or 8) > 8 * len(message):
        raise WireError(f"its tensor {name[:80]!r} has {count:,} numbers, and fewer bytes than that")
    return Tensor(name, count, location if external else None)


def _odd(dims: list[int]) -> str:
    return f"{next(size for size in dims if not 0 <= size <= LARGEST_SIZE):,}"


def _location(message: Message) -> str | None:
    texts = {number: value.text() for number, value in message.fields() if isinstance(value, Message)}
    return texts.get(2, "") if texts.get(1) == "location" else None


def _value(message: Message) -> Value:
    name, dtype, axes = "", "undefined", None
    for number, value in message.fields():
        if number == 1 and isinstance(value, Message):
            name = value.text()
        elif number == 2 and isinstance(value, Message):
            for kind, held in value.fields():
                if isinstance(held, Message) and kind in _TENSORS:
                    dtype, axes = _tensor_type(held)
                elif kind in _KINDS:
                    dtype = _KINDS[kind]
    return Value(name, dtype, axes)


def _tensor_type(message: Message) -> tuple[str, tuple[int | str, ...] | None]:
    dtype, axes = "undefined", None
    for number, value in message.fields():
        if number == 1 and isinstance(value, int):
            dtype = DTYPES[value] if value < len(DTYPES) else f"type {value}"
        elif number == 2 and isinstance(value, Message):
            axes = tuple(_axes(value))
    return dtype, axes


def _axes(message: Message) -> Iterator[int | str]:
    for number, axis in message.fields():
        if number != 1 or not isinstance(axis, Message):
            continue
        size: int | str = "?"
        for kind, value in axis.fields():
            if kind == 1 and isinstance(value, int):
                size = signed(value)
            elif kind == 2 and isinstance(value, Message):
                size = value.text()
        if isinstance(size, int) and not 0 <= size <= LARGEST_SIZE:
            raise WireError(f"an input or output has an axis of {size:,}")
        yield size
