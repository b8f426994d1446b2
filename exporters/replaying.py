"""Replaying: an ONNX file in float64 beside its module in float64, which shows what float32 noise hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from exporters import storage
from exporters.arrays import Array, largest
from exporters.float64.replay import Replay
from exporters.golden import Golden, Question, difference
from exporters.outputs import Told, gap

ROWS = 3  # of a batch
SPARED_ROWS = 1  # of a batch of an expensive model


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
    replay = Replay(storage.read(path))
    usual = _sizes(outputs, [question.truths for question in golden.held_out])
    worst = 0.0
    for question, rows in _chosen(golden):
        found = replay.run({given: question.inputs[rows]})
        truths = [truth[rows] for truth in question.truths]
        for part in _parts(question, truths, [found[output.name] for output in outputs]):
            cut = [truth[part] for truth in truths]
            sizes = _sizes(outputs, [cut]) if question.rows else usual
            wrong = errors(outputs, cut, {output.name: found[output.name][part] for output in outputs})
            scales = map(max, zip(usual, sizes, strict=True))
            worst = max(worst, *(error / scale if scale else error for error, scale in zip(wrong, scales, strict=True)))
    return worst


def _parts(question: Question, truths: Sequence[Array], found: Sequence[Tensor]) -> list[slice]:
    """Return each row that has a name; a batch whole, and so what has another shape than it must."""
    shaped = all(len(truth) == len(answer) for truth, answer in zip(truths, found, strict=True))
    return [slice(row, row + 1) for row in range(len(truths[0]))] if question.rows and shaped else [slice(None)]


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


def _chosen(golden: Golden) -> list[tuple[Question, slice]]:
    """Return one batch of each length, and the probes, with the rows that are computed of each."""
    lengths = {question.inputs.shape[1:]: question for question in golden.held_out if len(question.inputs) >= ROWS}
    if golden.spared:
        extremes = slice(0, 1)  # where bounds are reached that no held-out row reaches
        return [(q, slice(SPARED_ROWS)) for q in lengths.values()] + [(q, extremes) for q in golden.probes]
    return [(q, slice(ROWS)) for q in lengths.values()] + [(q, slice(None)) for q in golden.probes]
