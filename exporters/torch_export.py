"""torch.export: a .pt2 archive, the successor of TorchScript, which AOTInductor and ExecuTorch read too."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from exporters import culprit
from exporters.axes import free_axes
from exporters.subject import Subject
from exporters.weights import require_equal
from zoo.errors import ExportError, reason
from zoo.shapes import Value

_REMEDY = "export with --onnx or --torchscript"
_REFUSALS = (RuntimeError, TypeError, ValueError, AssertionError)
"""How torch.export refuses; its own errors are UserError and ConstraintViolationError, kinds of these."""
_TELLING = ("stack_trace", "source_fn_stack", "from_node", "nn_module_stack", "custom")
"""Notes at the nodes of a graph with paths of the sources it was made from."""
METADATA = "zoo.json"


def export(subject: Subject, path: Path) -> None:
    """Write the module as a .pt2 archive.

    Raises:
        ExportError: torch.export cannot capture the module.
    """
    try:
        program = _capture(subject.module, (subject.example,), (subject.checked.input,))
    except _REFUSALS as error:
        found = culprit.find(subject.checked, _attempt, _REFUSALS)
        if found is None:
            raise ExportError(f"torch.export cannot capture this model: {reason(error)}", _REMEDY) from error
        name = culprit.called(subject.checked, found.placed)
        raise ExportError(f"{name}: torch.export cannot capture it: {reason(found.error)}", _REMEDY) from error
    _strip(program)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extra = {METADATA: json.dumps(subject.metadata(), ensure_ascii=False)}
        torch.export.save(program, buffer, extra_files=extra)
    path.write_bytes(buffer.getvalue())


# Any: tensors, or nested tuples of tensors.
def _capture(module: nn.Module, inputs: tuple[Any, ...], values: tuple[Value, ...]) -> torch.export.ExportedProgram:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals; the proof judges the file
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
        ProofFailed: one is not, or is absent.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stored = torch.export.load(str(path)).state_dict
    return require_equal(subject.module.state_dict(), stored, path.name)
