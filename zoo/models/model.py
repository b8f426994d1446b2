"""Model: what every kind of `model` has."""

from __future__ import annotations

from abc import abstractmethod

from zoo.errors import Path
from zoo.layers import Layer
from zoo.strict import Strict


class Model(Strict):
    """What every model has."""

    @abstractmethod
    def parts(self) -> tuple[tuple[Layer, ...], Path]:
        """Return the layers that make up the model, and where they stand below `model`."""
