"""ONNX: one file, dynamic batch, named input and output, and nothing of the machine that wrote it."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import ModelProto, numpy_helper

from exporters.subject import Subject
from zoo.errors import ExportError, ProofFailed, reason
from zoo.shapes import Shape

OPSET = 20
IR = 10  # onnxruntime 1.18 and later load it
BATCH = "batch"  # name of the batch axis in the file


def export(subject: Subject, path: Path) -> None:
    """Write the module as one ONNX file.

    Raises:
        ExportError: torch's exporter refuses the module.
        ProofFailed: a weight of the graph is not the module's, bit for bit.
    """
    program = _program(subject)
    # Weights are compared before the optimiser may fold constants into others.
    _require_weights(program.model_proto, subject.module.state_dict())
    program.optimize()
    model = program.model_proto
    _strip(model)
    _name_input(model, subject.input_name)
    model.graph.name = subject.checked.spec.name
    onnx.helper.set_model_props(model, subject.metadata())
    path.write_bytes(model.SerializeToString(deterministic=True))


def _program(subject: Subject) -> torch.onnx.ONNXProgram:
    batch = torch.export.Dim(BATCH, min=1)
    said = io.StringIO()
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            warnings.simplefilter("ignore")  # the exporter warns of its own internals; the proof judges the file
            program = torch.onnx.export(
                subject.module,
                (subject.example,),
                dynamo=True,
                input_names=[subject.input_name],
                output_names=[subject.output_name],
                dynamic_shapes=({0: batch},),
                opset_version=OPSET,
                optimize=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        remedy = "export with --torchscript, or replace the layer it names"
        raise ExportError(f"torch cannot export this model to ONNX: {reason(_root(error))}", remedy) from error
    if program is None:
        raise ExportError("torch's exporter gave nothing", "`zoo doctor` shows the installed versions")
    return program


def _root(error: BaseException) -> Exception:
    """Return the error that the exporter's own ones wrap."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error if isinstance(error, Exception) else RuntimeError(str(error))


def _name_input(model: ModelProto, name: str) -> None:
    """Give the input its name where torch renamed it: in a model that hands its input through."""
    (given,) = model.graph.input
    for node in model.graph.node:
        node.input[:] = [name if used == given.name else used for used in node.input]
    given.name = name


def _require_weights(model: ModelProto, state: dict[str, torch.Tensor]) -> None:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name, tensor in state.items():
        if name not in found:
            continue  # not used in evaluation, such as num_batches_tracked; a missing weight fails the numeric proof
        expected = tensor.cpu().numpy()
        if found[name].shape != expected.shape or found[name].tobytes() != np.ascontiguousarray(expected).tobytes():
            raise ProofFailed(f"{name} in the ONNX graph is not the model's, bit for bit", "nothing was published")


def _strip(model: ModelProto) -> None:
    """Remove what the exporter says of the machine and the sources it ran on."""
    graph = model.graph
    parts: Iterable[object] = (
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
        *(part for function in model.functions for part in (function, *function.node, *function.value_info)),
    )
    for part in parts:
        for field in ("metadata_props", "doc_string"):
            if field in part.DESCRIPTOR.fields_by_name:  # type: ignore[attr-defined]  # every protobuf message has it
                part.ClearField(field)  # type: ignore[attr-defined]  # likewise


def verify_static(subject: Subject, path: Path) -> int:
    """Return the opset of a file after judging all that can be judged without running it.

    Raises:
        ProofFailed: the file is not valid ONNX, is not one file, or its opset, names or axes are not those asked for.
    """
    try:
        model = onnx.load_from_string(path.read_bytes())
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (DecodeError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise _failed(f"the file is not valid ONNX: {reason(error)}") from error
    opsets = {(opset.domain, opset.version) for opset in model.opset_import}
    if opsets != {("", OPSET)}:
        raise _failed(f"the file uses operator sets {sorted(opsets)}, not opset {OPSET} alone")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise _failed("the file keeps weights in another file")
    if model.ir_version != IR:
        raise _failed(f"the file has IR version {model.ir_version}, not {IR}")
    if {entry.key: entry.value for entry in model.metadata_props} != subject.metadata():
        raise _failed("the file does not say of itself what the spec says")
    if len(told := _telling(model)):
        raise _failed(f"the file still tells of the machine that wrote it, in {told[0]}")
    expected: tuple[tuple[Iterable[onnx.ValueInfoProto], str, Shape], ...] = (
        (model.graph.input, subject.input_name, subject.checked.input),
        (model.graph.output, subject.output_name, subject.checked.output),
    )
    for found, name, shape in expected:
        if any(value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT for value in found):
            raise _failed(f"{name} is not float32 in the file")
        declared = {value.name: _axes(value) for value in found}
        wanted = [BATCH, *shape.dims[1:]]
        if declared != {name: wanted}:
            raise _failed(f"the file declares {declared}, but the spec says {name}: {wanted}")
    return OPSET


def _telling(model: ModelProto) -> list[str]:
    """Return the names of the nodes, inputs and outputs that carry notes of the exporter."""
    parts = (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info)
    return [part.name for part in parts if part.doc_string or part.metadata_props]


def _axes(value: onnx.ValueInfoProto) -> list[str | int]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def _failed(message: str) -> ProofFailed:
    return ProofFailed(f"ONNX: {message}", "nothing was published; please report the spec")
