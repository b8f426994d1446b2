"""The optimizers of the language: one table."""

from typing import Annotated

from zoo.choice import Choice
from zoo.optimizers.optimizer import Decaying, Group, Optimizer

OPTIMIZERS = Choice(
    "optimizer",
    {
        "zoo.optimizers.adam": ("Adam", "AdamW", "Adamax", "NAdam", "RAdam"),
        "zoo.optimizers.scaled": ("Adadelta", "Adafactor", "Adagrad", "RMSprop"),
        "zoo.optimizers.sgd": ("ASGD", "SGD", "Rprop"),
    },
)
AnyOptimizer = Annotated[Optimizer, OPTIMIZERS]

__all__ = ["OPTIMIZERS", "AnyOptimizer", "Decaying", "Group", "Optimizer"]
