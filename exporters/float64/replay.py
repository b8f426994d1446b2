"""Replay: an ONNX graph computed in float64, so that structure faults stand out where float32 noise would hide them.

Every tensor of the file is taken as it is, every attribute as the number that its float32 stands for, and every
operator runs in double precision. So an honest file is as far from the module in float64 as the rounding of its
constants: 1e-15 of the largest output where there are none, and up to about 1e-7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper
from torch import Tensor

from exporters import storage
from exporters.float64 import elementwise, neural, recurrent, reduction, shaping
from exporters.float64.node import Node, Operator
from exporters.float64.resampling import resize
from zoo.errors import ProofFailed, reason

OPERATORS: dict[str, Operator] = {
    **elementwise.OPERATORS,
    **shaping.OPERATORS,
    **reduction.OPERATORS,
    **neural.OPERATORS,
    **recurrent.OPERATORS,
    "Resize": resize,
}
"""All operators that torch's exporter writes for the layers of the language, by type."""


class Replay:
    """A graph ready to be computed; the constants are read and turned into float64 one operator at a time."""

    def __init__(self, model: ModelProto, folder: Path = Path()) -> None:
        """Prepare the model, or the outline of a file in this folder."""
        self._opset = next(entry.version for entry in model.opset_import if entry.domain == "")
        self._graph = model.graph
        self._folder = folder
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}

    def run(self, inputs: Mapping[str, Tensor], watched: Sequence[str] = ()) -> dict[str, Tensor]:
        """Return the outputs by name, and the values in between that are watched.

        Args:
            inputs: by name; floats are taken as float64.
            watched: names of values in the graph.

        Raises:
            ProofFailed: an operator is not known here, or refuses what it is given.
        """
        values = {name: x.double() if x.is_floating_point() else x for name, x in inputs.items()}
        kept = {*watched, *(output.name for output in self._graph.output)}
        with torch.no_grad():
            self._compute(self._graph, values, kept)
        return {name: values[name] if name in values else self._constant(name) for name in kept}

    def _compute(self, graph: GraphProto, values: dict[str, Tensor], kept: set[str]) -> None:
        last = {name: index for index, node in enumerate(graph.node) for name in _used(node)}
        for index, node in enumerate(graph.node):
            found = self._results(node, values)
            values |= {name: result for name, result in zip(node.output, found, strict=False) if name}
            for name in {*_used(node), *node.output}:
                if last.get(name, -1) <= index and name not in kept:
                    values.pop(name, None)

    def _results(self, proto: NodeProto, values: dict[str, Tensor]) -> Sequence[Tensor]:
        attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in proto.attribute}
        used = max((index for index, name in enumerate(proto.output, 1) if name), default=1)
        node = Node(proto.op_type, proto.name, self._opset, used, attributes)
        given = [self._value(name, values) for name in proto.input]
        if proto.op_type == "If":
            return self._branch(attributes["then_branch" if bool(given[0]) else "else_branch"], values)
        if proto.domain not in ("", "ai.onnx") or proto.op_type not in OPERATORS:
            raise node.refuse("it")
        try:
            found = OPERATORS[proto.op_type](node, *given)
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            message = f"ONNX: {proto.op_type} {proto.name} cannot be computed in float64: {reason(error)}"
            raise ProofFailed(message, "nothing was published; please report the spec") from error
        if node.ignored:
            raise node.refuse(f"its {node.ignored[0]}")
        results = (found,) if isinstance(found, Tensor) else found
        if len(results) < node.outputs:
            raise node.refuse(f"its output {proto.output[len(results)]}")
        return results

    def _branch(self, graph: GraphProto, values: dict[str, Tensor]) -> Sequence[Tensor]:
        inner = dict(values) | {
            tensor.name: shaping.loaded(numpy_helper.to_array(tensor)) for tensor in graph.initializer
        }
        names = [output.name for output in graph.output]
        self._compute(graph, inner, {*names, *values})
        return [self._value(name, inner) for name in names]  # type: ignore[misc]  # an output has a name

    def _value(self, name: str, values: dict[str, Tensor]) -> Tensor | None:
        """Return a value; None for an input that is left out."""
        if not name:
            return None
        return values[name] if name in values else self._constant(name)

    def _constant(self, name: str) -> Tensor:
        array = storage.array(self._constants[name], self._folder)
        return torch.from_numpy(array.astype(np.float64)) if array.dtype.kind == "f" else torch.tensor(array)


def _used(node: NodeProto) -> set[str]:
    """Return what a node reads, its branches included."""
    # Any: protobuf ships no types.
    branches: list[Any] = [entry.g for entry in node.attribute if entry.HasField("g")]
    return {*node.input, *(name for graph in branches for inner in graph.node for name in _used(inner))}
