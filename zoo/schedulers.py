"""Schedulers of the learning rate, stepped once after each epoch: StepLR, CosineAnnealingLR."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from zoo.strict import Count, NonNegative, Positive, Strict

if TYPE_CHECKING:
    from torch import optim


class Scheduler(Strict):
    """What every scheduler has."""

    @abstractmethod
    def build(self, optimizer: optim.Optimizer) -> optim.lr_scheduler.LRScheduler:
        """Return the torch scheduler of this optimizer."""


class StepLR(Scheduler):
    """Multiplies the learning rate by gamma every step_size epochs.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html
    """

    type: Literal["StepLR"]
    step_size: Count
    """Epochs between two steps."""
    gamma: Positive = 0.1
    """Factor of each step."""

    def build(self, optimizer: optim.Optimizer) -> optim.lr_scheduler.LRScheduler:
        """Return torch.optim.lr_scheduler.StepLR."""
        from torch.optim import lr_scheduler

        return lr_scheduler.StepLR(optimizer, self.step_size, self.gamma)


class CosineAnnealingLR(Scheduler):
    """Follows half a cosine from the learning rate down to eta_min.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html
    """

    type: Literal["CosineAnnealingLR"]
    T_max: Count
    """Epochs from the top to the bottom."""
    eta_min: NonNegative = 0.0
    """The learning rate at the bottom."""

    def build(self, optimizer: optim.Optimizer) -> optim.lr_scheduler.LRScheduler:
        """Return torch.optim.lr_scheduler.CosineAnnealingLR."""
        from torch.optim import lr_scheduler

        return lr_scheduler.CosineAnnealingLR(optimizer, self.T_max, self.eta_min)


AnyScheduler = Annotated[CosineAnnealingLR | StepLR, Field(discriminator="type")]
