"""Decisions: what a person would conclude from a file's answers, beside what the module's answers say.

An error of a few last bits may flip the class of a row that stands between two classes. Every flip is listed, and each
must be a near-tie of the module in float64; the metrics of both sides follow from the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from exporters.arrays import Array
from exporters.decided import Decisions, Flip, Score
from exporters.doubling import as_double, doubled
from exporters.golden import Golden, outputs_of
from exporters.subject import ROWS, WORK, Subject
from zoo.costs import costs
from zoo.shapes import class_axis
from zoo.training.evaluation import evaluating

LEAST = 32  # rows that say something of a metric; where WORK allows fewer, those that are published are enough
BATCH = 32


def batches(subject: Subject) -> list[Array]:
    """Return the held-out rows that are decided beside the questions, as batches; none of an expensive model."""
    count = _count(subject)
    return [batch.numpy() for batch in torch.split(subject.rows[:count], BATCH)] if count else []


def decide(subject: Subject, asked: Golden, answers: Sequence[Sequence[Array]], tie: float) -> Decisions:
    """Return what both sides say of held-out rows.

    Args:
        subject: the module with its rows and targets.
        asked: the questions.
        answers: the file's outputs for all questions, and then for each of `batches`.
        tie: the largest gap that counts as one.
    """
    shown, questions = asked.published, asked.questions
    places = torch.arange(_count(subject)) if _count(subject) else torch.tensor(shown.places)
    places = places[places < len(subject.rows)]
    inputs, targets = subject.rows[places], subject.targets[places]
    if _count(subject):
        answers = answers[len(questions) :]
        with evaluating(subject.module):
            own = torch.cat([outputs_of(subject.module, batch.clone())[0] for batch in torch.split(inputs, BATCH)])
    else:
        place = [question.name for question in questions].index(shown.name)
        answers, own = [answers[place]], torch.from_numpy(shown.own)
    outputs = [torch.from_numpy(np.concatenate(parts)) for parts in zip(*answers, strict=True)]
    found = outputs[0]
    shapes = (subject.checked.output, subject.checked.example.target)
    metrics = [metric.arranged(*shapes) for metric in subject.checked.spec.metrics]
    scores = []
    for metric in metrics:
        sides = (
            metric.finished(metric.values(side, targets).reshape(len(inputs), -1).mean(0)) for side in (own, found)
        )
        scores.append(Score(name=metric.name, torch=next(sides), file=next(sides)))
    axis = class_axis(*shapes) if subject.checked.example.target.dtype == "int64" else None
    told = next((outputs[number] for number, output in enumerate(subject.outputs) if output.chosen is not None), None)
    flips: tuple[Flip, ...] = ()
    if axis is not None:
        mine, its = (side.movedim(axis, -1).argmax(-1) for side in (own, found))
        flips = tuple(
            flip.model_copy(update={"row": int(places[flip.row])})
            for flip in _flips(subject, inputs, (mine, its if told is None else told), axis)
        )
    return Decisions(rows=len(inputs), allowed=tie, flips=flips, scores=tuple(scores))


def _count(subject: Subject) -> int:
    """Return how many rows are decided beside the questions."""
    count = min(ROWS, WORK // max(1, costs(subject.checked).multiply_adds))
    return count if count >= LEAST else 0


def _flips(subject: Subject, inputs: Tensor, sides: tuple[Tensor, Tensor], axis: int) -> list[Flip]:
    """Return each place whose class differs, with its gap in float64."""
    mine, its = sides
    rows = (mine != its).flatten(1).any(1) if mine.dim() > 1 else mine != its
    chosen = rows.nonzero().flatten()
    if not len(chosen):
        return []
    with evaluating(subject.module), doubled(subject.module) as double:
        truth = outputs_of(double, as_double(inputs[chosen]))[0].movedim(axis, -1)
    flips = []
    for place, row in enumerate(chosen.tolist()):
        a, b = mine[row].reshape(-1), its[row].reshape(-1)
        scores = truth[place].reshape(len(a), -1)
        differing = (a != b).nonzero().flatten()
        gaps = (scores[differing, a[differing]] - scores[differing, b[differing]]).abs()
        worst = int(gaps.argmax())
        where = int(differing[worst])
        flips.append(Flip(row=row, torch=int(a[where]), file=int(b[where]), gap=float(gaps[worst])))
    return flips
