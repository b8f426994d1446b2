"""Layered: an architecture that the spec writes layer by layer."""

from __future__ import annotations

from typing import Annotated

from zoo.errors import Path
from zoo.layers import AnyLayer, Layer
from zoo.models.model import Model
from zoo.strict import Field


class Layered(Model):
    """An architecture from layers, each fed by the one above."""

    layers: Annotated[tuple[AnyLayer, ...], Field(min_length=1, max_length=10_000)]
    """From the data to the loss, in order."""

    def parts(self) -> tuple[tuple[Layer, ...], Path]:
        """Return the layers."""
        return self.layers, ("layers",)
