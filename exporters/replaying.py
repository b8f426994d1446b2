"""Replaying: an ONNX file in float64 beside its module in float64, which shows what float32 noise hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from exporters import storage
from exporters.arrays import Array
from exporters.float64.replay import Replay
from exporters.golden import Golden, Question, difference
from exporters.outputs import Told, gap

ROWS = 3  # of a batch
SPARED_ROWS = 1  # of a batch of an expensive model


def float64_error(given: str, outputs: Sequence[Told], golden: Golden, path: Path) -> float:
    """Return the largest difference between the graph in float64 and R64, over S = max|R64|; infinite for other shapes.

    Args:
        given: name of the input.
        outputs: what the graph gives.
        golden: the questions.
        path: the ONNX file.

    Raises:
        ProofFailed: the graph holds an operator that is not known in float64.
    """
    replay = Replay(storage.read(path))
    asked = _chosen(golden)
    worst = [0.0] * len(outputs)
    for question, rows in asked:
        found = replay.run({given: question.inputs[rows]})
        truths = [truth[rows] for truth in question.truths]
        worst = [max(pair) for pair in zip(worst, errors(outputs, truths, found), strict=True)]
    scales = [
        _scale([question for question, _ in asked], number if output.chosen is None else 0)
        for number, output in enumerate(outputs)
    ]
    return max(error / scale if scale else error for error, scale in zip(worst, scales, strict=True))


def errors(outputs: Sequence[Told], truths: Sequence[Array], found: Mapping[str, Tensor]) -> list[float]:
    """Return by how much each output is wrong: of a choice, what the chosen number lacks to the largest."""
    return [
        difference(found[output.name], truth)
        if output.chosen is None
        else gap(truths[0], found[output.name].numpy(), output.chosen)
        for output, truth in zip(outputs, truths, strict=True)
    ]


def _scale(asked: Sequence[Question], number: int) -> float:
    """Return the largest finite number of an output."""
    truths = [question.truths[number] for question in asked]
    return max(float(np.abs(truth[np.isfinite(truth)]).max(initial=0.0)) for truth in truths)


def _chosen(golden: Golden) -> list[tuple[Question, slice]]:
    """Return one batch of each length, and the probes, with the rows that are computed of each."""
    lengths = {question.inputs.shape[1:]: question for question in golden.held_out if len(question.inputs) >= ROWS}
    if golden.spared:
        extremes = slice(1, 2)  # where bounds are reached that no held-out row reaches
        return [(q, slice(SPARED_ROWS)) for q in lengths.values()] + [(q, extremes) for q in golden.probes]
    return [(q, slice(ROWS)) for q in lengths.values()] + [(q, slice(None)) for q in golden.probes]
