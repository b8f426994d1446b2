"""TorchScript: what LibTorch and Triton's pytorch_libtorch load."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch

from exporters.subject import Subject
from zoo.errors import ExportError, reason

_MACHINE = (".debug_pkl", "traced_inputs")  # records with source paths and with the traced rows


def export(subject: Subject, path: Path) -> None:
    """Write the module as a TorchScript file.

    Raises:
        ExportError: torch cannot trace the module.
    """
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            for category in (FutureWarning, DeprecationWarning):
                # torch.jit is deprecated; the runtimes that load it are not.
                warnings.simplefilter("ignore", category)
            traced = torch.jit.trace(subject.module, (subject.example,))  # type: ignore[no-untyped-call]  # torch
            torch.jit.save(traced, buffer, {"zoo.json": _metadata(subject)})
    except RuntimeError as error:
        raise ExportError(f"torch cannot trace this model: {reason(error)}", "export with --onnx") from error
    _copy_without_machine(buffer, path)


def _metadata(subject: Subject) -> str:
    import json

    return json.dumps(subject.metadata(), ensure_ascii=False)


def _copy_without_machine(buffer: io.BytesIO, path: Path) -> None:
    """Copy the archive but for the records that tell of this machine; torch reads it without them."""
    buffer.seek(0)
    reader = torch._C.PyTorchFileReader(buffer)
    # Into memory: torch's own file writer reports a full disk as a RuntimeError.
    content = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(content)
    for name in reader.get_all_records():
        if not any(mark in name for mark in _MACHINE) and name not in (
            ".data/serialization_id",
            "version",
            "byteorder",
        ):
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    path.write_bytes(content.getvalue())
