"""The layers of the language: one file a family, one table."""

from typing import Annotated

from zoo.choice import Choice
from zoo.layers.layer import Layer

LAYERS = Choice(
    "layer",
    {
        "zoo.layers.activation": ("GELU", "LeakyReLU", "ReLU", "SiLU", "Sigmoid", "Tanh"),
        "zoo.layers.composite": ("Block", "Parallel", "Repeat", "Residual"),
        "zoo.layers.dropout": ("Dropout",),
        "zoo.layers.joining": ("Add", "Concat", "Multiply"),
        "zoo.layers.linear": ("Identity", "Linear"),
        "zoo.layers.normalization": ("BatchNorm1d", "LayerNorm"),
        "zoo.layers.shaping": ("Flatten",),
    },
)
AnyLayer = Annotated[Layer, LAYERS]

__all__ = ["LAYERS", "AnyLayer", "Layer"]
