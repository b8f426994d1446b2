"""CheckedSpec: a spec without problems, with its shapes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

from zoo.data import Example
from zoo.errors import Problem
from zoo.layers.layer import Sizes
from zoo.patterns import selected
from zoo.placed import THE_INPUT, PlacedLayer
from zoo.shapes import Shape, class_axis
from zoo.source import Source
from zoo.spec import Spec, meaning_sha256


@dataclass(frozen=True)
class CheckedSpec:
    """A spec without problems, with all that the check found out."""

    source: Source
    spec: Spec
    example: Example
    input: Shape
    """What the model is given: after the transforms."""
    layers: tuple[PlacedLayer, ...]
    notes: tuple[Problem, ...] = ()
    """What is not as a person may think, though the spec is right."""

    def is_of(self, sha256: object) -> bool:
        """Return whether a hash that a training kept is of this spec.

        A zoo of another day had fewer options: what its spec.json says, as it is written, has that hash then.
        """
        return sha256 in (self.spec.sha256(), meaning_sha256(self.source.value, self.spec.data.whereabouts))

    @property
    def output(self) -> Shape:
        """Return what the model gives."""
        return self.layers[-1].output

    @cached_property
    def parameters(self) -> dict[str, Sizes]:
        """Return the sizes of every tensor that is learned, by its name in the state dict."""
        return {name: sizes for placed in self.layers for name, sizes in placed.learned.items()}

    @property
    def ignored(self) -> int | None:
        """Return the class number of targets that neither loss nor metrics count; None where there can be none."""
        number, target = self.spec.loss.ignored, self.example.target
        axis = class_axis(self.output, target) if number is not None else None
        if number is None or axis is None:
            return None
        classes = self.output.dims[axis]
        return number if number == self.spec.data.ignored or number in range(int(classes)) else None

    @property
    def parameter_counts(self) -> tuple[int, ...]:
        """Return how many numbers each layer learns; a tied weight counts where it is first."""
        return tuple(sum(map(prod, placed.learned.values())) for placed in self.layers)

    @property
    def smallest_training_batch(self) -> int:
        """Return the fewest rows that torch trains every layer on; frozen ones stay in evaluation, and take any."""
        several = {p: p.layer.smallest_training_batch(p.input) for p in self.layers}
        if max(several.values()) == 1:
            return 1
        still, frozen = self.frozen_layers, set(selected(self.spec.freeze, self.parameters))
        moved = (n for p, n in several.items() if p.name not in still and not p.layer.rests(frozen))
        return max(moved, default=1)

    @cached_property
    def frozen_layers(self) -> tuple[str, ...]:
        """Return the names of the layers that stay in evaluation mode.

        They have frozen tensors and no others; or none, and what they are given comes from frozen layers alone, so
        that nothing moves below them.
        """
        frozen = set(selected(self.spec.freeze, self.parameters))
        still: list[bool] = []
        for placed in self.layers:
            learned = set(placed.learned)
            if learned or placed.tied is not None:
                still.append(bool(learned) and learned <= frozen)
            else:
                still.append(all(step != THE_INPUT and still[step] for step in placed.inputs))
        return tuple(placed.name for placed, is_still in zip(self.layers, still, strict=True) if is_still)
