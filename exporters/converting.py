"""Converting: an ONNX file in fp16 or int8, by onnxruntime's own tools, and what these must leave alone."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from onnx import GraphProto, ModelProto, NodeProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from exporters import storage
from exporters.arrays import Array

PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum")


def half(source: Path) -> ModelProto:
    """Return the model of a file with fp16 inside; what goes in and comes out stays float32."""
    with _silent():
        converted: ModelProto = convert_float_to_float16(storage.read(source), keep_io_types=True)
        OnnxModel.graph_topological_sort(converted.graph, True)  # the casts at its ends stand behind what uses them
    del converted.graph.value_info[:]  # a Resize stays float32, and the tool notes that it gives fp16
    return converted


def integers(source: Path, name: str, rows: Sequence[Array], weights: Collection[str] | None = None) -> ModelProto:
    """Return the model of a file with int8 inside, with the ranges of these rows.

    Args:
        source: the file.
        name: of its input.
        rows: batches of the input.
        weights: where preprocessing and decision stand in the file too, the tensors of the model between them.
    """
    model = storage.read(source)
    left = _before_softmax(model.graph) | (set() if weights is None else _around(model.graph, weights))
    with _silent(), tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        made = Path(folder, "model.onnx")
        quantize_static(
            model,
            made,
            _Rows(name, rows),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(left),
        )
        return storage.read(made)


def _before_softmax(graph: GraphProto) -> set[str]:
    """Return the names of the nodes that make scores ready for a softmax, from the product that made them on.

    A mask writes the smallest float32 into them, and a grid of 8 bits over such a range has one step for all scores.
    """
    maker = {name: node for node in graph.node for name in node.output}
    left = [node for node in graph.node if node.op_type == "Softmax"]
    found = dict[str, NodeProto]()
    while left:
        node = left.pop()
        if node.op_type in PRODUCTS or node.name in found:
            continue
        found[node.name] = node
        left += [maker[name] for name in node.input if name in maker]
    return set(found)


def _around(graph: GraphProto, weights: Collection[str]) -> set[str]:
    """Return the names of the nodes before the first that a weight of the model reaches, and behind its answer."""
    reached, behind = set(weights), {graph.output[0].name}
    found = set()
    for node in graph.node:
        given = set(node.input)
        if given & behind:
            behind |= set(node.output)
            found.add(node.name)
        elif given & reached:
            reached |= set(node.output)
        else:
            found.add(node.name)
    return found


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Batches of one input, as onnxruntime reads them."""

    def __init__(self, name: str, batches: Sequence[Array]) -> None:
        self._left = iter([{name: batch} for batch in batches])

    def get_next(self) -> dict[str, Array] | None:
        """Return the next batch; None behind the last one."""
        return next(self._left, None)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep onnxruntime's tools from speaking of their internals; the file is judged."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
