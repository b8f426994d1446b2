"""Inspection: what an ONNX file says of itself, without running it, without onnx, and without its external data.

The numbers of the fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import mmap
import stat
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

from exporters.graph_reading import GraphReading, Tensor, Value
from exporters.wire import Message, WireError, signed
from zoo.errors import ModelFileError
from zoo.strict import Strict

_REMEDY = "name an .onnx file as it was written: download, copy or export it again"
OPERATORS = "ai.onnx"
"""What the domain of the standard operators is called; in a file it is empty."""


class TensorRecord(Strict):
    """An input or output."""

    name: str
    """Its name."""
    dtype: str
    """Type of its numbers; "sequence", "map" or "optional" where it is no tensor."""
    axes: tuple[int | str, ...] | None
    """Size or name of each axis, "?" where it has neither; null where their number is open."""


class Inspection(Strict):
    """What an ONNX file says of itself."""

    file: str
    """Its name."""
    bytes: int
    """Its size, without external data."""
    ir_version: int
    """Version of the file format."""
    opsets: dict[str, int]
    """Version of each set of operators by its domain; "ai.onnx" is the standard one."""
    producer: str
    """The program that wrote it, with its version."""
    graph: str
    """Name of the graph."""
    inputs: tuple[TensorRecord, ...]
    """What goes in, without what the file gives a value itself."""
    outputs: tuple[TensorRecord, ...]
    """What comes out."""
    operators: dict[str, int]
    """How often each operator is used, also inside of others, the most used first."""
    functions: tuple[str, ...]
    """Operators that the file defines itself."""
    tensors: int
    """Stored tensors."""
    parameters: int
    """Numbers in them."""
    external: tuple[str, ...]
    """Files beside it that hold tensors; they are not read."""
    metadata: dict[str, str]
    """Its metadata_props."""


def inspect(path: Path) -> Inspection:
    """Return what an ONNX file says of itself.

    Raises:
        ModelFileError: it is no ONNX file, is cut off, or says what no file may.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ModelFileError(f"{path} is no file", "name an .onnx file")
        with path.open("rb") as file:
            size = path.stat().st_size
            if not size:
                raise ModelFileError(f"{path} is empty", _REMEDY)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _model(path, Message(content, 0, size))
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} does not exist", "name an .onnx file") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}", "name another file") from error
    except WireError as error:
        raise ModelFileError(f"{path} is no ONNX file, or is damaged: {error}", _REMEDY) from error


def _model(path: Path, model: Message) -> Inspection:
    numbers, texts = dict[int, int](), dict[int, str]()
    opsets, metadata = dict[str, int](), dict[str, str]()
    reading = GraphReading()
    graphs: list[Message] = []
    for number, value in model.fields():
        if isinstance(value, int):
            numbers[number] = signed(value)
        elif number in (2, 3):
            texts[number] = value.text()
        elif number == 7:
            graphs.append(value)
        elif number == 8:
            domain, version = _opset(value)
            opsets[domain or OPERATORS] = version
        elif number == 14:
            key, said = _entry(value)
            metadata[key] = said
        elif number == 25:
            reading.function(value)
    if not graphs or not opsets or 1 not in numbers:
        raise WireError("it has no graph, no operator set or no IR version")
    if len(graphs) > 1:
        raise WireError("it has several graphs")
    reading.require_functions_end()
    outermost = reading.graph(graphs[0])
    stored = {tensor.name for tensor in outermost.tensors}
    return Inspection(
        file=path.name,
        bytes=len(model),
        ir_version=numbers[1],
        opsets=opsets,
        producer=" ".join(filter(None, (texts.get(2, ""), texts.get(3, "")))),
        graph=outermost.name,
        inputs=tuple(_record(value) for value in outermost.inputs if value.name not in stored),
        outputs=tuple(map(_record, outermost.outputs)),
        operators=dict(sorted(reading.operators.items(), key=lambda item: (-item[1], item[0]))),
        functions=tuple(sorted(reading.functions)),
        tensors=len(reading.tensors),
        parameters=sum(tensor.count for tensor in reading.tensors),
        external=_external(reading.tensors),
        metadata=metadata,
    )


def _record(value: Value) -> TensorRecord:
    return TensorRecord(name=value.name, dtype=value.dtype, axes=value.axes)


def _external(tensors: list[Tensor]) -> tuple[str, ...]:
    """Return the files that hold tensors.

    Raises:
        WireError: one lies outside the folder.
    """
    found = Counter(tensor.location for tensor in tensors if tensor.location is not None)
    for location in found:
        posix, windows = PurePosixPath(location), PureWindowsPath(location)
        leaving = posix.is_absolute() or windows.drive or windows.root or ".." in (*posix.parts, *windows.parts)
        if leaving or not posix.parts or "\0" in location:
            raise WireError(f"its weights lie outside its folder, in {location[:80]!r}")
    return tuple(sorted(found))


def _opset(message: Message) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in message.fields():
        if number == 1 and isinstance(value, Message):
            domain = value.text()
        elif number == 2 and isinstance(value, int):
            version = signed(value)
    return domain, version


def _entry(message: Message) -> tuple[str, str]:
    found = {number: value.text() for number, value in message.fields() if isinstance(value, Message)}
    return found.get(1, ""), found.get(2, "")
