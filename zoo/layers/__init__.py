"""The layers of the language: one file a family, one union."""

from typing import Annotated

from pydantic import Field

from zoo.layers.activation import GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh
from zoo.layers.dropout import Dropout
from zoo.layers.layer import Layer
from zoo.layers.linear import Identity, Linear
from zoo.layers.normalization import BatchNorm1d, LayerNorm
from zoo.layers.shaping import Flatten

AnyLayer = Annotated[
    BatchNorm1d | Dropout | Flatten | GELU | Identity | LayerNorm | LeakyReLU | Linear | ReLU | SiLU | Sigmoid | Tanh,
    Field(discriminator="type"),
]

__all__ = ["AnyLayer", "Layer"]
