"""Feed: how the rows of a step come to the model, in order and with their augmentation.

Transforms that are the same for every epoch have run when the rows were loaded. What draws at random, and what stands
behind it, runs for each batch; the random numbers of a row follow from the seed, the epoch and the row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from zoo.check import CheckedSpec
from zoo.data import Rows
from zoo.data.augmentation import augmented, mixed
from zoo.training.distributed import World
from zoo.training.objective import class_counts
from zoo.training.streaming import Step, Stream
from zoo.transforms import Transform

EPOCHS = 2**32  # more than anybody trains; keeps the seeds of epochs apart


@dataclass(frozen=True)
class Feed:
    """The training split, cut into steps."""

    rows: Rows | Stream
    """On the model's device, before the augmentation where there is one; or a stream, which augments them."""
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
    mirrors: bool = False
    """Whether the targets are the inputs behind what is drawn at random here."""
    weights: Tensor | None = None
    """How likely each row is drawn, (rows,) of float64, where they are drawn with replacement."""
    world: World = World.alone
    """Whose processes share each step."""
    shorter: Tensor | None = None
    """Inputs of the rows as they are in a shorter last step, where these are other bits; for features alone."""
    counts: Tensor = field(init=False)
    """Rows in each step, (steps,) of float64."""
    _brought: list[tuple[Tensor, list[int]]] = field(default_factory=list, repr=False)
    """The epoch's order, and its numbers: a device is asked for them once, and no step waits for it."""

    def __post_init__(self) -> None:
        counts = torch.full((self.steps,), self.size, dtype=torch.float64)
        counts[-1] = min(self.size, len(self.rows) - self.size * (self.steps - 1))
        object.__setattr__(self, "counts", counts)

    @property
    def resident(self) -> bool:
        """Return whether a step's rows are rows of the split as they are."""
        return isinstance(self.rows, Rows) and not (self.random or self.late or self.mixing)

    def span(self, step: int) -> tuple[int, int]:
        """Return the first place of a step in the epoch's order, and the one behind its last."""
        return step * self.size, min((step + 1) * self.size, len(self.rows))

    def batch(self, order: Tensor | None, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a step, counted from 0, in this order or in the split's own.

        Of several processes each gets its share; one whose share is empty gets the step's first row.
        """
        taken, answers = self._taken(order, epoch, step)
        if not self.mixing:
            return taken, answers
        seed = self._epoch_seed(epoch) * self.steps + step
        for mix in self.mixing:
            both = mixed(Rows(taken, answers), mix, self.classes, seed)
            taken, answers = both.inputs, both.targets
        first, last = self.world.some(0, len(taken))  # a row may be mixed with one of another share
        return taken[first:last], answers[first:last]

    def _epoch_seed(self, epoch: int) -> int:
        return self.seed * EPOCHS + epoch

    def _share(self, step: int) -> tuple[int, int]:
        """Return the places of a step's rows that this process reads: all of them where they are mixed."""
        return self.span(step) if self.mixing else self.world.some(*self.span(step))

    def _numbers(self, order: Tensor | None, step: int) -> Sequence[int]:
        """Return the numbers of these rows."""
        start, stop = self._share(step)
        if order is None:
            return range(start, stop)
        if not self._brought or self._brought[0][0] is not order:
            self._brought[:] = [(order, order.tolist())]
        return self._brought[0][1][start:stop]

    def _taken(self, order: Tensor | None, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of this process in a step, before batches are mixed."""
        if isinstance(self.rows, Stream):
            return self._streamed(self.rows, order, epoch, step)
        inputs, targets = self.rows.inputs, self.rows.targets
        start, stop = self._share(step)
        if self.shorter is not None and stop - start < self.size:
            inputs = self.shorter
        if order is None:
            # A copy, as DataLoader makes: an in-place first layer would overwrite the data.
            taken, answers = inputs[start:stop].clone(), targets[start:stop]
        else:
            batch = order[start:stop]
            taken, answers = inputs[batch], targets[batch]
        if self.random:
            taken = augmented(taken, self._numbers(order, step), self.random, self._epoch_seed(epoch))
        for transform in self.late:
            taken = transform(taken)
        return taken, taken if self.mirrors else answers

    def _streamed(self, stream: Stream, order: Tensor | None, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        if not stream.stands_at(epoch, step):
            seed = self._epoch_seed(epoch)
            stream.begin(epoch, step, (Step(self._numbers(order, later), seed) for later in range(step, self.steps)))
        return stream.batch()


def feed_of(checked: CheckedSpec, rows: Rows | Stream, world: World = World.alone) -> Feed:
    """Return the feed of a training split that `open_splits` gave, shared by the processes of a world."""
    spec, data = checked.spec, checked.spec.data
    held = isinstance(rows, Rows)  # a stream augments the rows itself
    random = [transform for transform in data.random() if transform.level != "batch" and held]
    mixing = tuple(transform for transform in data.random() if transform.level == "batch")
    late = data.late() if data.random() and held else ()
    return Feed(
        rows,
        spec.train.batch_size,
        spec.train.plan(len(rows)).steps,
        spec.train.seed,
        tuple(transform.build() for transform in random),
        tuple(transform.build() for transform in late),
        mixing,
        len(checked.example.classes),
        data.mirrors and bool(random or late),
        _weights(rows, len(checked.example.classes)) if spec.train.sampler == "balanced" else None,
        world,
    )


def _weights(rows: Rows | Stream, classes: int) -> Tensor:
    """Return for each row the inverse of how often its class stands in the split; 0 for a row without a class."""
    targets = rows.targets.cpu()
    classed = (targets >= 0) & (targets < classes)
    weights = (1 / class_counts(targets, classes).double())[targets.where(classed, 0)]
    return weights.where(classed, 0.0)
