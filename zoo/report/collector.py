"""Collector: looks on while a split is evaluated, and keeps what a report shows of the answers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.check import CheckedSpec
from zoo.report.confusion import Confusion
from zoo.report.evaluation import Evaluation, Mistake, Scatter, parameters_of
from zoo.report.thumbnails import is_picture, thumbnail
from zoo.shapes import class_axis
from zoo.training.evaluation import Recovered

MOST_CLASSES = 1024  # of a confusion matrix: 8 MiB of counts
MOST_MISTAKES = 24
MOST_POINTS = 1000


@dataclass(frozen=True)
class _Wrong:
    probability: float
    row: int
    true: int
    predicted: int
    image: Tensor


class Collector:
    """Sees each batch of a split once."""

    def __init__(self, checked: CheckedSpec) -> None:
        self._checked = checked
        target = checked.example.target
        axis = class_axis(checked.output, target) if target.dtype == "int64" else None
        size = 0 if axis is None else checked.output.dims[axis]
        self._axis = axis
        self._classes = size if isinstance(size, int) and size <= MOST_CLASSES else 0
        self._ignored = checked.ignored
        self._pictured = target.rank == 1 and is_picture(checked.input)
        self._numeric = target.dtype.startswith("float") and checked.output.dims == target.dims
        self._rows = 0
        self._counts: Tensor | None = None
        self._wrong: list[_Wrong] = []
        self._points: list[tuple[Tensor, Tensor]] = []
        self._numbers = 0

    def __call__(self, inputs: Tensor, output: Tensor, targets: Tensor) -> None:
        """See a batch: what the model was given, what it answers, and what is true."""
        if self._axis is not None and self._classes:
            self._count(output.argmax(self._axis), targets)
            if self._pictured:
                self._look(inputs, output, targets)
        elif self._numeric:
            self._keep(output, targets)
        self._rows += len(inputs)

    def _count(self, predicted: Tensor, targets: Tensor) -> None:
        """Add a batch to the counts."""
        judged = self._judged(targets)
        codes = targets[judged] * self._classes + predicted[judged]
        counts = torch.bincount(codes, minlength=self._classes**2)
        self._counts = counts if self._counts is None else self._counts + counts

    def _judged(self, targets: Tensor) -> Tensor:
        """Return which targets count: those that are a class, and not the one that the loss ignores."""
        classes = (targets >= 0) & (targets < self._classes)
        return classes if self._ignored is None else classes & (targets != self._ignored)

    def _look(self, inputs: Tensor, output: Tensor, targets: Tensor) -> None:
        """Keep the images that are most surely called something else than they are."""
        probabilities, predicted = torch.softmax(output.double(), 1).max(1)
        wrong = ((predicted != targets) & self._judged(targets)).nonzero().flatten()
        surest = wrong[probabilities[wrong].argsort(descending=True, stable=True)[:MOST_MISTAKES]]
        columns = (probabilities[surest], surest, targets[surest], predicted[surest])
        for probability, row, true, called in zip(*(column.tolist() for column in columns), strict=True):
            self._wrong.append(_Wrong(probability, self._rows + row, true, called, inputs[row].cpu()))
        self._wrong = sorted(self._wrong, key=lambda found: (-found.probability, found.row))[:MOST_MISTAKES]

    def _keep(self, output: Tensor, targets: Tensor) -> None:
        """Keep some numbers of a batch."""
        answers, truths = output.detach().flatten().cpu(), targets.flatten().cpu()
        self._numbers += len(truths)
        chosen = _evenly(len(truths))
        self._points.append((truths[chosen].double(), answers[chosen].double()))

    def evaluation(self, recovered: list[Recovered]) -> Evaluation:
        """Return what was seen, with the parameters beside the true ones."""
        return Evaluation(
            rows=self._rows,
            confusion=self._confusion(),
            mistakes=self._mistakes(),
            scatter=self._scatter() if self._points else None,
            parameters=parameters_of(recovered),
        )

    def _names(self) -> tuple[str, ...]:
        known = self._checked.example.classes or self._checked.spec.data.token_names()
        return tuple(known[number] if number < len(known) else str(number) for number in range(self._classes))

    def _confusion(self) -> Confusion | None:
        if self._counts is None:
            return None
        counts = self._counts.reshape(self._classes, self._classes).tolist()
        return Confusion(classes=self._names(), counts=tuple(map(tuple, counts)))

    def _mistakes(self) -> tuple[Mistake, ...]:
        if not self._wrong:
            return ()
        data, names = self._checked.spec.data, self._names()
        files = data.row_names("test")
        return tuple(
            Mistake(
                row=wrong.row,
                file=files[wrong.row] if files else None,
                true=names[wrong.true],
                predicted=names[wrong.predicted],
                probability=min(1.0, wrong.probability),  # a softmax may round above 1
                image=thumbnail(wrong.image, data.pipeline()),
            )
            for wrong in self._wrong
        )

    def _scatter(self) -> Scatter:
        true, predicted = (torch.cat(column) for column in zip(*self._points, strict=True))
        finite = true.isfinite() & predicted.isfinite()
        true, predicted = true[finite], predicted[finite]
        chosen = _evenly(len(true))
        return Scatter(
            numbers=self._numbers, true=tuple(true[chosen].tolist()), predicted=tuple(predicted[chosen].tolist())
        )


def _evenly(count: int) -> Tensor:
    """Return the places of at most a thousand of so many numbers, evenly apart."""
    return torch.arange(count) if count <= MOST_POINTS else torch.linspace(0, count - 1, MOST_POINTS).long()
