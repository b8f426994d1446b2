"""ONNX: one file, any batch and length, named input and output, and nothing of the machine that wrote it."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import ModelProto
from torch import nn

from exporters import culprit, opsets, storage
from exporters.axes import free_axes, sizes
from exporters.decompositions import decomposed, refuse_unsettled
from exporters.request import USUAL, OnnxForm
from exporters.subject import Subject
from zoo.errors import ExportError, ProofFailed, reason
from zoo.shapes import Shape, Value

MISWRITTEN = ("proj_size",)  # options that torch's exporter gets wrong without a word
_REMEDY = "export with --torchscript, or replace the layer it names"


def export(subject: Subject, path: Path, form: OnnxForm = USUAL) -> None:
    """Write the module as one ONNX file; as two where its weights are too large for one.

    Raises:
        ExportError: torch's exporter refuses the module, or is known to write it down wrongly, or the opset is too low.
    """
    _refuse_miswritten(subject)
    refuse_unsettled(subject)
    program = _program(subject, max(form.opset, opsets.NATIVE))
    _optimize(program, set(subject.module.state_dict()))
    model = program.model_proto
    del program
    if form.opset < opsets.NATIVE:
        opsets.lower(model)
    strip(model)
    _name_input(model, subject.input_name)
    _name_axes(model, [output.shape for output in subject.outputs])
    model.graph.name = subject.checked.spec.name
    onnx.helper.set_model_props(model, subject.metadata())
    model.ir_version = form.ir
    storage.write(model, path, form.one_file)


def _refuse_miswritten(subject: Subject) -> None:
    for placed in subject.checked.layers:
        for option in MISWRITTEN:
            if getattr(placed.layer, option, None):
                name = culprit.called(subject.checked, placed, option)
                raise ExportError(f"{name}: torch's ONNX exporter writes {option} down wrongly", _REMEDY)


def _program(subject: Subject, opset: int) -> torch.onnx.ONNXProgram:
    shape = subject.input
    try:
        outputs = [output.name for output in subject.outputs]
        names: dict[str, Any] = {"input_names": [subject.input_name], "output_names": outputs}
        program = _capture(subject.module, (subject.example,), (shape,), opset_version=opset, **names)
        if _fixed(program, (shape,)):
            _refuse_culprit(subject)  # where it is none of the layers, the static proof refuses the file
    except torch.onnx.OnnxExporterError as error:
        _refuse_culprit(subject)
        raise ExportError(f"torch cannot export this model to ONNX: {reason(_root(error))}", _REMEDY) from error
    return program


def _refuse_culprit(subject: Subject) -> None:
    """Refuse the model in the name of the layer that torch cannot export by itself, where there is one."""
    found = culprit.find(subject.checked, _attempt, (torch.onnx.OnnxExporterError,))
    if found is not None:
        name = culprit.called(subject.checked, found.placed)
        message = f"{name}: torch cannot export it to ONNX: {reason(_root(found.error))}"
        raise ExportError(message, _REMEDY) from found.error


# Any: tensors, or nested tuples of tensors.
def _attempt(module: nn.Module, inputs: tuple[Any, ...], values: tuple[Value, ...]) -> None:
    """Export a layer by itself.

    Raises:
        OnnxExporterError: torch cannot, or the graph takes one size where any size may come.
    """
    fixed = _fixed(_capture(module, inputs, values), values)
    if fixed:
        raise torch.onnx.OnnxExporterError(f"it fixes the {fixed} of the rows it is traced with")


# Any: tensors, or nested tuples of tensors; and options of torch's exporter.
def _capture(
    module: nn.Module, inputs: tuple[Any, ...], values: tuple[Value, ...], **options: Any
) -> torch.onnx.ONNXProgram:
    said = io.StringIO()
    for library in ("onnxscript", "onnx_ir"):
        logging.getLogger(library).setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        warnings.simplefilter("ignore")  # the exporter warns of its own internals; the proof judges the file
        program = torch.onnx.export(
            decomposed(module),
            inputs,
            dynamo=True,
            dynamic_shapes=free_axes(values),
            optimize=False,
            verbose=False,
            **{"opset_version": opsets.OPSET} | options,
        )
    if program is None:
        raise ExportError("torch's exporter gave nothing", "`zoo doctor` shows the installed versions")
    return program


def _fixed(program: torch.onnx.ONNXProgram, values: tuple[Value, ...]) -> str:
    """Return the name of an axis that may have any size, but has one in the graph; nothing where there is none."""
    for given, shape in zip(program.model.graph.inputs, _shapes(values), strict=True):
        for name, axis in zip(sizes(shape), given.shape or (), strict=True):
            if isinstance(name, str) and isinstance(axis, int):
                return name
    return ""


def _shapes(value: Value) -> Iterator[Shape]:
    if isinstance(value, Shape):
        yield value
    else:
        for part in value:
            yield from _shapes(part)


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


def _name_axes(model: ModelProto, outputs: Sequence[Shape]) -> None:
    """Give the free axes of the outputs their names where torch has a formula for them."""
    for value, output in zip(model.graph.output, outputs, strict=False):
        for name, axis in zip(sizes(output), value.type.tensor_type.shape.dim, strict=False):
            if isinstance(name, str) and axis.dim_param:
                axis.dim_param = name


def _optimize(program: torch.onnx.ONNXProgram, weights: set[str]) -> None:
    """Simplify the graph around the weights: as inputs they are out of reach, and none is folded into another.

    So the file carries every tensor of the module under its own name, to be compared bit for bit.
    """
    graph = program.model.graph
    hidden = [(value, value.const_value) for name, value in graph.initializers.items() if name in weights]
    for value, _ in hidden:
        graph.initializers.pop(str(value.name))
        value.const_value = None
        graph.inputs.append(value)
    program.optimize()
    for value, tensor in hidden:
        graph.inputs.remove(value)
        value.const_value = tensor
        graph.initializers.add(value)


def verify_weights(subject: Subject, path: Path) -> int:
    """Return how many tensors of the file are the module's bit for bit; one stands for all names of a tied weight.

    Raises:
        ProofFailed: one is not.
    """
    model = storage.outline(path)
    state = subject.module.state_dict(keep_vars=True)
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    standing = {id(tensor): name for name, tensor in state.items() if name in found}
    equal = 0
    for name, tensor in state.items():
        stored = name if name in found else standing.get(id(tensor))
        if stored is None:
            continue  # not used in evaluation, such as num_batches_tracked; a missing weight fails the float64 proof
        expected = np.ascontiguousarray(tensor.detach().cpu().numpy())
        array = storage.array(found[stored], path.parent)
        if array.shape != tuple(tensor.shape) or array.tobytes() != expected.tobytes():
            raise ProofFailed(
                f"{name} in the ONNX graph is not the model's, bit for bit",
                "nothing was published; please report the spec",
            )
        equal += 1
    return equal


def strip(model: ModelProto) -> None:
    """Remove what the exporter says of the machine and the sources it ran on."""
    for part in _parts(model):
        for field in _NOTES:
            if field in part.DESCRIPTOR.fields_by_name:
                part.ClearField(field)


_NOTES = ("metadata_props", "doc_string")


# Any: protobuf ships no types.
def _parts(message: Any) -> Iterator[Any]:
    """Yield what a message holds, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.name != "TensorShapeProto":
            for part in value if isinstance(value, Iterable) else (value,):
                yield part
                yield from _parts(part)


