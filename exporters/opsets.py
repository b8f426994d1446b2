"""Opsets: which operator sets a file may have, its IR version, and the way from 18, torch's oldest, down to 17."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper

from zoo.errors import ExportError

OPSET = 20
"""The one that is written unless a person asks for another; onnxruntime 1.18 and later load it with its IR."""
IR_OF = {17: 8, 18: 8, 19: 9, 20: 10, 21: 10, 22: 10, 23: 11}
"""IR version of each opset: of the ONNX release that brought it, but for 20, where torch writes 10.

Source: https://github.com/onnx/onnx/blob/main/docs/Versioning.md
"""
NATIVE = 18  # torch's operators are written for this one, and changed to later ones


def lower(model: ModelProto) -> None:
    """Change a model of opset 18 to opset 17, in place.

    Raises:
        ExportError: it holds an operator, or an option of one, that opset 17 does not have.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.dims}
    _lower_graph(model.graph, constants)
    unused = {name for node in _nodes(model.graph) for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in unused]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    model.opset_import[0].version = NATIVE - 1


def _lower_graph(graph: GraphProto, constants: Mapping[str, np.ndarray[Any, Any]]) -> None:
    own = dict(constants)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            own[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _lower_graph(attribute.g, own)
        before, since = _since(node.op_type, NATIVE - 1), _since(node.op_type, NATIVE)
        if before == since:
            continue
        if before is None or node.op_type not in _LOWER:
            raise _refused(node, "it")
        _LOWER[node.op_type](node, own)


def _nodes(graph: GraphProto) -> list[NodeProto]:
    # Any: protobuf ships no types.
    inner: list[Any] = [entry.g for node in graph.node for entry in node.attribute if entry.HasField("g")]
    return [*graph.node, *(node for part in inner for node in _nodes(part))]


def _since(operator: str, opset: int) -> int | None:
    """Return the opset that brought an operator as it is in another one; None where that has no such."""
    try:
        return onnx.defs.get_schema(operator, opset, "").since_version
    except onnx.defs.SchemaError:
        return None


Constants = Mapping[str, "np.ndarray[Any, Any]"]


def _axes_to_attribute(node: NodeProto, constants: Constants) -> None:
    """Write the axes of a reduction as an attribute; opset 18 has them as an input."""
    if len(node.input) < 2 or not node.input[1]:
        if any(entry.name == "noop_with_empty_axes" and entry.i for entry in node.attribute):
            raise _refused(node, "noop_with_empty_axes")
    elif node.input[1] not in constants:
        raise _refused(node, "axes that are computed")
    else:
        node.attribute.append(onnx.helper.make_attribute("axes", constants[node.input[1]].tolist()))
    del node.input[1:]
    _forget(node, "noop_with_empty_axes")


def _equal_parts(node: NodeProto, constants: Constants) -> None:
    """Split without saying in how many parts: as many as it has outputs, all alike."""
    _forget(node, "num_outputs")


def _whole_pads(node: NodeProto, constants: Constants) -> None:
    """Pad all axes: opset 18 may name some."""
    if len(node.input) > 3 and node.input[3]:
        raise _refused(node, "axes")
    del node.input[3:]


def _plain_resize(node: NodeProto, constants: Constants) -> None:
    """Resize without what opset 18 brought."""
    usual = {"antialias": 0, "keep_aspect_ratio_policy": b"stretch"}
    for entry in node.attribute:
        value = onnx.helper.get_attribute_value(entry)
        if entry.name == "axes" or (entry.name in usual and value != usual[entry.name]):
            raise _refused(node, entry.name)
    _forget(node, *usual)


def _old_reduction(node: NodeProto, constants: Constants) -> None:
    """Scatter with a reduction that opset 16 has."""
    if any(entry.name == "reduction" and entry.s in (b"max", b"min") for entry in node.attribute):
        raise _refused(node, "reduction max and min")


def _forget(node: NodeProto, *names: str) -> None:
    kept = [entry for entry in node.attribute if entry.name not in names]
    del node.attribute[:]
    node.attribute.extend(kept)


_LOWER: dict[str, Callable[[NodeProto, Constants], None]] = {
    **dict.fromkeys(
        ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"),
        _axes_to_attribute,
    ),
    "ReduceProd": _axes_to_attribute,
    "ReduceSumSquare": _axes_to_attribute,
    "Split": _equal_parts,
    "Pad": _whole_pads,
    "Resize": _plain_resize,
    "ScatterElements": _old_reduction,
    "ScatterND": _old_reduction,
    "LpPool": lambda node, constants: _forget(node, "dilations", "ceil_mode"),
}
"""How an operator that opset 18 changed is written before."""


def _refused(node: NodeProto, what: str) -> ExportError:
    """Return the error that an operator needs opset 18, with the layer that torch made it of."""
    made = next((entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"), "[]")
    layer = ([name for name in ast.literal_eval(made)[:-1] if name] or [""])[-1]
    whose = f'layer "{layer}" is written with {node.op_type}, which' if layer else f"{node.op_type}"
    needs = "needs opset 18" if what == "it" else f"needs opset 18 for {what}"
    return ExportError(
        f"{whose} {needs}; opset 17 was asked for", "write --opset 18 or higher, or a newer --target if that chose 17"
    )
