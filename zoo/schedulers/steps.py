"""Schedulers that move the rate by a factor now and then: StepLR, MultiStepLR, ConstantLR, ExponentialLR."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from zoo.schedulers.scheduler import Scheduler
from zoo.strict import Count, Field, Positive, model_validator


class StepLR(Scheduler):
    """Multiplies the learning rate by gamma every step_size intervals.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html
    """

    horizon_option = "step_size"

    type: Literal["StepLR"]
    step_size: Count
    """Intervals between two steps."""
    gamma: Positive = 0.1
    """Factor of each step."""

    @property
    def horizon(self) -> int:
        """Return the first interval with another rate."""
        return self.step_size + 1


class MultiStepLR(Scheduler):
    """Multiplies the learning rate by gamma at each milestone.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiStepLR.html
    """

    horizon_option = "milestones"

    type: Literal["MultiStepLR"]
    milestones: Annotated[tuple[Count, ...], Field(min_length=1, max_length=10_000)]
    """After how many intervals, increasing."""
    gamma: Positive = 0.1
    """Factor of each step."""

    @model_validator(mode="after")
    def _milestones_increase(self) -> Self:
        if any(second <= first for first, second in pairwise(self.milestones)):
            raise ValueError("milestones must increase; write each once, the smaller first")
        return self

    @property
    def horizon(self) -> int:
        """Return the first interval with the last rate."""
        return self.milestones[-1] + 1


class ConstantLR(Scheduler):
    """Multiplies the learning rate by factor, and no longer after total_iters intervals.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ConstantLR.html
    """

    horizon_option = "total_iters"

    type: Literal["ConstantLR"]
    factor: Annotated[float, Field(gt=0, le=1)] = 1 / 3
    """Factor of the first intervals; torch cannot come back from 0."""
    total_iters: Count = 5
    """For how many intervals."""

    @property
    def horizon(self) -> int:
        """Return the first interval with the full rate."""
        return self.total_iters + 1


class ExponentialLR(Scheduler):
    """Multiplies the learning rate by gamma after each interval.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html
    """

    type: Literal["ExponentialLR"]
    gamma: Positive
    """Factor of each interval."""

    @property
    def horizon(self) -> int:
        """Return the first interval with another rate."""
        return 2
