"""Golden data: questions to the model with its own answers, for the proof and for whoever receives the bundle.

On disk they stand as the ONNX backend tests do: test_data_set_0/input_0.pb and output_0.pb, one TensorProto each.
Source: https://github.com/onnx/onnx/blob/main/docs/OnnxBackendTest.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from exporters import conditioning, probing
from exporters.arrays import Array, largest
from exporters.doubling import as_double, doubled
from exporters.probing import BANDS, PROBES, PROBES_NAME
from exporters.summing import Losing
from exporters.tolerance import FAR, LARGEST_OWN_ERROR, MAX_FACTOR
from zoo.economy import trim_heap
from zoo.training.evaluation import evaluating

BATCHES = (1, 2, 3, 4, 7, 64)  # rows; the exporters trace with 3
WORK = 40_000_000_000  # multiply-adds that all batches may cost: less than a second of one core in onnxruntime
FEWEST = 4  # rows of the largest batch of the most expensive model: one more than is traced
PUBLISHED = "batch of 3"  # which question is written to disk
LOSS = 8.0  # last bits that a sum may lose before it is asked how far they move the answers to held-out rows
DISTINCT = 64  # rows at most whose truth is computed; larger batches repeat them
TRUTH = 12_000_000_000  # multiply-adds of float64 for the truth, about a second of one core
AT_ONCE = 8  # rows that are computed at a time in float64, and twice as many in float32: memory depends on it
AT_ONCE_WORK = 8_000_000_000  # multiply-adds at a time, for the same reason


@dataclass(frozen=True)
class Question:
    """A batch with what the model answers."""

    name: str
    inputs: Tensor
    truths: tuple[Array, ...]
    """R64, the module in float64: each output."""
    owns: tuple[Array, ...]
    """The module as it is, in float32: each output."""
    rows: tuple[str, ...] = ()
    """What each row is called, where rows have names."""
    moves: tuple[tuple[float, ...], ...] = ()
    """How far R64 of each output and row moves with last bits: float32 cannot know it closer. Of a probe, those of all
    that is computed for it; of a model whose rows cost much 0, but where it is far. Of a held-out row, those that sums
    of many numbers lose; nothing where they are few."""
    places: tuple[int, ...] = ()
    """Which of the held-out rows they are."""

    @property
    def truth(self) -> Array:
        """Return R64 of the first output."""
        return self.truths[0]

    @property
    def own(self) -> Array:
        """Return the first output of the module as it is."""
        return self.owns[0]


@dataclass(frozen=True)
class Golden:
    """Questions with what the model answers: batches of held-out rows, and then the probes."""

    held_out: tuple[Question, ...]
    probes: tuple[Question, ...] = ()

    @property
    def questions(self) -> tuple[Question, ...]:
        """Return all of them."""
        return self.held_out + self.probes

    @property
    def published(self) -> Question:
        """Return the question that is written to disk."""
        return next(question for question in self.held_out if question.name == PUBLISHED)

    @property
    def spared(self) -> bool:
        """Return whether the model is so expensive that fewer questions are asked."""
        return tuple(len(question.inputs) for question in self.held_out) != BATCHES


def batches(work: int) -> tuple[int, ...]:
    """Return the rows of each batch; where they cost more than WORK, of 1, 2, 3 and one as large as WORK allows.

    Args:
        work: multiply-adds for one row.
    """
    if work * sum(BATCHES) <= WORK:
        return BATCHES
    small = BATCHES[:3]
    return (*small, min(BATCHES[-1], max(FEWEST, WORK // work - sum(small))))


def make(module: nn.Module, rows: Tensor, sequence: int | None = None, work: int = 0, values: int = 0) -> Golden:
    """Return batches cut from `rows` one after the other, from the start again where they end, and the probes.

    Args:
        module: what answers.
        rows: held-out rows.
        sequence: the axis that may have any length, where there is one; the batches then have several lengths.
        work: multiply-adds for one row. Expensive models are asked less: smaller batches of fewer rows, whose float32
            answers are those of single rows (see `whole`).
        values: how many values a number of the input may have, where it is a token; 0 where it is none.
    """
    some = rows[: max(3, min(DISTINCT, TRUTH // max(1, work)))]
    at_once = max(1, min(AT_ONCE, AT_ONCE_WORK // max(1, work)))
    spared = batches(work) != BATCHES
    plan = list(_plan(batches(work), 1 if sequence is None else some.shape[sequence]))
    cuts = {length: some if sequence is None else some.narrow(sequence, 0, length) for _, _, length in plan}
    banded = spared and max(rows.shape[1:], default=0) >= len(PROBES) - 1  # a shorter row has no place for all of them
    probe = probing.bands(rows, values) if banded else probing.probe_rows(rows, values)
    names = BANDS if banded else PROBES
    with evaluating(module):
        alone = {length: _answers(module, cut, 2 * at_once) for length, cut in cuts.items()} if spared else {}
        owns = () if probe is None else _answers(module, probe, 2 * at_once if spared else len(probe))
        with doubled(module) as double:
            with Losing() as watch:
                truths = {length: _truth(double, cut, at_once) for length, cut in cuts.items()}
            usual = list(truths.values())
            answer = partial(_truth, double, at_once=at_once)
            lossy = cuts if watch.most > LOSS else {}
            losses = {length: conditioning.losses(truths[length], cut, answer) for length, cut in lossy.items()}
            asked = [] if probe is None else [Question(PROBES_NAME, probe, (), owns, names)]
            probes = tuple(_probed(double, one, some, usual) for one in asked)
        probes = tuple(_knowable(module, one, some, usual, 2 * at_once if spared else len(names)) for one in probes)
        held_out = []
        for size, start, length in plan:
            taken = np.arange(start, start + size) % len(some)
            batch = cuts[length][taken].contiguous()
            own = [array[taken] for array in alone[length]] if spared else _answers(module, batch, size)
            truth = tuple(array[taken] for array in truths[length])
            moves = tuple(tuple(output[row] for row in taken) for output in losses.get(length, ()))
            places = tuple(taken.tolist())
            held_out.append(Question(f"batch of {size}", batch, truth, tuple(own), moves=moves, places=places))
    return Golden(tuple(held_out), probes)


def whole(module: nn.Module, asked: Golden) -> Golden:
    """Return the questions with the float32 answers to whole batches, whose last bits may be others than of rows."""

    def answered(found: Question) -> Question:
        trim_heap(sum(tensor.nbytes for tensor in module.parameters()))  # of another size each time
        return replace(found, owns=_answers(module, found.inputs, len(found.inputs)))

    with evaluating(module):
        return Golden(*(tuple(map(answered, side)) for side in (asked.held_out, asked.probes)))


def _probed(double: nn.Module, probe: Question, some: Tensor, usual: Sequence[Sequence[Array]]) -> Question:
    """Return the probes with R64 and how far last bits move it; of an expensive model, where the answers are far.

    A row of one number has no variance, and a layer that divides by it makes much of the last bits; and so does a row
    that is far from all held-out rows.

    Args:
        double: the module in float64.
        probe: the probes.
        some: held-out rows.
        usual: R64 of these, of each length.
    """
    at_once = len(probe.rows) if len(probe.rows) == len(PROBES) else 1
    asked = replace(probe, truths=_truth(double, probe.inputs, at_once))
    if not (probe.inputs.is_floating_point() or probe.inputs.dtype == torch.uint8):
        return asked  # tokens
    sizes = _sizes(usual)
    far = [
        any(largest(truth[row]) > FAR * size for truth, size in zip(asked.truths, sizes, strict=True))
        for row in range(len(probe.rows))
    ]
    chosen = [row for row in range(len(probe.rows)) if len(probe.rows) == len(PROBES) or far[row]]
    if not chosen:
        return asked
    size = float(some.abs().max())
    found = conditioning.moves(double, probe.inputs[chosen], size, lambda rows: _truth(double, rows, at_once))
    moves = [dict(zip(chosen, output, strict=True)) for output in found]
    return replace(
        asked, moves=tuple(tuple(output.get(row, 0.0) for row in range(len(probe.rows))) for output in moves)
    )


def _knowable(
    module: nn.Module, probe: Question, some: Tensor, usual: Sequence[Sequence[Array]], at_once: int
) -> Question:
    """Return the probes with a little noise on those that nobody can answer, if there are any.

    Behind a normalisation a plain image is nothing but rounding errors, and behind several they may be as large as any
    answer, in float64 too.

    Args:
        module: in float32.
        probe: the probes, answered.
        some: held-out rows.
        usual: R64 of these, of each length.
        at_once: rows that are answered at a time.
    """
    if not _unknown(probe, probe.moves, usual):
        return probe
    size = float(some.abs().max())
    with doubled(module) as double:  # not what sums lose: that leaves most of an answer
        moved = conditioning.moves(double, probe.inputs, size, partial(_truth, double, at_once=at_once), sums=False)
    unknown = _unknown(probe, moved, usual)
    if not unknown:
        return probe
    inputs, names = probing.roughened(probe.inputs, probe.rows, unknown, size)
    asked = Question(PROBES_NAME, inputs, (), _answers(module, inputs, at_once), names)
    with doubled(module) as double:
        return _probed(double, asked, some, usual)


def _unknown(probe: Question, moves: conditioning.Moves, usual: Sequence[Sequence[Array]]) -> list[int]:
    """Return the probes whose answers move by more than float32 may be off by."""
    most = LARGEST_OWN_ERROR / MAX_FACTOR
    outputs = [
        (moved, truth, size)
        for moved, truth, size in zip(moves, probe.truths, _sizes(usual), strict=False)
        if truth.dtype.kind == "f"  # else places of numbers, which tie
    ]
    return [
        row
        for row in range(len(probe.rows))
        if any(moved[row] > most * max(size, largest(truth[row])) for moved, truth, size in outputs)
    ]


def _sizes(usual: Sequence[Sequence[Array]]) -> list[float]:
    """Return the largest number of each output."""
    return [max(map(largest, given)) for given in zip(*usual, strict=True)]


def _plan(sizes: Sequence[int], longest: int) -> Iterator[tuple[int, int, int]]:
    """Yield the rows of each batch, the first of them, and its length: several in turn, the traced one often."""
    lengths = (longest, 1, longest, max(1, longest // 2), longest, max(1, longest - 1))
    starts = [0, *accumulate(sizes)]
    yield from zip(sizes, starts, lengths, strict=False)


def _truth(double: nn.Module, rows: Tensor, at_once: int) -> tuple[Array, ...]:
    """Return the outputs in float64, a few rows at a time: no row knows of the others."""
    return _answers(double, rows, at_once, as_double)


def _answers(
    module: nn.Module, rows: Tensor, at_once: int, copy: Callable[[Tensor], Tensor] = torch.clone
) -> tuple[Array, ...]:
    """Return the outputs, so many rows at a time; of copies, because an in-place first layer may overwrite them."""
    outputs = list(zip(*(outputs_of(module, copy(part)) for part in torch.split(rows, at_once)), strict=True))
    return tuple((output[0] if len(output) == 1 else torch.cat(output)).numpy() for output in outputs)


def outputs_of(module: nn.Module, rows: Tensor) -> tuple[Tensor, ...]:
    """Return what a module gives, as several outputs even where it is one."""
    given = module(rows)
    return given if isinstance(given, tuple) else (given,)


def write(golden: Golden, folder: Path, input_name: str, output_names: Sequence[str]) -> None:
    """Write the published question into `folder`/test_data_set_0, float32 as the model gives it."""
    target = folder / "test_data_set_0"
    target.mkdir()
    shown = golden.published
    arrays = {"input_0": (input_name, shown.inputs.numpy())}
    arrays |= {f"output_{i}": pair for i, pair in enumerate(zip(output_names, shown.owns, strict=True))}
    for stem, (name, array) in arrays.items():
        tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
        (target / f"{stem}.pb").write_bytes(tensor.SerializeToString(deterministic=True))


def difference(found: Tensor, truth: Array) -> float:
    """Return the largest difference from R64; infinite where the shapes, or the places of infinite numbers, differ."""
    if tuple(found.shape) != truth.shape:
        return float("inf")
    finite = np.isfinite(truth)
    mine = found.numpy()
    if not np.array_equal(np.isfinite(mine), finite):
        return float("inf")
    return float(np.abs(mine - truth)[finite].max(initial=0.0))