def verify_static(subject: Subject, path: Path, form: OnnxForm = USUAL) -> int:
    """Return the opset of a file after judging all that can be judged without running it.

    Raises:
        ProofFailed: the file is not valid ONNX, or its opset, files, names or axes are not those asked for.
    """
    try:
        model = storage.outline(path)
        _check(model, path)
    except (DecodeError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise _failed(f"the file is not valid ONNX: {reason(error)}") from error
    opsets = {(opset.domain, opset.version) for opset in model.opset_import}
    if opsets != {("", form.opset)}:
        raise _failed(f"the file uses operator sets {sorted(opsets)}, not opset {form.opset} alone")
    beside = {storage.beside(path).name} if storage.weight(model) > form.one_file else set()
    if storage.locations(model) - {path.name} != beside:
        raise _failed("the file keeps weights in another file than it should")
    if model.ir_version != form.ir:
        raise _failed(f"the file has IR version {model.ir_version}, not {form.ir}")
    if {entry.key: entry.value for entry in model.metadata_props} != subject.metadata():
        raise _failed("the file does not say of itself what the spec says")
    if len(told := _telling(model)):
        raise _failed(f"the file still tells of the machine that wrote it, in {told[0]}")
    outputs = {output.name: output.shape for output in subject.outputs}
    for found, shapes in ((model.graph.input, {subject.input_name: subject.input}), (model.graph.output, outputs)):
        declared = {value.name: _axes(value) for value in found}
        wanted = {name: sizes(shape) for name, shape in shapes.items()}
        if list(declared.items()) != list(wanted.items()):
            said = ", ".join(f"{name}: {axes}" for name, axes in wanted.items())
            raise _failed(f"the file declares {declared}, but the spec says {said}")
        for value, shape in zip(found, shapes.values(), strict=True):
            if value.type.tensor_type.elem_type != onnx.helper.np_dtype_to_tensor_dtype(np.dtype(shape.dtype)):
                raise _failed(f"{value.name} is not {shape.dtype} in the file")
    return form.opset


def _check(model: ModelProto, path: Path) -> None:
    """Let onnx check the outline of a file, which takes no memory for its weights; shapes are inferred strictly, too.

    Raises:
        ValidationError, InferenceError: it is not valid.
    """
    outline = path.with_name(f"{path.name}.outline")  # whose tensors stand beside it
    outline.write_bytes(model.SerializeToString())
    try:
        onnx.checker.check_model(str(outline), full_check=True)
    finally:
        outline.unlink()


def _telling(model: ModelProto) -> list[str]:
    """Return what the parts of the graph carry that are notes of the exporter."""
    noted = (part for part in _parts(model.graph) for field, _ in part.ListFields() if field.name in _NOTES)
    return [getattr(part, "name", "") or type(part).__name__ for part in noted]


def _axes(value: onnx.ValueInfoProto) -> list[str | int]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def _failed(message: str) -> ProofFailed:
    return ProofFailed(f"ONNX: {message}", "nothing was published; please report the spec")
