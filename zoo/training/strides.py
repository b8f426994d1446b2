"""Strides: how far the training goes at once: a step of the plain loop, or many that are proven to be the same.

The first steps are plain ones. Where they are short and many are to come, one of them is recorded, and the next ones
are done twice: by the replay and, from the same state, by the plain step. Only if weights, buffers, optimizer state,
random numbers and loss agree bit for bit in each, the replay goes on alone; otherwise the training stays plain, and
says why.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter

import torch
from torch import Tensor

from zoo.data import Rows
from zoo.device import free_memory
from zoo.training.captured import Captured, NotFaster, captured_step, take_gradients
from zoo.training.feed import Feed
from zoo.training.recording import NotRecordable, Recorder
from zoo.training.replay import Batches, Replay, replay_of
from zoo.training.selection import same_bits, selected, worked
from zoo.training.snapshot import Snapshot, tensors_of
from zoo.training.stepper import Stepper

SLOW = 0.05  # seconds; what a longer step spends beside its arithmetic is below one percent, but that may be faster
LONG = 0.5  # seconds; a longer step stays plain
PAYS = 0.5  # seconds of plain steps to come; recording and proving take about a tenth of it
SEEKS = 500  # steps to come; trying other ways to compute the operators of one takes as long as 25 steps
LARGEST = 2**28  # bytes of weights and optimizer state; a proof holds two copies
LITTLE = 2**25  # the same, for a step that is not short: it holds much else
STRETCH = 0.05  # seconds between two looks at the clock and at signals
PLAIN = 3  # steps before one is recorded: kernels choose their ways, optimizers make their state
PROOFS = 3  # steps that are done twice
CAPTURING = ("cuda",)  # devices on which a step is captured as a graph, and not recorded for torch's interpreter

log = logging.getLogger(__name__)


@dataclass
class Strides:
    """The steps of a training, one after the other or many at once."""

    stepper: Stepper
    feed: Feed
    to_come: int
    """Steps of the whole training, from here on."""
    replay: Replay | Captured | None = None
    """What does the steps, once it is recorded."""
    proofs: int = PROOFS
    """Steps that the replay has still to prove."""
    plain: bool = field(init=False)
    """Whether every step stays a plain one."""
    moves: bool = field(init=False)
    """Whether a replay moves the weights: nothing stands between gradients and optimizer, whose options stay."""
    _done: int = 0
    _seconds: list[float] = field(default_factory=list)
    """What the last plain steps took."""
    _stride: int = 1
    """Steps that the replay does in STRETCH seconds."""

    @property
    def replays(self) -> bool:
        """Return whether steps are replayed by now."""
        return self.replay is not None and self.proofs == 0

    def __post_init__(self) -> None:
        self.plain = not self._allowed
        train = self.stepper.train
        self.moves = train.clip_grad_norm is None and train.clip_grad_value is None

    @property
    def _allowed(self) -> bool:
        """Return whether the training has nothing that a replay does not know.

        Scaled losses decide by their numbers; sums over several steps and compiled models have their own ways; other
        processes take part in the gradients of a distributed training.
        """
        train, state = self.stepper.train, self.stepper.state
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        return (
            state.device.type in ("cpu", *CAPTURING)
            and state.scaler is None
            and train.accumulation == 1
            and not train.compile
            and not distributed
        )

    def advance(self, order: Tensor | None, losses: Tensor, until: int) -> None:
        """Do one or more steps from where the training stands, and write their losses.

        Args:
            order: of the epoch's rows; None for the one they have.
            losses: of the epoch's steps, (steps,).
            until: the step to stop before.
        """
        state = self.stepper.state
        first = state.step
        whole = self.whole
        self.let_go()
        if self.plain or first >= whole:
            self._plain(order, losses)
        elif self.replay is not None and self.proofs == 0:
            self._leap(self.replay, order, losses, min(until, whole))
        elif self.replay is not None:
            self._prove(self.replay, order, losses)
        elif self._done < PLAIN:
            self._plain(order, losses)
        elif not self._worth:
            self.plain = True
            self._plain(order, losses)
        elif self._captures:
            self._capture(order, losses)
        else:
            self._record(order, losses)
        self._done += state.step - first

    @cached_property
    def whole(self) -> int:
        """Return how many steps of an epoch have as many rows as the first."""
        return self.feed.steps - int(self.feed.counts[-1] < self.feed.counts[0])

    @property
    def _worth(self) -> bool:
        """Return whether recording pays: steps are short, many are to come, and what is copied to prove it is small."""
        seconds = min(self._seconds)
        copied = sum(tensor.nbytes for tensor in tensors_of(self.stepper.state))
        largest = free_memory(self.stepper.state.device) // 4 if self._captures else LARGEST
        short = copied < largest and seconds < SLOW
        faster = copied < LITTLE and seconds < LONG and self._seeks
        return (short or faster) and seconds * (self.to_come - self._done) > PAYS

    @property
    def _captures(self) -> bool:
        return self.stepper.state.device.type in CAPTURING

    @property
    def _seeks(self) -> bool:
        """Return whether it pays to look for faster ways to compute a step."""
        return self.to_come - self._done > SEEKS

    @cached_property
    def single(self) -> bool:
        """Return whether something follows each step."""
        stepper = self.stepper
        return stepper.scheduler is not None or stepper.state.average is not None or not self.feed.resident

    def let_go(self) -> bool:
        """Drop a replay of which the optimizer has other options by now; return whether it was so."""
        update = None if self.replay is None else self.replay.update
        if update is None or (update.holds and update.fits(self._stride)):
            return False
        self.replay, self.moves, self.proofs = None, False, PROOFS
        return True

    def _plain(self, order: Tensor | None, losses: Tensor) -> None:
        state = self.stepper.state
        begun = worked()
        number = state.step
        losses[number] = self.stepper.step(*self.feed.batch(order, state.epoch, number))
        self._seconds = [*self._seconds[-PLAIN:], worked() - begun]

    def batches(self, order: Tensor | None) -> tuple[Batches, bool]:
        """Return where a replay takes its rows from, and whether that is the next batch alone."""
        feed, state = self.feed, self.stepper.state
        if feed.resident and isinstance(feed.rows, Rows):
            return Batches(feed.rows.inputs, feed.rows.targets, order, feed.size), False
        inputs, targets = feed.batch(order, state.epoch, state.step)
        return Batches(inputs, targets, None, len(inputs)), True

    def run(self, replay: Replay | Captured, order: Tensor | None, losses: Tensor, steps: int) -> None:
        """Do steps without what follows them."""
        state = self.stepper.state
        batches, alone = self.batches(order)
        first = state.step
        if alone:
            replay.run(batches, losses[first : first + 1], 0, 1)
        else:
            replay.run(batches, losses, first, first + steps)
        state.step += steps

    def _leap(self, replay: Replay | Captured, order: Tensor | None, losses: Tensor, until: int) -> None:
        """Do as many steps as fit into a stretch of time."""
        single = self.single or replay.update is None
        steps = 1 if single else self._steps(replay.block, until)
        begun = perf_counter()
        self.run(replay, order, losses, steps)
        if replay.update is None:
            self.stepper.clip()
            self.stepper.move()
        if single:
            self.stepper.after_move(True)
        else:
            self._stride = max(1, min(4 * self._stride, int(STRETCH * steps / (perf_counter() - begun))))

    def _record(self, order: Tensor | None, losses: Tensor) -> None:
        """Do a plain step, and write down what it does."""
        state, stepper = self.stepper.state, self.stepper
        recorder, loss = self.recorded(order)
        try:
            ways = selected(recorder.calls) if self._seeks else {}
            self.replay = replay_of(recorder, loss, state.optimizer, self.moves, ways)
        except NotRecordable as error:
            self.give_up(str(error))
        losses[state.step] = loss.detach()
        state.step += 1
        stepper.clip()
        stepper.after_move(stepper.move())

    def _steps(self, block: int, until: int) -> int:
        """Return about as many steps as fit into a stretch of time, up to the end of a block."""
        first = self.stepper.state.step
        return min(until, max(first // block + 1, (first + self._stride) // block) * block) - first

    def recorded(self, order: Tensor | None) -> tuple[Recorder, Tensor]:
        """Return what the next step computes and its loss; the parameters have its gradients, and are not moved."""
        state = self.stepper.state
        inputs, targets = self.feed.batch(order, state.epoch, state.step)
        state.optimizer.zero_grad()
        recorder = Recorder(x=inputs, y=targets)
        with recorder:
            loss = self.stepper.loss(inputs, targets)
            take_gradients(loss, state.optimizer)
        return recorder, loss

    def _capture(self, order: Tensor | None, losses: Tensor) -> None:
        """Capture the gradients of a step as a graph, where that is faster, and do the step plainly."""
        state = self.stepper.state
        number, batch = state.step, self.feed.batch(order, state.epoch, state.step)
        try:
            self.replay = captured_step(self.stepper, *batch)
        except NotFaster:
            self.plain = True
            log.info("steps are not captured as a CUDA graph: it is not faster")
        except NotRecordable as error:
            self.give_up(str(error))
        losses[number] = self.stepper.step(*batch)

    def _prove(self, replay: Replay | Captured, order: Tensor | None, losses: Tensor) -> None:
        """Do a step that is compared; where it shows a fault, the training stays plain."""
        fault = self.compared(replay, order, losses)
        self.stepper.after_move(True)
        self.proofs -= 1
        if fault:
            self.give_up(fault)

    def compared(self, replay: Replay | Captured, order: Tensor | None, losses: Tensor) -> str:
        """Do a step by the replay and again by the plain step, from the same state; return what is wrong with it."""
        stepper, state, number = self.stepper, self.stepper.state, self.stepper.state.step
        before, failure = Snapshot.of(state), ""
        try:
            self.run(replay, order, losses, 1)
        except RuntimeError as error:
            failure = str(error)
        replayed, loss, gradients = Snapshot.of(state), losses[number].clone(), replay.gradients()
        before.restore(state)
        losses[number] = stepper.gradients(*self.feed.batch(order, state.epoch, number))
        same = all(same_bits(one, two) for one, two in zip(gradients, replay.gradients(), strict=True))
        if replay.update is None:
            same = same and replayed.same(Snapshot.of(state))
        stepper.clip()
        stepper.move()
        if replay.update is not None:
            same = replayed.same(Snapshot.of(state))
        state.step = number + 1
        if failure or (same and same_bits(loss, losses[number])):
            return failure
        return "replayed steps differ from plain ones in their bits"

    def lead(self, replay: Replay | None) -> None:
        """Let this do the steps from here on, which others have proven; None for what is found out here."""
        self.replay, self.plain = replay, False
        self.proofs = PROOFS if replay is None else 0

    def stay_plain(self) -> None:
        """Do plain steps from here on."""
        self.replay, self.plain = None, True

    def give_up(self, reason: str) -> None:
        """Stay plain from here on, and say why."""
        self.stay_plain()
        log.warning("steps are not replayed, and take longer: %s", reason)
