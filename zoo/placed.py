"""Placed: a layer where it stands among the numbered steps of a model, and who uses what each of them gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from zoo.errors import MOST_TOLD, Path, Problem
from zoo.layers.layer import Layer, Sizes, kind
from zoo.shapes import Shape, Value
from zoo.source import Source

THE_INPUT = -1
"""The step that gives the model's input."""


@dataclass(frozen=True)
class PlacedLayer:
    """A layer where it stands: its name in the state dict, what goes in, and what comes out."""

    name: str
    layer: Layer
    """With named sizes replaced by numbers."""
    path: Path
    """Where the spec declares it."""
    inputs: tuple[int, ...]
    """The steps that give what goes in; THE_INPUT for the model's input."""
    values: tuple[Value, ...]
    """What goes in."""
    result: Value
    """What comes out."""
    tied: int | None = None
    """The step whose weight it uses as its own."""
    called: str = ""
    """How a message calls it: by its id, or by the type that the spec writes."""

    @property
    def learned(self) -> dict[str, Sizes]:
        """Return the sizes of each tensor that it learns itself, by its name in the state dict."""
        own = self.layer.parameter_shapes(self.input)
        if self.tied is not None:
            del own["weight"]
        return {f"{self.name}.{name}".lstrip("."): sizes for name, sizes in own.items()}

    @property
    def input(self) -> Shape:
        """Return the first tensor that goes in."""
        return first_of(self.values[0])

    @property
    def output(self) -> Shape:
        """Return the first tensor that comes out."""
        return first_of(self.result)


def first_of(value: Value) -> Shape:
    """Return the first tensor of a value."""
    return value if isinstance(value, Shape) else first_of(value[0])


def judge_uses(steps: Sequence[PlacedLayer], source: Source, last: int) -> Iterator[Problem]:
    """Yield layers whose output nothing uses, and in-place layers that overwrite what another one reads.

    Args:
        steps: of the model.
        source: its spec, for the places.
        last: the step that gives the model's output.
    """
    readers: dict[int, list[int]] = {}
    for number, placed in enumerate(steps):
        for given in placed.inputs:
            readers.setdefault(given, []).append(number)
    unused = (number for number in range(len(steps)) if number != last and number not in readers)
    for placed in (steps[number] for number in islice(unused, MOST_TOLD)):
        message = f"nothing uses the output of {placed.called}"
        remedy = 'remove the layer, or name its id in another layer\'s "from"'
        yield source.problem((*placed.path, "type"), message, remedy)
    for placed, harm in _overwriting(steps, readers):
        message = f"{kind(placed.layer)} overwrites {harm}"
        yield source.problem((*placed.path, "inplace"), message, "remove inplace")


def _overwriting(steps: Sequence[PlacedLayer], readers: Mapping[int, list[int]]) -> Iterator[tuple[PlacedLayer, str]]:
    """Yield each in-place layer that overwrites what somebody else needs, for the output or for the gradient."""
    memories = {THE_INPUT: _Memory(is_input=True, latest=max(readers.get(THE_INPUT, ()), default=THE_INPUT))}
    for number, placed in enumerate(steps):
        memory = memories[placed.inputs[0]]
        if _in_place(placed.layer):
            harm = _harm(steps, number, memory)
            if harm:
                yield placed, harm
        elif not placed.layer.shares_input:
            memory = _Memory()
        for given in placed.inputs:
            if memories[given] is not memory and memories[given].reader is None:
                memories[given].reader = number
        memory.latest = max(memory.latest, *readers.get(number, ()), number)
        if memory.keeper is None and _keeps_output(placed.layer):
            memory.keeper = number
        memories[number] = memory


def _harm(steps: Sequence[PlacedLayer], number: int, memory: _Memory) -> str:
    """Return what a layer overwrites that somebody else needs; empty where it is nothing."""
    reader = memory.latest if memory.reader is None and memory.latest > number else memory.reader
    if memory.is_input:
        return "the model's input, which is the data's"
    if reader is not None:
        return f"its input, which {steps[reader].called} reads too"
    if memory.keeper is not None:
        return f"the output of {steps[memory.keeper].called}, which its gradient needs"
    return ""


@dataclass
class _Memory:
    """What is known of a tensor's memory, which several steps may share, while the steps are gone through in order."""

    is_input: bool = False
    """Whether the model's input lies there."""
    latest: int = THE_INPUT
    """The last step that reads one of those that share it."""
    reader: int | None = None
    """The first step that reads it and does not share it."""
    keeper: int | None = None
    """The first step that computes its gradient from what lies there."""


def _in_place(layer: Layer) -> bool:
    return bool(getattr(layer, "inplace", False))


def _keeps_output(layer: Layer) -> bool:
    """Return whether torch computes the layer's gradient from its output."""
    return layer.keeps_output or (_in_place(layer) and layer.keeps_output_in_place)
