"""Files of arrays: their headers without numpy or torch, and their arrays as tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import IO, TYPE_CHECKING

from zoo.data.data import OptionError
from zoo.data.paths import no_file
from zoo.errors import DataError, reason
from zoo.files import is_file

if TYPE_CHECKING:
    from torch import Tensor

SCANNED = 2 * 2**20  # bytes of targets that a check reads to find the largest class
LONGEST_HEADER = 1 << 20  # bytes; a header says names and sizes
KINDS = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}
"""Whole numbers: numpy's letter and bytes -> the letter of Python's array module."""
SAFETENSORS = {"I8": "i1", "U8": "u1", "I16": "i2", "U16": "u2", "I32": "i4", "U32": "u4", "I64": "i8", "U64": "u8"}
FLOATS = ("f2", "f4", "f8", "F16", "BF16", "F32", "F64")


_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    SyntaxError,
    EOFError,
    MemoryError,
    RuntimeError,  # zipfile's for encrypted members; RecursionError for headers nested too deep
)
"""What reading a header of damaged bytes raises."""


@dataclass(frozen=True)
class Header:
    """What a file says of an array."""

    sizes: tuple[int, ...]
    kind: str
    """numpy's letter and bytes, "f4"; "other" for what holds no numbers."""
    largest: int | None = None
    """The largest number of a small array of whole numbers of one axis."""
    place: int | None = None
    """Where its numbers begin in the file, row after row; None where they are packed or stand otherwise."""
    little: bool = True
    """Whether the lowest byte of a number comes first."""

    def __post_init__(self) -> None:
        if any(size < 0 for size in self.sizes):
            raise ValueError("an array has a size below 0")

    @property
    def whole(self) -> bool:
        """Return whether it holds whole numbers."""
        return self.kind in KINDS

    @property
    def dtype(self) -> str:
        """Return the dtype of the tensor; "other" for what holds no numbers."""
        if self.whole:
            return "uint8" if self.kind == "u1" else "int64"
        return "float32" if self.kind in FLOATS else "other"


def read_headers(path: str) -> dict[str, Header]:
    """Return what the file says of each array.

    Raises:
        OptionError: the file is absent, or no file of arrays.
    """
    if not is_file(path):
        raise OptionError(no_file(path), "set data.file to a .npz or .safetensors file", "file")
    try:
        return _npz(path) if path.lower().endswith(".npz") else _safetensors(path)
    except _DAMAGE as error:
        raise OptionError(f"cannot read {path}: {reason(error)}", "write it anew with numpy.savez", "file") from error


def _npz(path: str) -> dict[str, Header]:
    import zipfile
    import zlib

    headers = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".npy"):
                    with archive.open(name) as member:
                        header, length = _npy(member)
                    info = archive.getinfo(name)
                    if info.compress_type == zipfile.ZIP_STORED and length is not None:
                        header = replace(header, place=_content(path, info.header_offset) + length)
                    headers[name.removesuffix(".npy")] = header
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error) as error:
        raise ValueError(reason(error)) from error
    return headers


def _content(path: str, place: int) -> int:
    """Return where the content of a member of a zip file begins, whose own header is at a place."""
    with open(path, "rb") as file:
        file.seek(place + 26)  # behind what the directory says too
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
    return place + 30 + name + extra


def _npy(member: IO[bytes]) -> tuple[Header, int | None]:
    """Return what the member says, and the length of it, where its rows stand one after the other."""
    import ast

    start = member.read(8)
    if start[:6] != b"\x93NUMPY":
        raise ValueError("a member is no array")
    wide = 2 if start[6] == 1 else 4
    length = int.from_bytes(member.read(wide), "little")
    if length > LONGEST_HEADER:
        raise ValueError("the header of an array is too long")
    said = ast.literal_eval(member.read(length).decode("latin1"))
    sizes, described = tuple(int(size) for size in said["shape"]), said["descr"]
    kind = described[1:] if isinstance(described, str) else "other"
    little = isinstance(described, str) and described[:1] in "<|"
    kind = kind if kind in (*KINDS, *FLOATS) else "other"
    header = Header(sizes, kind, _largest(member, kind, sizes, little), little=little)
    return header, None if said["fortran_order"] else 8 + wide + length


def _safetensors(path: str) -> dict[str, Header]:
    import json

    headers = {}
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= LONGEST_HEADER:
            raise ValueError("its header has an impossible length")
        said = json.loads(file.read(length))
        for name, tensor in said.items():
            if name == "__metadata__":
                continue
            sizes, dtype = tuple(int(size) for size in tensor["shape"]), tensor["dtype"]
            kind = SAFETENSORS.get(dtype, dtype if dtype in FLOATS else "other")
            place = 8 + length + int(tensor["data_offsets"][0])
            file.seek(place)
            headers[name] = Header(sizes, kind, _largest(file, kind, sizes, True), place)
    return headers


def _largest(content: IO[bytes], kind: str, sizes: tuple[int, ...], little: bool) -> int | None:
    """Return the largest of a few whole numbers; None for others, and for many."""
    import array
    import sys

    if kind not in KINDS or len(sizes) != 1:
        return None
    numbers = array.array(KINDS[kind])
    size = prod(sizes) * numbers.itemsize
    if not 0 < size <= SCANNED:
        return None
    numbers.frombytes(content.read(size))
    if little != (sys.byteorder == "little") and numbers.itemsize > 1:
        numbers.byteswap()
    return max(numbers) if len(numbers) == sizes[0] and max(numbers) < 1_000_000 else None


def read_array(path: str, key: str) -> Tensor:
    """Return an array as a tensor of float32, uint8 or int64.

    Raises:
        DataError: it is absent, damaged, or holds no numbers.
    """
    import torch

    tensor = _load(path, key)
    if tensor.is_floating_point():
        return tensor.to(torch.float32)
    return tensor if tensor.dtype == torch.uint8 else tensor.to(torch.int64)


def _load(path: str, key: str) -> Tensor:
    import zipfile
    import zlib

    import numpy as np
    import torch
    from safetensors import SafetensorError, safe_open

    header = read_headers(path).get(key)
    if header is None or header.dtype == "other":
        raise DataError(f"{path} has no array of numbers {key!r}", "give a file that has it")
    try:
        if path.lower().endswith(".npz"):
            with np.load(path, allow_pickle=False) as arrays:
                found = arrays[key]
            if found.dtype.kind == "u" and found.dtype.itemsize == 8 and found.size and found.max() >= 2**63:
                raise ValueError("its numbers do not fit into int64")
            plain = found.astype(np.float32 if found.dtype.kind == "f" else "u1" if header.kind == "u1" else np.int64)
            return torch.from_numpy(np.ascontiguousarray(plain))
        with safe_open(path, framework="pt") as tensors:
            opened: Tensor = tensors.get_tensor(key)
            return opened
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, SafetensorError) as error:
        raise DataError(f"cannot read {key} of {path}: {reason(error)}", "write the file anew") from error
