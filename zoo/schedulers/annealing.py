"""Schedulers along a curve: LinearLR, PolynomialLR, CosineAnnealingLR, CosineAnnealingWarmRestarts."""

from __future__ import annotations

from typing import Annotated, Literal

from zoo.schedulers.scheduler import Scheduler
from zoo.strict import Count, Field, NonNegative, Positive, Probability


class LinearLR(Scheduler):
    """Multiplies the learning rate by a factor that goes from start_factor to end_factor in a straight line.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LinearLR.html
    """

    horizon_option = "total_iters"

    type: Literal["LinearLR"]
    start_factor: Annotated[float, Field(gt=0, le=1)] = 1 / 3
    """Factor of the first interval."""
    end_factor: Probability = 1.0
    """Factor after total_iters intervals, and from then on."""
    total_iters: Count = 5
    """Intervals from the one factor to the other."""

    @property
    def horizon(self) -> int:
        """Return total_iters."""
        return self.total_iters

    @property
    def limit(self) -> int | None:
        """Return total_iters where the rate is then 0 for good."""
        return self.total_iters if self.end_factor == 0 else None


class PolynomialLR(Scheduler):
    """Lets the learning rate fall to 0 as a power of the intervals that are left.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.PolynomialLR.html
    """

    horizon_option = "total_iters"

    type: Literal["PolynomialLR"]
    total_iters: Count = 5
    """After how many intervals the rate is 0."""
    power: Positive = 1.0
    """The power; 1 is a straight line."""

    @property
    def horizon(self) -> int:
        """Return total_iters."""
        return self.total_iters

    @property
    def limit(self) -> int:
        """Return total_iters: then the rate is 0 for good."""
        return self.total_iters


class CosineAnnealingLR(Scheduler):
    """Follows half a cosine from the learning rate down to eta_min.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html
    """

    horizon_option = "T_max"

    type: Literal["CosineAnnealingLR"]
    T_max: Count
    """Intervals from the top to the bottom."""
    eta_min: NonNegative = 0.0
    """The learning rate at the bottom."""

    @property
    def horizon(self) -> int:
        """Return T_max."""
        return self.T_max

    @property
    def limit(self) -> int:
        """Return T_max: after it torch lets the rate rise again, up to where it began."""
        return self.T_max


class CosineAnnealingWarmRestarts(Scheduler):
    """Follows half a cosine down to eta_min again and again, each T_mult times as long as the one before.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html
    """

    horizon_option = "T_0"

    type: Literal["CosineAnnealingWarmRestarts"]
    T_0: Count
    """Intervals up to the first restart."""
    T_mult: Count = 1
    """Factor of the length after each restart."""
    eta_min: NonNegative = 0.0
    """The learning rate at the bottom."""

    @property
    def horizon(self) -> int:
        """Return the first interval after a restart."""
        return self.T_0 + 1
