"""The schedulers of the language: one table."""

from typing import Annotated

from zoo.choice import Choice
from zoo.schedulers.scheduler import Scheduler

SCHEDULERS = Choice(
    "scheduler",
    {
        "zoo.schedulers.annealing": ("CosineAnnealingLR", "CosineAnnealingWarmRestarts", "LinearLR", "PolynomialLR"),
        "zoo.schedulers.composite": ("ChainedScheduler", "SequentialLR"),
        "zoo.schedulers.cyclic": ("CyclicLR", "OneCycleLR"),
        "zoo.schedulers.plateau": ("ReduceLROnPlateau",),
        "zoo.schedulers.steps": ("ConstantLR", "ExponentialLR", "MultiStepLR", "StepLR"),
    },
)
AnyScheduler = Annotated[Scheduler, SCHEDULERS]

__all__ = ["SCHEDULERS", "AnyScheduler", "Scheduler"]
