"""Replaying: an ONNX file in float64 beside its module in float64, which shows what float32 noise hides."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporters import storage
from exporters.float64.replay import Replay
from exporters.golden import Golden, Question, difference
from exporters.subject import Subject

LIMIT = 1e-6  # of S: constants of the graph are float32 where the module's are float64, worth about 1e-8 to 1e-7
ROWS = 3  # of a batch


def float64_error(subject: Subject, golden: Golden, path: Path) -> float:
    """Return the largest difference between the graph in float64 and R64, over S = max|R64|; infinite for other shapes.

    Raises:
        ProofFailed: the graph holds an operator that is not known in float64.
    """
    replay = Replay(storage.read(path))
    asked = _chosen(golden)
    scale = max(float(np.abs(question.truth[np.isfinite(question.truth)]).max(initial=0.0)) for question in asked)
    worst = 0.0
    for question in asked:
        count = len(question.rows) or ROWS
        found = replay.run({subject.input_name: question.inputs[:count]})[subject.output_name]
        worst = max(worst, difference(found, question.truth[:count]))
    return worst / scale if scale else worst


def _chosen(golden: Golden) -> tuple[Question, ...]:
    """Return one batch of each length, and the probes."""
    lengths = {question.inputs.shape[1:]: question for question in golden.held_out if len(question.inputs) >= ROWS}
    return (*lengths.values(), *golden.probes)
