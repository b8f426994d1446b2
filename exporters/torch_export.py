"""torch.export: a .pt2 archive, the successor of TorchScript, which AOTInductor and ExecuTorch read too."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn

from exporters import culprit
from exporters.axes import free_axes
from exporters.decompositions import decomposed, refuse_unsettled
from exporters.golden import Golden, difference
from exporters.subject import Subject
from exporters.weights import ROOM, require_equal, unreadable
from zoo.errors import ExportError, reason
from zoo.files import reserve
from zoo.shapes import Value

_REMEDY = "export with --onnx or --torchscript"
_REFUSALS = (RuntimeError, TypeError, ValueError, AssertionError)
"""How torch.export refuses; its own errors are UserError and ConstraintViolationError, kinds of these."""
_TELLING = ("stack_trace", "source_fn_stack", "from_node", "nn_module_stack", "custom")
"""Notes at the nodes of a graph with paths of the sources it was made from."""
METADATA = "zoo.json"
_LACKING = (nn.CrossMapLRN2d, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)
"""Layers that torch.export cannot capture, or only for the batch it is shown."""


def export(subject: Subject, path: Path) -> None:
    """Write the module as a .pt2 archive.

    Raises:
        ExportError: torch.export cannot capture the module.
    """
    refuse_unsettled(subject)
    try:
        program = _capture(subject.module, (subject.example,), (subject.input,))
    except _REFUSALS as error:
        found = culprit.find(subject.checked, _attempt, _REFUSALS)
        if found is None:
            raise ExportError(f"torch.export cannot capture this model: {reason(error)}", _REMEDY) from error
        name = culprit.called(subject.checked, found.placed)
        raise ExportError(f"{name}: torch.export cannot capture it: {reason(found.error)}", _REMEDY) from error
    _strip(program)
    reserve(subject.weights + ROOM, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extra = {METADATA: json.dumps(subject.metadata(), ensure_ascii=False)}
        torch.export.save(program, path, extra_files=extra)


# Any: tensors, or nested tuples of tensors.
def _capture(module: nn.Module, inputs: tuple[Any, ...], values: tuple[Value, ...]) -> torch.export.ExportedProgram:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals; the proof judges the file
        module = decomposed(module, _LACKING)
        return torch.export.export(module, inputs, dynamic_shapes=tuple(map(free_axes, values)), strict=False)


def _attempt(module: nn.Module, inputs: tuple[Any, ...], values: tuple[Value, ...]) -> None:
    """Capture a layer by itself."""
    _capture(module, inputs, values)


def _strip(program: torch.export.ExportedProgram) -> None:
    """Remove the traced rows, and what tells of the machine."""
    program._example_inputs = None
    for node in program.graph.nodes:
        for note in _TELLING:
            node.meta.pop(note, None)


def verify_weights(subject: Subject, path: Path) -> int:
    """Return how many tensors of the file are the module's, bit for bit.

    Raises:
        ProofFailed: one is not, or is absent, or the file is none.
    """
    return require_equal(subject.module.state_dict(), load(path).state_dict, path.name)


def float64_error(subject: Subject, golden: Golden, path: Path) -> float | None:
    """Return how far the program in float64 is from R64, over S = max|R64|; None where it holds float32 of its own."""
    double = load(path).module().double()
    if subject.raw is not None:
        return None  # the preprocessing makes float32 numbers itself
    asked = golden.questions
    scale = max(float(np.abs(question.truth[np.isfinite(question.truth)]).max(initial=0.0)) for question in asked)
    worst = 0.0
    for question in asked:
        rows = question.inputs
        try:
            with torch.no_grad():
                found = double(rows.double() if rows.is_floating_point() else rows)
        except RuntimeError:
            return None  # such as the first state of an LSTM, which it makes itself
        worst = max(worst, difference(found, question.truth))
    return worst / scale if scale else worst


def load(path: Path) -> torch.export.ExportedProgram:
    """Return the program of a file.

    Raises:
        ProofFailed: the file is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.export.load(str(path))
        except (RuntimeError, ValueError, KeyError, BadZipFile, AssertionError) as error:
            raise unreadable(path, error) from error
