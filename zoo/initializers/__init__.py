"""The initializers of the language: one table."""

from typing import Annotated

from zoo.choice import Choice
from zoo.initializers.initializer import Filling, Initializer

INITIALIZERS = Choice(
    "initializer",
    {
        "zoo.initializers.constant": ("constant_", "dirac_", "eye_", "ones_", "zeros_"),
        "zoo.initializers.distribution": ("normal_", "sparse_", "trunc_normal_", "uniform_"),
        "zoo.initializers.scaled": (
            "kaiming_normal_",
            "kaiming_uniform_",
            "orthogonal_",
            "xavier_normal_",
            "xavier_uniform_",
        ),
        "zoo.initializers.warm_start": ("WarmStart",),
    },
    untyped="WarmStart",
)
AnyInitializer = Annotated[Initializer, INITIALIZERS]

__all__ = ["INITIALIZERS", "AnyInitializer", "Filling", "Initializer"]
