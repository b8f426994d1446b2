"""Composition: Residual, Parallel, Repeat, Block; each is laid out as the steps that it stands for."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal, Protocol, Self

from zoo.layers import AnyLayer
from zoo.layers.joining import Add, Concat, Joining, Multiply
from zoo.layers.layer import Layer
from zoo.strict import Field, model_validator

Layers = Annotated[tuple[AnyLayer, ...], Field(max_length=10_000)]
SomeLayers = Annotated[tuple[AnyLayer, ...], Field(min_length=1, max_length=10_000)]


class Site(Protocol):
    """Where a composite lays out its layers; steps are numbered."""

    def chain(self, path: tuple[str | int, ...], names: tuple[str, ...], layers: tuple[Layer, ...], step: int) -> int:
        """Return the last step of `layers`, each fed by the one above, the first by `step`.

        Args:
            path: where the layers stand below the composite, in the spec.
            names: what stands between the composite's name and theirs in the state dict.
            layers: what is laid out; none gives `step` itself.
            step: whose output goes in.
        """

    def join(self, layer: Joining, steps: tuple[int, ...]) -> int:
        """Return the step of a layer that joins the outputs of others."""


class Composite(Layer):
    """What every layer has that stands for several."""

    @abstractmethod
    def lay(self, site: Site, step: int) -> int:
        """Return the last step of what the composite stands for, fed by `step`."""


class Residual(Composite):
    """The sum of what its layers give and of its input, or of what the shortcut makes of its input.

    Source: He et al. 2015, https://arxiv.org/abs/1512.03385
    """

    type: Literal["Residual"]
    layers: SomeLayers
    """The way whose output is added."""
    shortcut: SomeLayers | None = None
    """What the input goes through before it is added; without it, nothing."""

    def lay(self, site: Site, step: int) -> int:
        """Return the sum."""
        long = site.chain(("layers",), (), self.layers, step)
        short = site.chain(("shortcut",), ("shortcut",), self.shortcut or (), step)
        return site.join(Add(type="Add"), (long, short))


class Parallel(Composite):
    """Several branches from one input, joined into one tensor."""

    type: Literal["Parallel"]
    branches: Annotated[tuple[Layers, ...], Field(min_length=2, max_length=1000)]
    """The layers of each branch; an empty branch gives the input itself."""
    join: Literal["concat", "add", "multiply"] = "concat"
    """How the branches' outputs become one tensor."""
    dim: Annotated[int, Field(ge=-8, le=7)] | None = None
    """The axis of "concat"; 1, the channels of images, unless written."""

    @model_validator(mode="after")
    def _dim_is_used(self) -> Self:
        if self.dim is not None and self.join != "concat":
            raise ValueError(f'dim says nothing with the join "{self.join}"; remove dim, or write "join": "concat"')
        return self

    def lay(self, site: Site, step: int) -> int:
        """Return the joined branches."""
        ends = tuple(
            site.chain(("branches", index), (str(index),), branch, step) for index, branch in enumerate(self.branches)
        )
        joining: Joining = Concat(type="Concat", dim=1 if self.dim is None else self.dim)
        if self.join != "concat":
            joining = Add(type="Add") if self.join == "add" else Multiply(type="Multiply")
        return site.join(joining, ends)


class Repeat(Composite):
    """Its layers several times in a row, each time with weights of their own."""

    type: Literal["Repeat"]
    times: Annotated[int, Field(ge=1, le=10_000)]
    """How often."""
    layers: SomeLayers
    """What is repeated."""

    def lay(self, site: Site, step: int) -> int:
        """Return the last time."""
        for time in range(self.times):
            step = site.chain(("layers",), (str(time),), self.layers, step)
        return step


class Block(Composite):
    """Layers of a template in the spec's `blocks`; every option beside its name is a parameter of the template."""

    type: Literal["Block"]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    """The template's name."""
    layers: SomeLayers
    """The template's layers, with the parameters put in; zoo writes them."""

    def lay(self, site: Site, step: int) -> int:
        """Return the last layer of the template."""
        return site.chain(("layers",), (), self.layers, step)
