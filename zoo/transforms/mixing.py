"""Random transforms of a whole batch, which mix the targets as well: MixUp, CutMix."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Count, Positive
from zoo.transforms.transform import Transform, image_axes, kind


class Mixing(Transform):
    """What both have; targets become probabilities (N, classes)."""

    random: ClassVar[bool] = True

    alpha: Positive = 1.0
    """Of the Beta distribution of the shares."""
    num_classes: Count | None = None
    """Number of classes; follows from the data, and is checked when written."""

    @property
    def level(self) -> Literal["sample", "batch"]:
        """Return "batch"."""
        return "batch"

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: these are no images of float32.
        """
        image_axes(self, shape)
        if shape.dtype != "float32":
            remedy = 'put {"type": "ToDtype", "dtype": "float32", "scale": true} into transforms'
            raise ShapeError(f"{kind(self)} needs float32 images", remedy)
        return shape

    def with_classes(self, classes: int) -> Self:
        """Return the transform for targets of so many classes.

        Raises:
            ShapeError: there are no classes, or another number is written.
        """
        if not classes:
            raise ShapeError(f"{kind(self)} needs classes as targets", f"remove the {kind(self)}")
        if self.num_classes not in (None, classes):
            message = f"{kind(self)} expects {self.num_classes} classes, but the data has {classes}"
            raise ShapeError(
                message, f"remove num_classes (it follows from the data), or write {classes}", "num_classes"
            )
        return self.model_copy(update={"num_classes": classes})


class MixUp(Mixing):
    """Blends each image of a batch with another, and their targets.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.MixUp.html
    """

    type: Literal["MixUp"]


class CutMix(Mixing):
    """Pastes a piece of another image of the batch into each, and mixes their targets by area.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.CutMix.html
    """

    type: Literal["CutMix"]
