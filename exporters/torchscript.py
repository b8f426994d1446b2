"""TorchScript: what LibTorch and Triton's pytorch_libtorch load."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from exporters import culprit
from exporters.decompositions import refuse_unsettled
from exporters.subject import Subject
from exporters.weights import ROOM, require_equal, unreadable
from zoo.errors import ExportError, reason
from zoo.files import reserve
from zoo.shapes import Value

_REMEDY = "export with --onnx"
_REFUSALS = (RuntimeError, TypeError, ValueError)
"""How torch refuses to trace."""
_MACHINE = (".debug_pkl", "traced_inputs")  # records with source paths and with the traced rows
_WRITTEN = (".data/serialization_id", "version", "byteorder")  # by the writer itself


def export(subject: Subject, path: Path) -> None:
    """Write the module as a TorchScript file.

    Raises:
        ExportError: torch cannot trace the module.
    """
    refuse_unsettled(subject)
    whole = path.with_name(f"{path.name}.whole")
    reserve(subject.weights + ROOM, whole, path)
    try:
        _save(subject, whole)
        _copy_without_machine(whole, path)
    finally:
        whole.unlink(missing_ok=True)


def _save(subject: Subject, path: Path) -> None:
    """Write the archive as torch does.

    Raises:
        ExportError: torch cannot trace the module.
    """
    try:
        with warnings.catch_warnings():
            # torch.jit is deprecated, but not the runtimes that load it; and the proof judges what tracing warns of.
            warnings.simplefilter("ignore")
            torch.jit.save(_trace(subject.module, (subject.example,)), path, {"zoo.json": _metadata(subject)})
    except _REFUSALS as error:
        found = culprit.find(subject.checked, _attempt, _REFUSALS)
        if found is None:
            raise ExportError(f"torch cannot trace this model: {reason(error)}", _REMEDY) from error
        name = culprit.called(subject.checked, found.placed)
        raise ExportError(f"{name}: torch cannot trace it: {reason(found.error)}", _REMEDY) from error


# Any: tensors, or nested tuples of tensors.
def _trace(module: nn.Module, inputs: tuple[Any, ...]) -> torch.jit.ScriptModule:
    with torch.no_grad():  # as it is run: attention has another kernel with gradients, and other last bits
        traced: torch.jit.ScriptModule = torch.jit.trace(module, inputs, check_trace=False)  # type: ignore[no-untyped-call]  # torch
        return traced


def _attempt(module: nn.Module, inputs: tuple[Any, ...], values: tuple[Value, ...]) -> None:
    """Trace a layer by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _trace(module, inputs)


def _metadata(subject: Subject) -> str:
    import json

    return json.dumps(subject.metadata(), ensure_ascii=False)


def _copy_without_machine(source: Path, path: Path) -> None:
    """Copy the archive but for the records that tell of this machine; torch reads it without them."""
    reader, writer = torch._C.PyTorchFileReader(str(source)), torch._C.PyTorchFileWriter(str(path))
    for name in reader.get_all_records():
        if not any(mark in name for mark in _MACHINE) and name not in _WRITTEN:
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()


def verify_weights(subject: Subject, path: Path) -> int:
    """Return how many tensors of the file are the module's, bit for bit.

    Raises:
        ProofFailed: one is not, or is absent, or the file is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            stored = torch.jit.load(str(path), map_location="cpu").state_dict()  # type: ignore[no-untyped-call]  # torch
        except (RuntimeError, ValueError) as error:
            raise unreadable(path, error) from error
    # Tracing makes every buffer one of the state dict.
    mine = subject.module.state_dict() | dict(subject.module.named_buffers(remove_duplicate=False))
    return require_equal(mine, stored, path.name)
