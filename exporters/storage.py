"""Storage: an ONNX file on disk; weights beyond what one protobuf message holds stand in a file beside it.

A file is read as an outline, whose weights stay on disk until one is asked for: a message that is read as a whole is in
memory twice while it is.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, TensorProto, numpy_helper
from onnx.checker import ValidationError
from onnx.external_data_helper import ExternalDataInfo

from exporters.arrays import Array
from exporters.wire import Message

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
    weights = model.graph.initializer
    heads = [_header(GraphProto.INITIALIZER_FIELD_NUMBER, tensor.ByteSize()) for tensor in weights]
    sizes = (len(head) + tensor.ByteSize() for head, tensor in zip(heads, weights, strict=True))
    yield before + _header(ModelProto.GRAPH_FIELD_NUMBER, len(first) + sum(sizes) + len(last)) + first
    for head, tensor in zip(heads, weights, strict=True):
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


def _header(number: int, size: int) -> bytes:
    """Return what stands before so many bytes in a field: its number with the wire type 2, and their count."""
    return _varint(number << 3 | 2) + _varint(size)


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
    """Return the model of a file with its weights left on disk: each says in which file it stands, and where.

    Raises:
        DecodeError: it is no ONNX file.
        ValidationError: a tensor has another size than its shape says.
    """
    model = ModelProto()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for number, value in Message(content, 0, len(content)).fields():
                if isinstance(value, Message) and number == ModelProto.GRAPH_FIELD_NUMBER:
                    _sketch(model.graph, value, path.name)
                else:
                    model.MergeFromString(_field(number, value))
    except ValueError as error:  # a WireError, or mmap's of a file without a byte
        raise DecodeError(str(error)) from error
    return model


def _sketch(graph: GraphProto, told: Message, file: str) -> None:
    """Read a graph whose tensors are in the file of this name."""
    rest = bytearray()
    for number, value in told.fields():
        if isinstance(value, Message) and number == GraphProto.INITIALIZER_FIELD_NUMBER:
            _leave(graph.initializer.add(), value, file)
        else:
            rest += _field(number, value)
    graph.MergeFromString(bytes(rest))


def _leave(tensor: TensorProto, told: Message, file: str) -> None:
    """Read a tensor and leave its numbers where they are, if they are many."""
    rest, numbers = bytearray(), None
    for number, value in told.fields():
        if isinstance(value, Message) and number == TensorProto.RAW_DATA_FIELD_NUMBER and len(value) >= SMALLEST:
            numbers = value
        else:
            rest += _field(number, value)
    tensor.MergeFromString(bytes(rest))
    if numbers is None:
        return
    if len(numbers) != prod(tensor.dims) * _kind(tensor).itemsize:
        raise ValidationError(f"{tensor.name} has {len(numbers)} bytes, which is not the size of its shape")
    tensor.data_location = TensorProto.EXTERNAL
    for key, said in (("location", file), ("offset", numbers.start), ("length", len(numbers))):
        tensor.external_data.add(key=key, value=str(said))


def _field(number: int, value: int | Message) -> bytes:
    """Return a field as it stands in a file."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _header(number, len(value)) + value.content[value.start : value.end]


def array(tensor: TensorProto, folder: Path) -> Array:
    """Return the numbers of a tensor of an outline, read from where they are.

    Args:
        tensor: of the outline of a file.
        folder: where the file is.
    """
    if tensor.data_location != TensorProto.EXTERNAL:
        return numpy_helper.to_array(tensor)
    told = ExternalDataInfo(tensor)
    count, start = prod(tensor.dims), told.offset or 0
    return np.fromfile(folder / told.location, _kind(tensor), count, offset=start).reshape(tuple(tensor.dims))


def _kind(tensor: TensorProto) -> np.dtype[Any]:  # Any: of whatever numbers
    try:
        return onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError as error:
        raise ValidationError(f"{tensor.name} has numbers of an unknown type, {tensor.data_type}") from error


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
