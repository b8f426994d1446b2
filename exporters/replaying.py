"""Replaying: an ONNX file in float64 beside its module in float64, which shows what float32 noise hides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from exporters import storage
from exporters.arrays import Array, largest
from exporters.float64.replay import Replay
from exporters.golden import Golden, Question, difference
from exporters.outputs import Told, gap
from exporters.probing import BANDS

ROWS = 3  # of a batch
SPARED_ROWS = 1  # of a batch of an expensive model


@dataclass(frozen=True)
class _Part:
    """Rows that are judged together."""

    inputs: Tensor
    truths: tuple[Array, ...]
    far: bool
    """Whether they may be far from held-out rows."""


def float64_error(given: str, outputs: Sequence[Told], golden: Golden, path: Path) -> float:
    """Return the largest difference between the graph in float64 and R64, over S; infinite for other shapes.

    S is max|R64| of the held-out rows, and of a probe its own where that is larger: one that is blown up does not make
    little of an error elsewhere.

    Args:
        given: name of the input.
        outputs: what the graph gives.
        golden: the questions.
        path: the ONNX file.

    Raises:
        ProofFailed: the graph holds an operator that is not known in float64.
    """
    replay = Replay(storage.outline(path), path.parent)
    usual = _sizes(outputs, [question.truths for question in golden.held_out])
    worst = 0.0
    for parts in _asked(golden):
        rows = torch.cat([part.inputs for part in parts])
        found = replay.run({given: rows})
        if any(found[output.name].shape[:1] != rows.shape[:1] for output in outputs):
            return math.inf
        start = 0
        for part in parts:
            taken = {output.name: found[output.name][start : start + len(part.inputs)] for output in outputs}
            start += len(part.inputs)
            own = _sizes(outputs, [part.truths]) if part.far else usual
            scales = map(max, zip(usual, own, strict=True))
            wrong = zip(errors(outputs, part.truths, taken), scales, strict=True)
            worst = max(worst, *(error / scale if scale else error for error, scale in wrong))
    return worst


def errors(outputs: Sequence[Told], truths: Sequence[Array], found: Mapping[str, Tensor]) -> list[float]:
    """Return by how much each output is wrong: of a choice, what the chosen number lacks to the largest."""
    return [
        difference(found[output.name], truth)
        if output.chosen is None
        else gap(truths[0], found[output.name].numpy(), output.chosen)
        for output, truth in zip(outputs, truths, strict=True)
    ]


def _sizes(outputs: Sequence[Told], answered: Sequence[Sequence[Array]]) -> list[float]:
    """Return the largest finite number of each output, of a choice that of the scores it is made of."""
    places = [number if output.chosen is None else 0 for number, output in enumerate(outputs)]
    return [max(largest(truths[place]) for truths in answered) for place in places]


def _asked(golden: Golden) -> list[list[_Part]]:
    """Return what is computed at a time: some rows of a batch of each length, and the probes, each judged by itself."""
    lengths = {question.inputs.shape[1:]: question for question in golden.held_out if len(question.inputs) >= ROWS}
    # A bundle that leaves out its largest batches has fewer sizes too, but all the probes.
    spared = golden.spared and all(len(question.inputs) == len(BANDS) for question in golden.probes)
    count = SPARED_ROWS if spared else ROWS
    groups = [[_part(question, slice(count), False)] for question in lengths.values()]
    for question in golden.probes:
        # Of an expensive model the first, where bounds are reached that no held-out row reaches.
        last = 1 if spared else len(question.inputs)
        groups.append([_part(question, slice(row, row + 1), True) for row in range(last)])
    return groups


def _part(question: Question, rows: slice, far: bool) -> _Part:
    return _Part(question.inputs[rows], tuple(truth[rows] for truth in question.truths), far)
