"""Feed: how the rows of a step come to the model, in order and with their augmentation.

Transforms that are the same for every epoch have run when the rows were loaded. What draws at random, and what stands
behind it, runs for each batch; the random numbers of a row follow from the seed, the epoch and the row alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zoo.check import CheckedSpec
from zoo.data import Rows
from zoo.data.augmentation import augmented, mixed
from zoo.training.objective import class_counts
from zoo.transforms import Transform

EPOCHS = 2**32  # more than anybody trains; keeps the seeds of epochs apart


@dataclass(frozen=True)
class Feed:
    """The training split, cut into steps."""

    rows: Rows
    """On the model's device; before the augmentation where there is one."""
    size: int
    """Rows in a step."""
    steps: int
    """Steps in an epoch."""
    seed: int = 0
    random: tuple[Callable[[Tensor], Tensor], ...] = ()
    """Built transforms of one row."""
    late: tuple[Callable[[Tensor], Tensor], ...] = ()
    """Built transforms of a batch."""
    mixing: tuple[Transform, ...] = ()
    """Transforms of a batch with its targets."""
    classes: int = 0
    weights: Tensor | None = None
    """How likely each row is drawn, (rows,) of float64, where they are drawn with replacement."""
    counts: Tensor = field(init=False)
    """Rows in each step, (steps,) of float64."""

    def __post_init__(self) -> None:
        counts = torch.full((self.steps,), self.size, dtype=torch.float64)
        counts[-1] = min(self.size, len(self.rows) - self.size * (self.steps - 1))
        object.__setattr__(self, "counts", counts)

    @property
    def resident(self) -> bool:
        """Return whether a step's rows are rows of the split as they are."""
        return not (self.random or self.late or self.mixing)

    def batch(self, order: Tensor | None, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a step, counted from 0, in this order or in the split's own."""
        inputs, targets, start = self.rows.inputs, self.rows.targets, step * self.size
        if order is None:
            # A copy, as DataLoader makes: an in-place first layer would overwrite the data.
            chosen = slice(start, start + self.size)
            taken, answers = inputs[chosen].clone(), targets[chosen]
        else:
            batch = order[start : start + self.size]
            taken, answers = inputs[batch], targets[batch]
        if self.resident:
            return taken, answers
        numbers = range(start, start + len(taken)) if order is None else batch.tolist()
        seed = self.seed * EPOCHS + epoch
        if self.random:
            taken = augmented(taken, numbers, self.random, seed)
        for transform in self.late:
            taken = transform(taken)
        for mix in self.mixing:
            both = mixed(Rows(taken, answers), mix, self.classes, seed * self.steps + step)
            taken, answers = both.inputs, both.targets
        return taken, answers


def feed_of(checked: CheckedSpec, rows: Rows) -> Feed:
    """Return the feed of a training split that `load_rows` gave."""
    spec, data = checked.spec, checked.spec.data
    random = [transform for transform in data.random() if transform.level != "batch"]
    mixing = tuple(transform for transform in data.random() if transform.level == "batch")
    late = data.late() if data.random() else ()
    return Feed(
        rows,
        spec.train.batch_size,
        spec.train.steps(len(rows)),
        spec.train.seed,
        tuple(transform.build() for transform in random),
        tuple(transform.build() for transform in late),
        mixing,
        len(checked.example.classes),
        _weights(rows, len(checked.example.classes)) if spec.train.sampler == "balanced" else None,
    )


def _weights(rows: Rows, classes: int) -> Tensor:
    """Return for each row the inverse of how often its class stands in the split."""
    return (1 / class_counts(rows.targets, classes).double())[rows.targets.cpu()]
