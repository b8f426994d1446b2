"""Reconstruction: rows whose target is the input itself, as autoencoders learn them."""

from __future__ import annotations

from typing import ClassVar, Self

from zoo.data.data import Data
from zoo.strict import model_validator


class Reconstructable(Data):
    """What every source has whose rows a model can be asked to give back."""

    answering: ClassVar[tuple[str, ...]] = ()
    """Options of the source that say something of its own targets alone."""

    reconstruct: bool = False
    """Compare the model's output with its input, as it is behind transforms and augmentation: an autoencoder. The
    classes, or other targets that the source has, are not looked at."""

    @model_validator(mode="after")
    def _targets_are_said_once(self) -> Self:
        said = [name for name in self.answering if getattr(self, name) != type(self).model_fields[name].default]
        if self.reconstruct and said:
            raise ValueError(f"{said[0]} says nothing where the target is the input; remove it, or reconstruct")
        return self

    @property
    def mirrors(self) -> bool:
        """Return whether the target of a row is the row itself, as the model is given it."""
        return self.reconstruct
