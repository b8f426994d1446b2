"""Storage: an ONNX file on disk; weights beyond what one protobuf message holds stand in a file beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto

ONE_FILE = 2**31 - 2**26  # bytes of weights: a message has 2 GiB at most, and the graph wants room in it too
SMALLEST = 1024  # bytes of a tensor that leaves the file: shapes are inferred from smaller ones


def write(model: ModelProto, path: Path, one_file: int = ONE_FILE) -> None:
    """Write a model as one file, or as two where its weights are larger than `one_file` bytes."""
    if weight(model) <= one_file:
        with path.open("wb") as file:
            file.writelines(_pieces(model))
        return
    location = beside(path)
    onnx.save_model(model, path, save_as_external_data=True, location=location.name, size_threshold=SMALLEST)


def _pieces(model: ModelProto) -> Iterator[bytes]:
    """Yield what SerializeToString(deterministic=True) gives, a tensor at a time: as a whole it is in memory twice."""
    before, behind = _around(model, "graph")
    first, last = _around(model.graph, "initializer")
    heads = [_head(model.graph, "initializer", tensor.ByteSize()) for tensor in model.graph.initializer]
    sizes = (len(head) + tensor.ByteSize() for head, tensor in zip(heads, model.graph.initializer, strict=True))
    yield before + _head(model, "graph", len(first) + sum(sizes) + len(last)) + first
    for head, tensor in zip(heads, model.graph.initializer, strict=True):
        yield head
        yield tensor.SerializeToString(deterministic=True)
    yield last + behind


# Any: protobuf ships no types.
def _around(message: Any, name: str) -> tuple[bytes, bytes]:
    """Return the fields of a message that stand before the field of this name, and those behind it."""
    number = message.DESCRIPTOR.fields_by_name[name].number
    before, behind = type(message)(), type(message)()
    for field, value in message.ListFields():
        side = before if field.number < number else behind
        if field.number == number:
            continue
        if field.is_repeated:
            getattr(side, field.name).extend(value)
        elif field.message_type is not None:
            getattr(side, field.name).CopyFrom(value)
        else:
            setattr(side, field.name, value)
    return before.SerializeToString(deterministic=True), behind.SerializeToString(deterministic=True)


def _head(message: Any, name: str, size: int) -> bytes:
    """Return what stands before a message of so many bytes in this field: its number with the wire type 2, its size."""
    return _varint(message.DESCRIPTOR.fields_by_name[name].number << 3 | 2) + _varint(size)


def _varint(number: int) -> bytes:
    """Return a number as protobuf writes it: seven bits in a byte, the lowest first."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def beside(path: Path) -> Path:
    """Return where the weights of a file stand that are not in it."""
    return path.with_name(f"{path.name}.data")


def size(path: Path) -> int:
    """Return the bytes of a file, with those of the weights beside it."""
    return sum(part.stat().st_size for part in (path, beside(path)) if part.exists())


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
    """Return the bytes of all weights, in the model or beside it."""
    beside = (entry for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "length")
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer) + sum(int(entry.value) for entry in beside)


def leaves(model: ModelProto) -> list[str]:
    """Return the names of the tensors that stand in another file."""
    return [tensor.name for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]


def locations(model: ModelProto) -> set[str]:
    """Return the files in which tensors stand that are not in this one."""
    return {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
