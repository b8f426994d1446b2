"""Outline: a model as a person draws it: boxes and frames in a row, repeated ones once, deep ones closed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from zoo.checked import CheckedSpec
from zoo.errors import Path
from zoo.layers.layer import Layer, kind
from zoo.origins import dotted, implied
from zoo.placed import THE_INPUT, PlacedLayer
from zoo.placing import nested, shown

MOST_BOXES = 48  # what one page shows legibly
_JOINS = {"Add": "+", "Multiply": "×", "Concat": "cat"}
_PLAIN = {"from", "id", "in_features", "out_channels", "out_features", "type"}
"""Options that a box says already, with its name and its shape."""


@dataclass(frozen=True)
class Item:
    """A box, or a frame with columns of items; two are equal when one drawing stands for both."""

    title: str
    family: str
    """The file that declares the layer: what kind of work it does."""
    shape: str
    """What comes out."""
    options: str = ""
    """Those that are not default."""
    columns: tuple[tuple[Item, ...], ...] = ()
    """What stands inside a frame; several columns part at its top and meet at its bottom; an empty one is a skip."""
    join: str = ""
    """The sign at which the columns meet."""
    times: int = 1
    """How many equal ones follow one another."""
    detached: bool = False
    """Whether the item above is not its input."""
    name: str = field(default="", compare=False)
    steps: frozenset[int] = field(default=frozenset(), compare=False)
    """The steps that the item stands for, those inside it and its repetitions too."""
    result: int = field(default=THE_INPUT, compare=False)
    """The step whose output leaves the item."""
    bound: bool = False
    """Whether another layer names this one, or it names another: it stands for itself alone."""

    @property
    def boxes(self) -> int:
        """Return how many boxes are drawn."""
        return sum(item.boxes for column in self.columns for item in column) if self.columns else 1


@dataclass(frozen=True)
class Outline:
    """The drawing of a model before it has places on a page."""

    input: str
    items: tuple[Item, ...]
    links: tuple[tuple[int, int], ...]
    """Steps whose output goes to another step than the one below."""


def outline(checked: CheckedSpec) -> Outline:
    """Return the model's outline, opened as deep as a page allows; what has no room is closed, templates first."""
    layers, below = checked.spec.model.parts()
    path: Path = ("model", *below)
    deepest = _depth(layers)
    for depth, once in ((deepest, False), *((depth, True) for depth in range(deepest, -1, -1))):
        reader = _Reader(checked, once)
        items = reader.items(layers, path, depth)
        if sum(item.boxes for item in items) <= MOST_BOXES:
            break
    return Outline(str(checked.input), items, tuple(reader.links()))


def _depth(layers: Sequence[Layer]) -> int:
    return max((_own_depth(layer) + _depth(parts) for layer in layers for _, parts in nested(layer)), default=0)


def _own_depth(layer: Layer) -> int:
    """Return 0 for what only groups or repeats, 1 for what parts and joins."""
    return int(kind(layer) not in ("Block", "Repeat"))


