"""What the sources of images share: transforms, augmentation, and their order.

The order is: the transforms before the first ToDtype or Normalize, then, in training alone, the augmentation, then the
rest of the transforms. So the augmentation meets images of one size with the levels of their files, 0 to 255, and all
that is the same for every epoch is done once. What mixes batches comes after all of them.
"""

from __future__ import annotations

from typing import Self

from zoo.data.data import Place
from zoo.data.reconstruction import Reconstructable
from zoo.strict import model_validator
from zoo.transforms import AnyAugmentation, AnyTransform, Transform


class ImageSource(Reconstructable):
    """What every source of images has."""

    transforms: tuple[AnyTransform, ...] = ()
    """What happens to an image of any split before the model, in order."""
    augmentation: tuple[AnyAugmentation, ...] = ()
    """What happens to an image in training alone, drawn anew each time; before the first ToDtype or Normalize."""

    @model_validator(mode="after")
    def _batches_are_mixed_last(self) -> Self:
        for transform in self.augmentation[:-1]:
            if transform.level == "batch":
                name = type(transform).__name__
                raise ValueError(f"{name} mixes whole batches, but something follows it; put it last in augmentation")
        return self

    def pipeline(self) -> tuple[Transform, ...]:
        """Return the transforms of the spec."""
        return self.transforms

    def early(self) -> tuple[Transform, ...]:
        """Return the transforms before the first that makes other numbers of the levels."""
        return self.transforms[: self._border()]

    def random(self) -> tuple[Transform, ...]:
        """Return the augmentation."""
        return self.augmentation

    def late(self) -> tuple[Transform, ...]:
        """Return the transforms from the first on that makes other numbers of the levels."""
        return self.transforms[self._border() :]

    def route(self, training: bool) -> tuple[tuple[Place, Transform], ...]:
        """Return the transforms that an image meets, in order, each with its place in the source's options."""
        fixed: list[tuple[Place, Transform]] = [(("transforms", i), t) for i, t in enumerate(self.transforms)]
        drawn: list[tuple[Place, Transform]] = [(("augmentation", i), t) for i, t in enumerate(self.augmentation)]
        single = [step for step in drawn if step[1].level == "sample"]
        border = self._border()
        if not training:
            return tuple(fixed)
        return (*fixed[:border], *single, *fixed[border:], *drawn[len(single) :])

    def _border(self) -> int:
        return next((i for i, transform in enumerate(self.transforms) if transform.numeric), len(self.transforms))
