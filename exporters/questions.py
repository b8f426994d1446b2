"""Questions on disk: golden.npz, by which the proof is repeated wherever there is numpy.

Each distinct row of the inputs and of R64 stands there once; a batch says which rows it has. Torch's own float32 stands
whole for each batch, because a row's last bits may depend on the rows beside it. Nothing in the file is pickled or
compressed, so that reading it takes no more memory than it has bytes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from exporters.arrays import Array
from zoo.errors import ProofFailed
from zoo.strict import Strict

FILE_NAME = "golden.npz"
LARGEST = 32 * 2**20  # bytes; questions that do not fit beside the others are left out
LARGEST_BATCH = 2**30  # bytes of one batch with its repeated rows
TRUTHS = (np.float64, np.int64)  # numbers, and places of numbers
KINDS = "biuf"  # of numbers: bool, integers, floats
ALWAYS = "batch of 3"  # stored whatever its size: a proof asks one question at least


class QuestionRecord(Strict):
    """A question of golden.npz."""

    name: str
    """What it is called in the comparisons."""
    held_out: bool
    """Whether its rows are of the data; else they are probes."""
    rows: tuple[str, ...]
    """What each row is called, where rows have names."""
    group: int
    """Which distinct rows it is made of: those of its length."""
    moves: tuple[tuple[float, ...], ...] = ()
    """How far R64 of each output and row moves: of probes that hold numbers with the last bits of all that is computed,
    of held-out rows with those that sums of many numbers lose; absent where these are few."""


class OutputRecord(Strict):
    """An output of the model."""

    name: str
    """Its name."""
    chosen: int | None = None
    """The axis of the first output along which this says where the largest number stands; absent for plain numbers."""


class GoldenRecord(Strict):
    """What golden.npz holds."""

    questions: tuple[QuestionRecord, ...]
    """The questions with the inputs, R64 and torch's own answers, in their order."""
    left_out: tuple[str, ...]
    """Questions of the proof that would make the file larger than 32 MiB, as the comparisons name them."""
    outputs: tuple[OutputRecord, ...]
    """The outputs of the model."""


@dataclass(frozen=True)
class Question:
    """A batch with what the model answers."""

    name: str
    inputs: Array
    truths: tuple[Array, ...]
    """R64, the module in float64: each output."""
    owns: tuple[Array, ...]
    """The module as it is, in float32: each output."""
    rows: tuple[str, ...] = ()
    """What each row is called, where rows have names."""
    moves: tuple[tuple[float, ...], ...] = ()
    """How far R64 of each output and row moves with last bits."""

    @property
    def own(self) -> Array:
        """Return the first output of the module as it is."""
        return self.owns[0]


@dataclass(frozen=True)
class Questions:
    """Questions with what the model answers: batches of held-out rows, and then the probes."""

    held_out: tuple[Question, ...]
    probes: tuple[Question, ...]
    outputs: tuple[OutputRecord, ...]

    @property
    def questions(self) -> tuple[Question, ...]:
        """Return all of them."""
        return self.held_out + self.probes


def write(asked: Questions, folder: Path) -> GoldenRecord:
    """Write as many questions as fit, and return which."""
    chosen: list[Question] = []
    for question in sorted(asked.questions, key=lambda question: question.name != ALWAYS):
        wider = [*chosen, question]
        if question.name == ALWAYS or sum(array.nbytes for array in _packed(wider)[0].values()) <= LARGEST:
            chosen = wider
    names = {question.name for question in chosen}
    kept = [question for question in asked.questions if question.name in names]
    arrays, groups = _packed(kept)
    np.savez(folder / FILE_NAME, allow_pickle=False, **arrays)
    held_out = {question.name for question in asked.held_out}
    records = [
        QuestionRecord(
            name=question.name,
            held_out=question.name in held_out,
            rows=question.rows,
            group=group,
            moves=question.moves,
        )
        for question, group in zip(kept, groups, strict=True)
    ]
    out = [question for question in asked.questions if question.name not in names]
    left = tuple(name for question in out for name in question.rows or (question.name,))
    return GoldenRecord(questions=tuple(records), left_out=left, outputs=asked.outputs)


