"""Features: what the frozen layers above the trained ones give for each row, computed once and not in every epoch.

The bits must be those of a training that computes them in each step. What a row gives may depend on the size of its
batch, for kernels go other ways for other sizes, and so each size that occurs is tried: a row must give the same bits
at every place of a batch, whatever rows are beside it. Where it does not, the features are computed in each step, as
before. An evaluation always has the same batches, and its features are computed in just those.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from zoo.data import Rows
from zoo.spec import Spec
from zoo.training.cut import UNTRACEABLE, Cut, cut
from zoo.training.distributed import World
from zoo.training.evaluation import evaluate, evaluating
from zoo.training.feed import Feed
from zoo.training.objective import Objective
from zoo.training.state import State
from zoo.training.stepper import autocast
from zoo.training.streaming import Stream

BUDGET = 2**30  # bytes of the features of a split; more are computed in every step
PROBES = 2  # rows that are tried at every place of a batch

log = logging.getLogger(__name__)


class _Unequal(Exception):
    """Features cannot be kept; the message says why."""


@dataclass(frozen=True)
class Known:
    """A training's steps, behind the features that are known where they could be kept."""

    feed: Feed
    """Its rows are features where there is a tail."""
    tail: nn.Module | None = None
    """What is left of the model; None for all of it."""


def repeats(spec: Spec, state: State, rows: int) -> bool:
    """Return whether the layers of a training are frozen in part, and several epochs are to come.

    Where steps may round otherwise, features have bits of their own, and the last epoch has those of the whole.
    """
    done = state.epoch if spec.train.exact else 0
    return bool(spec.freeze) and spec.train.plan(rows).epochs - done > 1


def known_features(spec: Spec, state: State, feed: Feed) -> Known:
    """Return the steps of a training with the features of its rows in their place, where that gives the same bits.

    Args:
        spec: of the training.
        state: its modules in the modes that they are trained in.
        feed: of the rows themselves.
    """
    found = _found(state.model) if repeats(spec, state, len(feed.rows)) and not feed.world.shards else None
    if found is None:
        return Known(feed)
    try:
        _require_keepable(spec, feed)
        with autocast(spec.train, state.device), _nothing_moves(state.model):
            known = _known(found, feed)
    except _Unequal as reason:
        log.warning("the frozen layers up to %s are computed in every step: %s", found.name, reason)
        return Known(feed)
    log.info("the frozen layers up to %s are computed once, for %d rows", found.name, len(feed.rows))
    return known


def _found(model: nn.Module) -> Cut | None:
    """Return the model in two; None where nothing above is frozen, or torch.fx cannot follow the model."""
    try:
        return cut(model)
    except UNTRACEABLE:
        return None


def _require_keepable(spec: Spec, feed: Feed) -> None:
    """Refuse trainings whose steps are not those of one process and one model on rows as they are.

    Raises:
        _Unequal: this is one.
    """
    if feed.random or feed.late or feed.mixing or (isinstance(feed.rows, Stream) and feed.rows.reader.random):
        raise _Unequal("the rows are augmented")
    if isinstance(feed.rows, Stream) and feed.rows.mirrors:
        raise _Unequal("the rows, which are the targets too, do not fit into memory")
    if spec.train.compile:
        raise _Unequal("train.compile compiles the whole model")
    if feed.world.several:
        raise _Unequal("several processes share each step")


def _known(found: Cut, feed: Feed) -> Known:
    """Return the steps behind the features.

    Raises:
        _Unequal: these would be other bits, or too many.
    """
    size, rest = int(feed.counts[0]), int(feed.counts[-1])
    sample, _ = next(iter(feed.rows.batches((0,), size)))
    first = _given(found.head, sample)
    _require_budget(first, len(feed.rows))
    own = rest != size and not _same(_given(found.head, sample[:rest]), first[:rest])
    for count in sorted({size, rest}, reverse=True):
        _require_alone(found.head, sample[:count])
    rows = _table(found.head, feed.rows, size)
    shorter = _table(found.head, feed.rows, rest).inputs if own else None
    return Known(replace(feed, rows=rows, shorter=shorter), found.tail)


