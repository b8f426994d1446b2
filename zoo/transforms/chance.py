"""Transforms made of transforms: RandomApply, RandomChoice, RandomOrder."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Field, NonNegative, Probability, model_validator
from zoo.transforms import AnyAugmentation
from zoo.transforms.transform import Transform, kind

Several = Annotated[tuple[AnyAugmentation, ...], Field(min_length=1, max_length=100)]


class Nest(Transform):
    """What every transform has that holds others."""

    random: ClassVar[bool] = True

    transforms: Several
    """The transforms it holds."""

    def output_shape(self, shape: Shape) -> Shape:
        """Return `shape`.

        Raises:
            ShapeError: a transform inside refuses it, or changes it: which of them happen is random.
        """
        for inner in self.transforms:
            given = inner.output_shape(shape)
            if given != shape:
                message = f"{kind(self)} needs transforms that keep the shape; {kind(inner)} gives {given}"
                raise ShapeError(message, f"put the {kind(inner)} outside of it", "transforms")
        return shape

    def arguments(self) -> dict[str, Any]:
        """Return the options with torchvision's transforms."""
        return super().arguments() | {"transforms": [inner.build() for inner in self.transforms]}

    def with_classes(self, classes: int) -> Self:
        """Return the transform with those inside for targets of so many classes.

        Raises:
            ShapeError: one of them mixes targets, and there are no classes, or another number is written.
        """
        return self.model_copy(update={"transforms": tuple(inner.with_classes(classes) for inner in self.transforms)})

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        levels = {inner.level for inner in self.transforms}
        if "batch" in levels and (len(levels) > 1 or not self._of_batches()):
            raise ValueError(f"{kind(self)} cannot hold what mixes batches; put it outside, at the end of augmentation")
        return self

    def _of_batches(self) -> bool:
        return False


class RandomApply(Nest):
    """All of its transforms, one after the other, or none.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomApply.html
    """

    type: Literal["RandomApply"]
    p: Probability = 0.5
    """Probability of doing it."""


class RandomChoice(Nest):
    """One of its transforms.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomChoice.html
    """

    type: Literal["RandomChoice"]
    p: tuple[NonNegative, ...] | None = None
    """A weight for each transform; by default all the same."""

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.p is not None and len(self.p) != len(self.transforms):
            raise ValueError(f"{len(self.p)} weights for {len(self.transforms)} transforms; write one for each")
        if self.p is not None and not sum(self.p) > 0:
            raise ValueError("all weights are 0; write a number above 0 for one of them")
        return self

    @property
    def level(self) -> Literal["sample", "batch"]:
        """Return the level of the transforms inside."""
        return self.transforms[0].level

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape that every transform inside gives.

        Raises:
            ShapeError: a transform refuses `shape`, or they give different shapes.
        """
        given = [inner.output_shape(shape) for inner in self.transforms]
        if len(set(given)) > 1:
            shapes = " and ".join(sorted({str(one) for one in given}))
            raise ShapeError(f"RandomChoice needs transforms of one shape; these give {shapes}", "make them equal")
        return given[0]

    def _of_batches(self) -> bool:
        return True


class RandomOrder(Nest):
    """All of its transforms in a random order.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomOrder.html
    """

    type: Literal["RandomOrder"]