def _packed(questions: Sequence[Question]) -> tuple[dict[str, Array], list[int]]:
    """Return the arrays of questions by their names in the file, and the group of each question."""
    arrays, groups = dict[str, Array](), dict[tuple[int, ...], int]()
    rows: dict[int, dict[bytes, int]] = {}
    parts: dict[int, list[tuple[Array, ...]]] = {}
    for number, question in enumerate(questions):
        group = groups.setdefault(question.inputs.shape[1:], len(groups))
        found, held = rows.setdefault(group, {}), parts.setdefault(group, [])
        places = []
        for row in zip(question.inputs, *question.truths, strict=True):
            key = b"".join(part.tobytes() for part in row)
            if key not in found:
                held.append(row)
            places.append(found.setdefault(key, len(found)))
        arrays[f"{number}.rows"] = np.array(places, np.int64)
        arrays |= {f"{number}.own.{place}": np.ascontiguousarray(own) for place, own in enumerate(question.owns)}
    for group, held in parts.items():
        inputs, *truths = (np.stack(column) for column in zip(*held, strict=True))
        arrays[f"group.{group}.inputs"] = inputs
        arrays |= {f"group.{group}.truth.{place}": truth for place, truth in enumerate(truths)}
    return arrays, [groups[question.inputs.shape[1:]] for question in questions]


def read(folder: Path, record: GoldenRecord) -> Questions:
    """Return the questions of a bundle.

    Raises:
        ProofFailed: the file does not hold what the certificate says, or is none.
    """
    path = folder / FILE_NAME
    try:
        arrays = dict(_arrays(path))
        found = [_question(number, told, len(record.outputs), arrays) for number, told in enumerate(record.questions)]
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise ProofFailed(
            f"{FILE_NAME} does not hold what the certificate says: {error}", "ask for the bundle again"
        ) from error
    sides: dict[bool, list[Question]] = {True: [], False: []}
    for told, question in zip(record.questions, found, strict=True):
        sides[told.held_out].append(question)
    if not sides[True] or not record.outputs:
        raise ProofFailed(f"{FILE_NAME} holds no batch of rows", "ask for the bundle again")
    return Questions(tuple(sides[True]), tuple(sides[False]), record.outputs)


def _question(number: int, told: QuestionRecord, outputs: int, arrays: Mapping[str, Array]) -> Question:
    inputs, rows = arrays[f"group.{told.group}.inputs"], arrays[f"{number}.rows"]
    truths = tuple(arrays[f"group.{told.group}.truth.{place}"] for place in range(outputs))
    owns = tuple(arrays[f"{number}.own.{place}"] for place in range(outputs))
    if rows.dtype != np.int64 or rows.ndim != 1 or not len(rows) or rows.min() < 0:
        raise ValueError(f"{told.name} has no rows")
    if told.rows and len(told.rows) != len(rows):
        raise ValueError(f"{told.name} has {len(rows)} rows, and {len(told.rows)} names for them")
    if len(rows) * prod(inputs.shape[1:]) * inputs.itemsize > LARGEST_BATCH:
        raise ValueError(f"{told.name} is too large")
    if told.moves and [len(moves) for moves in told.moves] != [len(rows)] * outputs:
        raise ValueError(f"{told.name} moves in other shapes")
    for truth, own in zip(truths, owns, strict=True):
        if truth.dtype not in TRUTHS or own.shape != (len(rows), *truth.shape[1:]):
            raise ValueError(f"the answers to {told.name} have other shapes")
    return Question(told.name, inputs[rows], tuple(truth[rows] for truth in truths), owns, told.rows, told.moves)


def _arrays(path: Path) -> Iterator[tuple[str, Array]]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("its parts are larger than itself")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or not member.filename.endswith(".npy"):
                raise ValueError(f"{member.filename!r} is no plain array")
            with archive.open(member) as file:
                yield member.filename.removesuffix(".npy"), _array(file, member.file_size)


def _array(file: IO[bytes], size: int) -> Array:
    """Return an array after holding the size that it claims against the bytes that are there."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array has another format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in KINDS or fortran or min(shape, default=1) < 0 or not shape:
        raise ValueError("an array holds no plain numbers")
    content = file.read(size)
    if len(content) != prod(shape) * dtype.itemsize:
        raise ValueError("an array claims another size than it has")
    return np.frombuffer(content, dtype).reshape(shape)