def _table(head: nn.Module, rows: Rows | Stream, size: int) -> Rows:
    """Return the features of all rows, computed in batches of this size, beside the targets.

    Raises:
        _Unequal: they are no tensor of a plain order.
    """
    parts, answers = [], []
    for inputs, targets in rows.batches(range(0, len(rows), size), size):
        filled = torch.cat((inputs, inputs[:1].expand(size - len(inputs), *inputs.shape[1:])))
        parts.append(_given(head, filled)[: len(inputs)])
        answers.append(targets)
    return Rows(torch.cat(parts), rows.targets if isinstance(rows, Rows) else torch.cat(answers))


def _require_budget(features: Tensor, rows: int) -> None:
    needed = features[:1].nbytes * rows
    if needed > BUDGET:
        raise _Unequal(f"their features would take {_size(needed)}, more than {_size(BUDGET)}")


def _given(head: nn.Module, inputs: Tensor) -> Tensor:
    """Return the features of a batch.

    Raises:
        _Unequal: they are no tensor with a row for each of the batch.
    """
    part = head(inputs.clone())  # an in-place layer may overwrite it
    if not isinstance(part, Tensor) or not part.dim() or len(part) != len(inputs):
        raise _Unequal("what they give is no tensor of rows")
    if not part.is_contiguous() or part.requires_grad:
        raise _Unequal("what they give lies in memory in an order of its own")
    return part


def _require_alone(head: nn.Module, sample: Tensor) -> None:
    """Refuse features of a row that depend on its place in a batch of this size, or on the rows beside it.

    Raises:
        _Unequal: they do.
    """
    features = _given(head, sample)
    places = torch.arange(len(sample), device=sample.device)
    alone = (torch.full_like(places, len(sample) * number // PROBES) for number in range(PROBES))
    for order in (*alone, places.flip(0)):
        if not _same(_given(head, sample[order]), features[order]):
            raise _Unequal(f"a row has other bits among other rows, in batches of {len(sample)}")


@contextmanager
def _nothing_moves(model: nn.Module) -> Iterator[None]:
    """Refuse what draws random numbers inside the block, or changes a buffer of the model; both come back.

    Raises:
        _Unequal: something did.
    """
    buffers = list(model.buffers())
    before = [buffer.clone() for buffer in buffers]
    drawn = torch.get_rng_state()
    moved = True
    try:
        yield
    finally:
        moved = not torch.equal(torch.get_rng_state(), drawn) or not all(map(_same, buffers, before))
        torch.set_rng_state(drawn)
        for buffer, old in zip(buffers, before, strict=True):
            buffer.copy_(old)
    if moved:
        raise _Unequal("they draw at random, or move")


@dataclass
class HeldOut:
    """The evaluation of a training's model on a split, again and again, behind features that are computed once."""

    objective: Objective
    rows: Rows | Stream
    world: World
    repeated: bool
    """Whether it is worth keeping features."""
    _behind: tuple[nn.Module, Rows] | None = field(default=None, repr=False)
    """What is left of the model, and the features in the place of the rows."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Return the mean of the loss and of each metric, as `evaluate` does on the whole model.

        Args:
            model: the same one each time.
        """
        if self.repeated and self._behind is None:
            self._behind, self.repeated = self._found(model), False
        if self._behind is not None:
            return evaluate(self._behind[0], self.objective, self._behind[1])
        return evaluate(model, self.objective, self.rows, self.world)

    def _found(self, model: nn.Module) -> tuple[nn.Module, Rows] | None:
        """Return the tail, and the features in the batches of the evaluation; None where they cannot be kept."""
        with evaluating(model):
            found, drawn = _found(model), torch.get_rng_state()
            if found is None or self.world.several or (isinstance(self.rows, Stream) and self.rows.mirrors):
                return None
            features = self._computed(found.head)
            if features is None or not torch.equal(torch.get_rng_state(), drawn):
                torch.set_rng_state(drawn)
                return None
        return found.tail, features

    def _computed(self, head: nn.Module) -> Rows | None:
        size, parts, answers = self.objective.rows, [], []
        for inputs, targets in self.rows.batches(range(0, len(self.rows), size), size):
            # Any: what a module gives.
            part = head(inputs.clone())
            if not isinstance(part, Tensor) or not part.is_contiguous() or part[:1].nbytes * len(self.rows) > BUDGET:
                return None
            parts.append(part)
            answers.append(targets)
        return Rows(torch.cat(parts), self.rows.targets if isinstance(self.rows, Rows) else torch.cat(answers))


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same bits."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    whole = (tensor.contiguous().flatten().view(torch.uint8) for tensor in (one, other))
    return torch.equal(*whole)


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
