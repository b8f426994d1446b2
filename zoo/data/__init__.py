"""The data sources of the language: one file a source, one table."""

from typing import Annotated

from zoo.choice import Choice
from zoo.data.data import Data, Example, Inputs, OptionError, Rows, Split, Truth

DATA = Choice(
    "data",
    {
        "zoo.data.array_file": ("ArrayFile",),
        "zoo.data.cifar": ("CIFAR10", "CIFAR100"),
        "zoo.data.fake_images": ("FakeImages",),
        "zoo.data.image_folder": ("ImageFolder",),
        "zoo.data.linear_function": ("LinearFunction",),
        "zoo.data.mnist": ("EMNIST", "FashionMNIST", "KMNIST", "MNIST"),
        "zoo.data.svhn": ("SVHN",),
        "zoo.data.table_file": ("TableFile",),
        "zoo.data.text_file": ("TextFile",),
    },
)
AnyData = Annotated[Data, DATA]

__all__ = ["DATA", "AnyData", "Data", "Example", "Inputs", "OptionError", "Rows", "Split", "Truth"]