class _Reader:
    """Turns layers into items, looking up their steps."""

    def __init__(self, checked: CheckedSpec, once: bool) -> None:
        self.steps, self.counts = checked.layers, checked.parameter_counts
        self.once = once
        """Whether a template is opened only where it stands first."""
        self.opened: set[str] = set()
        self.copies = 1
        """How often the layers at hand are repeated by what they stand in."""
        self.below: dict[Path, list[int]] = {}
        for number, placed in enumerate(self.steps):
            for length in range(len(placed.path) + 1):
                self.below.setdefault(placed.path[:length], []).append(number)
        self.named = {name for placed in self.steps for name in (*placed.layer.joined, placed.layer.above) if name}

    def links(self) -> Iterator[tuple[int, int]]:
        """Yield the connections that the spec names by id."""
        for number, placed in enumerate(self.steps):
            joined = len(placed.layer.joined)
            first = placed.inputs if placed.layer.above is not None else placed.inputs[1:]
            if placed.layer.above is not None or joined:
                yield from ((step, number) for step in first)

    def items(self, layers: Sequence[Layer], path: Path, depth: int) -> tuple[Item, ...]:
        """Return the items of a chain, equal neighbours as one."""
        found: list[Item] = []
        for index, layer in enumerate(layers):
            item = self.item(layer, (*path, index), depth)
            last = found[-1] if found else None
            if last is not None and not (item.bound or last.bound) and replace(last, times=item.times) == item:
                times, steps = last.times + item.times, last.steps | item.steps
                found[-1] = replace(item, times=times, steps=steps, name=last.name)
            else:
                found.append(item)
        return tuple(found)

    def item(self, layer: Layer, path: Path, depth: int) -> Item:
        """Return the item of one layer, opened where there is depth left."""
        numbers = self.below.get(path, [])
        lists = list(nested(layer))
        bound = layer.id in self.named or layer.above is not None or bool(layer.joined)
        item = Item(
            self._title(layer),
            type(layer).__module__.rpartition(".")[2],
            shown(self.steps[numbers[-1]].result) if numbers else "",
            name=self._name(layer, numbers),
            steps=frozenset(numbers),
            result=numbers[-1] if numbers else THE_INPUT,
            detached=layer.above is not None,
            bound=bound,
        )
        if not lists:
            return replace(item, options=_options(layer, self.steps[numbers[-1]]) if numbers else "")
        times = int(getattr(layer, "times", 1))
        if depth < _own_depth(layer) or (self.once and self._title(layer) in self.opened):
            return replace(item, options=self._inside(numbers), times=times)
        self.copies *= times
        columns = tuple(self.items(parts, (*path, *inner), depth - _own_depth(layer)) for inner, parts in lists)
        self.copies //= times
        if kind(layer) == "Block":
            self.opened.add(self._title(layer))
        own = [number for number in numbers if self.steps[number].path == path]
        join = _JOINS.get(kind(self.steps[own[-1]].layer), "•") if own else ""
        if join and len(columns) == 1:
            columns = (*columns, ())
        return _simplified(replace(item, columns=columns, join=join, times=times))

    def _inside(self, numbers: list[int]) -> str:
        """Return what a closed composite holds: its steps in one copy, and their parameters."""
        one = numbers[-(len(numbers) // self.copies) :]
        count = len(one)
        return f"{count} step{'' if count == 1 else 's'} · {sum(self.counts[n] for n in one):,} parameters"

    def _title(self, layer: Layer) -> str:
        return f"{getattr(layer, 'name', '')}" if kind(layer) == "Block" else kind(layer)

    def _name(self, layer: Layer, numbers: list[int]) -> str:
        if layer.id is not None:
            return layer.id
        return self.steps[numbers[0]].name if numbers and not list(nested(layer)) else ""


def _simplified(item: Item) -> Item:
    """Return the item without a frame around a single item: a Repeat of one layer is that layer, several times."""
    if item.join or len(item.columns) != 1 or len(item.columns[0]) != 1 or item.bound:
        return item
    (inner,) = item.columns[0]
    if item.times > 1 and inner.times > 1:
        return item
    title = inner.title if item.title == "Repeat" else f"{item.title}: {inner.title}"
    return replace(
        inner, title=title, times=item.times * inner.times, steps=item.steps, result=item.result, name=inner.name
    )


def _options(layer: Layer, placed: PlacedLayer) -> str:
    """Return the options that a person wrote and that the shape does not tell."""
    follows = implied(placed)
    said = []
    for name, declared in type(layer).model_fields.items():
        value = getattr(layer, name)
        option = declared.alias or name
        if option not in _PLAIN and option not in follows and value != declared.default and value is not None:
            said.append(f"{dotted((option,))} {_brief(value)}")
    return " · ".join(said)


def _brief(value: object) -> str:
    if isinstance(value, tuple):
        return "×".join(map(_brief, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)
