"""Near: steps whose last bits may be others than the plain loop's, where that is faster, for `train.exact` false.

What such a training computes follows from its spec alone, and no clock has a say: its first steps are plain, and from
then on all are of one kind, so that it gives the same bits when it is run again, and when it is resumed anywhere. So
they are proven on steps that are done for that alone, from where the training stands, and undone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import UsageError
from zoo.train import Train
from zoo.training.blocks import FEWEST, block_of, drift
from zoo.training.distributed import World
from zoo.training.recording import NotRecordable
from zoo.training.replay import Replay, replay_of
from zoo.training.rounding import rounded
from zoo.training.selection import selected
from zoo.training.snapshot import Snapshot, tensors_of
from zoo.training.strides import LARGEST, PLAIN, PROOFS, SEEKS, Strides

log = logging.getLogger(__name__)


@dataclass
class NearStrides:
    """The steps of a training, one after the other or many at once, to other last bits where that is faster."""

    strides: Strides
    """Does them; all that these are told of is what by."""
    _settled: bool = False

    def __post_init__(self) -> None:
        self.strides.stay_plain()

    def advance(self, order: Tensor | None, losses: Tensor, until: int) -> None:
        """Do one or more steps, as `Strides.advance` does."""
        strides, state = self.strides, self.strides.stepper.state
        if strides.let_go():
            self._settled = False
        done = state.epoch * strides.stepper.plan.steps + state.step
        if not self._settled and done >= PLAIN and state.step < strides.whole:
            self._settled = True
            self._settle(order, losses)
        strides.advance(order, losses, until)

    def _settle(self, order: Tensor | None, losses: Tensor) -> None:
        """Find how the steps are done from here on, and say so; the training stands afterwards where it stood."""
        strides, state = self.strides, self.strides.stepper.state
        strides.lead(None)
        if strides.stepper.plan.total <= SEEKS:
            return _leave(f"its {strides.stepper.plan.total} steps are too few")
        if sum(tensor.nbytes for tensor in tensors_of(state)) >= LARGEST:
            return _leave("its weights and optimizer state are too large to be copied for a proof")
        before, kept = Snapshot.of(state), losses.clone()
        try:
            strides.lead(self._found(order, losses, before))
        except NotRecordable as error:
            strides.give_up(str(error))
        finally:
            before.restore(state)
            losses.copy_(kept)
        return None

    def _found(self, order: Tensor | None, losses: Tensor, before: Snapshot) -> Replay | None:
        """Return what does the steps, proven; None where nothing is faster than the plain loop's own bits.

        Raises:
            NotRecordable: it cannot be written down, or the proof shows a fault.
        """
        strides, state = self.strides, self.strides.stepper.state
        recorder, loss = strides.recorded(order)
        apart = not strides.moves or strides.single or strides.feed.steps < FEWEST
        block = None if apart else block_of(recorder, state.optimizer, strides.feed.size)
        if block is not None:
            before.restore(state)
            self._prove(block, order, losses, before)
            log.info("train.exact is false: %d steps at once, which differ in their last bits", block.block)
            return block
        other = rounded(recorder)
        if not other:
            _leave("no part of a step is known to be faster with other last bits")
            return None
        products = sum(1 for lines in other.values() if lines)
        ways = selected(recorder.calls)
        exact, near = (
            replay_of(recorder, loss, state.optimizer, strides.moves, taken) for taken in (ways, {**ways, **other})
        )
        before.restore(state)
        for _ in range(min(PROOFS, strides.whole - state.step)):
            fault = strides.compared(exact, order, losses)
            if fault:
                raise NotRecordable(fault)
        log.info("train.exact is false: %d products of matrices by oneDNN, which differ in their last bits", products)
        return near

    def _prove(self, block: Replay, order: Tensor | None, losses: Tensor, before: Snapshot) -> None:
        """Do the steps up to the end of a block, and again by plain ones, from the same state, and compare.

        Raises:
            NotRecordable: they differ by more than rounding explains.
        """
        strides, state, stepper = self.strides, self.strides.stepper.state, self.strides.stepper
        first = state.step
        last = min(strides.whole, (first // block.block + 1) * block.block)
        try:
            strides.run(block, order, losses, last - first)
        except RuntimeError as error:
            raise NotRecordable(str(error)) from error
        found = [*(p.detach().clone() for p in block.learned), losses[first:last].sqrt()]
        before.restore(state)
        for number in range(first, last):
            losses[number] = stepper.step(*strides.feed.batch(order, state.epoch, number))
        plain = [*(p.detach() for p in block.learned), losses[first:last].sqrt()]
        weights, errors = drift(block, strides.batches(order)[0], first, last, before)
        bounds = [*(weights for _ in block.learned), errors]
        pairs = zip(found, plain, bounds, strict=True)
        if not all(bool(((one.double() - two.double()).abs() <= bound).all()) for one, two, bound in pairs):
            raise NotRecordable("steps at once differ from plain ones by more than rounding explains")


def require_alone(train: Train, device: torch.device, world: World) -> None:
    """Refuse other last bits where there are none to choose.

    Raises:
        UsageError: a training with `exact` false is to run in several processes, or not on the CPU.
    """
    if not train.exact and (world.several or device.type != "cpu"):
        where = f"{world.size} processes" if world.several else device.type
        message = f"train.exact false is for one process on the CPU, not for {where}"
        raise UsageError(
            message, "write --device cpu and no --processes, or train the spec with --set train.exact=true"
        )


def _leave(reason: str) -> None:
    log.warning("train.exact is false and changes nothing: %s; the bits are the plain loop's", reason)
