"""The data sources of the language: one file a source, one union."""

from typing import Annotated

from pydantic import Field

from zoo.data.data import Data, Example, Inputs, Rows, Split, Truth
from zoo.data.linear_function import LinearFunction
from zoo.data.mnist import MNIST, FashionMNIST

AnyData = Annotated[FashionMNIST | LinearFunction | MNIST, Field(discriminator="type")]

__all__ = ["AnyData", "Data", "Example", "Inputs", "Rows", "Split", "Truth"]
