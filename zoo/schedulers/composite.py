"""Schedulers of schedulers: SequentialLR, ChainedScheduler."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from zoo.errors import ShapeError
from zoo.optimizers.optimizer import Optimizer
from zoo.schedulers import AnyScheduler
from zoo.schedulers.scheduler import Scheduler
from zoo.strict import Count, Field, model_validator

if TYPE_CHECKING:
    from torch import optim

Several = Annotated[tuple[AnyScheduler, ...], Field(min_length=2, max_length=100)]


class _Composite(Scheduler):
    """What schedulers of schedulers share."""

    # Any: JSON values, before they are judged.
    @model_validator(mode="before")
    @classmethod
    def _share_the_interval(cls, document: Any) -> Any:
        """Give each inner scheduler that writes no interval that of the outer one."""
        if not (isinstance(document, dict) and isinstance(document.get("schedulers"), tuple)):
            return document
        interval = document.get("interval", "epoch")
        inner = tuple(
            {"interval": interval} | part if isinstance(part, dict) else part for part in document["schedulers"]
        )
        return document | {"schedulers": inner}

    def _judge(self, schedulers: tuple[Scheduler, ...]) -> None:
        """Refuse inner schedulers that torch cannot move together.

        Raises:
            ValueError: with what is wrong.
        """
        for index, scheduler in enumerate(schedulers):
            name = type(scheduler).__name__
            if scheduler.alone or isinstance(scheduler, _Composite):
                raise ValueError(f"{name} cannot stand in {type(self).__name__}; use it alone, or write another")
            if scheduler.interval != self.interval:
                raise ValueError(
                    f"{type(self).__name__} counts in {self.interval}s, but schedulers.{index} in {scheduler.interval}s"
                    "; write interval on the outer scheduler only"
                )


class SequentialLR(_Composite):
    """One scheduler after the other, each from the milestone at which the one before ends.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.SequentialLR.html
    """

    horizon_option = "milestones"

    type: Literal["SequentialLR"]
    schedulers: Several
    """In order; each counts its intervals from its own beginning."""
    milestones: Annotated[tuple[Count, ...], Field(min_length=1, max_length=99)]
    """After how many intervals of the training each but the first begins, increasing."""

    @model_validator(mode="after")
    def _milestones_divide(self) -> Self:
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"{len(self.schedulers)} schedulers need {len(self.schedulers) - 1} milestone(s), "
                f"but there are {len(self.milestones)}; write where each but the first begins"
            )
        if any(second <= first for first, second in pairwise(self.milestones)):
            raise ValueError("milestones must increase; write the smaller first")
        self._judge(self.schedulers)
        return self

    @property
    def horizon(self) -> int:
        """Return the first interval of the last scheduler."""
        return self.milestones[-1] + 1

    def require(self, optimizer: Optimizer, intervals: int) -> None:
        """Refuse also a stretch between milestones that is too short or too long for its scheduler.

        Raises:
            ShapeError: with the option that does not fit.
        """
        super().require(optimizer, intervals)
        for scheduler, stretch in self._stretches(intervals):
            _require_inner(scheduler, optimizer, stretch)

    def _stretches(self, intervals: int) -> Iterator[tuple[Scheduler, int]]:
        """Yield each scheduler with how many intervals it has."""
        ends = (0, *self.milestones, intervals)
        return zip(self.schedulers, (end - start for start, end in pairwise(ends)), strict=True)

    def build(self, optimizer: optim.Optimizer, intervals: int) -> optim.lr_scheduler.LRScheduler:
        """Return torch's SequentialLR of this optimizer."""
        from torch.optim import lr_scheduler

        inner = [scheduler.build(optimizer, stretch) for scheduler, stretch in self._stretches(intervals)]
        return lr_scheduler.SequentialLR(optimizer, inner, list(self.milestones))


class ChainedScheduler(_Composite):
    """Several schedulers at once: their factors are multiplied.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ChainedScheduler.html
    """

    type: Literal["ChainedScheduler"]
    schedulers: Several
    """All of them count from the beginning."""

    @model_validator(mode="after")
    def _factors_multiply(self) -> Self:
        self._judge(self.schedulers)
        for scheduler in self.schedulers:
            if type(scheduler).__name__ == "CosineAnnealingWarmRestarts":
                raise ValueError(
                    "CosineAnnealingWarmRestarts cannot stand in ChainedScheduler, because it sets the rate whatever "
                    "the others do; use CosineAnnealingLR"
                )
        return self

    def require(self, optimizer: Optimizer, intervals: int) -> None:
        """Refuse what an inner scheduler refuses.

        Raises:
            ShapeError: with the option that does not fit.
        """
        super().require(optimizer, intervals)
        for scheduler in self.schedulers:
            _require_inner(scheduler, optimizer, intervals)

    def build(self, optimizer: optim.Optimizer, intervals: int) -> optim.lr_scheduler.LRScheduler:
        """Return torch's ChainedScheduler of this optimizer."""
        from torch.optim import lr_scheduler

        return lr_scheduler.ChainedScheduler([s.build(optimizer, intervals) for s in self.schedulers], optimizer)


def _require_inner(scheduler: Scheduler, optimizer: Optimizer, intervals: int) -> None:
    try:
        scheduler.require(optimizer, intervals)
    except ShapeError as error:
        raise ShapeError(error.message, error.remedy, "schedulers") from error
