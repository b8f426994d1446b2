"""Storage: an ONNX file on disk; weights beyond what one protobuf message holds stand in a file beside it."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto

ONE_FILE = 2**31 - 2**26  # bytes of weights: a message has 2 GiB at most, and the graph wants room in it too
SMALLEST = 1024  # bytes of a tensor that leaves the file: shapes are inferred from smaller ones


def write(model: ModelProto, path: Path, one_file: int = ONE_FILE) -> None:
    """Write a model as one file, or as two where its weights are larger than `one_file` bytes."""
    if weight(model) <= one_file:
        path.write_bytes(model.SerializeToString(deterministic=True))
        return
    location = beside(path)
    onnx.save_model(model, path, save_as_external_data=True, location=location.name, size_threshold=SMALLEST)


def beside(path: Path) -> Path:
    """Return where the weights of a file stand that are not in it."""
    return path.with_name(f"{path.name}.data")


def read(path: Path) -> ModelProto:
    """Return the model of a file, with its weights wherever they stand.

    Raises:
        DecodeError: it is no ONNX file.
        ValidationError: weights beside it are missing, or stand elsewhere than beside it.
    """
    return onnx.load_model(path)


def outline(path: Path) -> ModelProto:
    """Return the model of a file without the weights beside it."""
    return onnx.load_model(path, load_external_data=False)


def weight(model: ModelProto) -> int:
    """Return the bytes of all weights that are in memory."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)


def leaves(model: ModelProto) -> list[str]:
    """Return the names of the tensors that stand in another file."""
    return [tensor.name for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]


def locations(model: ModelProto) -> set[str]:
    """Return the files in which tensors stand that are not in this one."""
    return {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
