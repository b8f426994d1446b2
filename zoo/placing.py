"""Placing: the layers of a spec laid out as numbered steps, each with its name, its inputs and its shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from zoo.errors import MOST_TOLD, Path, Problem, ShapeError, SizeError
from zoo.layers.layer import Layer, Tied, kind
from zoo.nearest import suggestion
from zoo.placed import THE_INPUT, PlacedLayer, first_of, judge_uses
from zoo.shapes import Shape, Value
from zoo.source import Source

MOST_STEPS = 10_000  # ten times the largest model people train; a Repeat of Repeats could stand for any number
MOST_TENSORS = 100_000  # a layer of many layers, such as an LSTM, could have any number
INPUT_ID = "input"
"""What `from` calls the model's input."""


@dataclass(frozen=True)
class _Speech:
    """How a message speaks of a layer and of what gives its inputs."""

    kind: str
    givers: tuple[str, ...]
    """For each input who gives it, with the verb."""
    owner: str = ""
    """How the composite is called that joins the inputs, where one does."""


class _Refused(Exception):
    """A layer refuses its input, so that nothing is known of what follows; its problem is written down."""


@dataclass
class Placer:
    """Lays out layers, and writes down the problems on the way."""

    source: Source
    input: Shape
    sizes: Mapping[str, int]
    """What named sizes stand for."""
    steps: list[PlacedLayer] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lacking: Mapping[str, str] = field(default_factory=dict)
    """What to write where the data has no size of a name, if there is more to say than the layer does."""
    _whole: tuple[tuple[Layer, ...], Path] = ((), ())
    """The layers of the model, and where they stand."""
    _tensors: int = 0
    _wrong_sizes: int = 0
    _scopes: list[dict[str, int]] = field(default_factory=lambda: [{INPUT_ID: THE_INPUT}])
    _spoken: dict[int, str] = field(default_factory=lambda: {THE_INPUT: "the data"})

    def place(self, layers: tuple[Layer, ...], path: Path) -> bool:
        """Lay out a whole model; return whether every layer has found its place."""
        self._whole = (layers, path)
        try:
            last = self.chain(layers, path, (), THE_INPUT)
        except _Refused:
            return False
        self.problems += judge_uses(self.steps, self.source, last)
        return True

    def chain(self, layers: tuple[Layer, ...], path: Path, names: tuple[str, ...], step: int) -> int:
        """Return the last step of `layers`, which stand at `path`, the first fed by `step`."""
        scope: dict[str, int] = {}
        self._scopes.append(scope)
        try:
            for index, layer in enumerate(layers):
                here, named = (path, ()) if layer.whole else ((*path, index), (*names, layer.id or str(index)))
                step = self._layer(layer, here, named, step)
                if layer.id is not None:
                    scope[layer.id] = step
        finally:
            self._scopes.pop()
        return step

    def _layer(self, layer: Layer, path: Path, names: tuple[str, ...], above: int) -> int:
        first = above if layer.above is None else self._find(layer.above, path)
        lay = getattr(layer, "lay", None)
        if lay is not None:
            step: int = lay(_Site(self, layer, path, names), first)
            self._spoken[step] = layer.id or f"{kind(layer)} above"
            return step
        return self.step(layer, path, names, (first, *(self._find(name, path) for name in layer.joined)))

    def step(
        self,
        declared: Layer,
        path: Path,
        names: tuple[str, ...],
        inputs: tuple[int, ...],
        speech: _Speech | None = None,
    ) -> int:
        """Return the number of a layer's step, fed by those of `inputs`; `speech` where a composite speaks for it."""
        if len(self.steps) >= MOST_STEPS:
            message = f"the model has more than {MOST_STEPS:,} layers"
            self._refuse(path, "type", message, "repeat fewer times")
        values = tuple(self.input if step == THE_INPUT else self.steps[step].result for step in inputs)
        try:
            layer = declared.with_sizes(self.sizes)
        except ShapeError as error:
            named = str(getattr(declared, error.option or "", None))
            self._refuse(path, error.option, error.message, self.lacking.get(named, error.remedy))
        said = speech or self._speech(declared, inputs)
        try:
            layer, result = self._inferred(layer, values, path, said)
        except ShapeError as error:
            self._refuse_input(path, error, said, values)
        self._tensors += len(layer.parameter_shapes(first_of(values[0])))
        if self._tensors > MOST_TENSORS:
            self._refuse(path, "type", f"the model has more than {MOST_TENSORS:,} tensors", "repeat fewer times")
        tied = self._tied(layer, path, first_of(values[0]))
        called = speech.owner if speech else declared.id or kind(declared)
        self.steps.append(PlacedLayer(".".join(names), layer, path, inputs, values, result, tied, called))
        step = len(self.steps) - 1
        self._spoken[step] = layer.id or f"{kind(layer)} above"
        return step

    def _inferred(self, layer: Layer, values: tuple[Value, ...], path: Path, speech: _Speech) -> tuple[Layer, Value]:
        """Return a layer with what comes out; where it says a wrong size of its input, told, without that option.

        Raises:
            ShapeError: it refuses its input for another reason.
        """
        try:
            return layer, layer.infer(values)
        except SizeError as error:
            self._wrong_sizes += 1
            with suppress(_Refused):
                self._refuse_input(path, error, speech, values)
            if _spot(self.problems[-1]) in map(_spot, self.problems[:-1]):
                del self.problems[-1]  # a Repeat or a template is laid out more than once
            if self._wrong_sizes >= MOST_TOLD:
                raise _Refused from error
            right = layer.model_copy(update={error.option: None})
            return right, right.infer(values)

    def _speech(self, layer: Layer, inputs: tuple[int, ...]) -> _Speech:
        return _Speech(kind(layer), tuple(f"{self._spoken[step]} gives" for step in inputs))

    def _refuse_input(self, path: Path, error: ShapeError, speech: _Speech, values: tuple[Value, ...]) -> NoReturn:
        """Write down what a layer needs, and what each of its inputs gives."""
        givers = dict.fromkeys(f"{gives} {shown(value)}" for gives, value in zip(speech.givers, values, strict=True))
        _, verb, what = error.message.partition(" needs ")
        message = f"{speech.kind}{verb}{what}" if speech.owner else error.message
        self._refuse(path, error.option or "type", f"{message}, but {' and '.join(givers)}", error.remedy)

    def _tied(self, layer: Layer, path: Path, given: Shape) -> int | None:
        """Return the step whose weight a layer uses as its own, after comparing the sizes."""
        if not isinstance(layer, Tied) or layer.tie is None:
            return None
        step = self._find(layer.tie, path, "tie")
        owner = self.steps[step] if step != THE_INPUT else None
        theirs = owner.layer.parameter_shapes(owner.input).get("weight") if owner else None
        own = layer.parameter_shapes(given).get("weight")
        if own is None or own != theirs:
            has = f"a weight of {list(theirs)}" if theirs else "no weight"
            needs = f"one of {list(own)}" if own else "none that can be tied"
            self._refuse(
                path,
                "tie",
                f"{layer.tie} has {has}, but {kind(layer)} needs {needs}",
                "name a layer that has one of these sizes, or remove tie",
            )
        return step

    def _refuse(self, path: Path, option: str, message: str, remedy: str) -> NoReturn:
        self.problems.append(self.source.problem((*path, option), message, remedy))
        raise _Refused

    def _find(self, name: str, path: Path, option: str = "from") -> int:
        for scope in reversed(self._scopes):  # the innermost wins
            if name in scope:
                return scope[name]
        known = [key for scope in self._scopes for key in scope]
        place = next(_places_of(name, *self._whole), None)
        remedy = suggestion(name, known)
        if place is None:
            self._refuse(path, option, f'no layer before this one has the id "{name}"', remedy)
        if len(place) > len(path):
            message = f'the layer "{name}" stands inside another one, which alone can name it'
            self._refuse(path, option, message, "give that one an id, and name it")
        where = "is this one itself" if place == path else "stands below this one"
        return self._refuse(path, option, f'the layer "{name}" {where}', f"name one above, or {remedy}")


def _spot(problem: Problem) -> object:
    """Return where a problem stands in the text; a value of --set has no other place than its path."""
    return problem.place if problem.place.line else problem.path


def nested(layer: Layer) -> Iterator[tuple[Path, tuple[Layer, ...]]]:
    """Yield each list of layers inside a composite, with its path below the composite."""
    if hasattr(layer, "lay"):
        for option in type(layer).model_fields:
            parts = getattr(layer, option)
            if isinstance(parts, tuple) and parts and all(isinstance(part, Layer) for part in parts):
                yield (option,), parts
            elif isinstance(parts, tuple) and parts and all(isinstance(part, tuple) for part in parts):
                yield from (((option, index), part) for index, part in enumerate(parts))


def _places_of(name: str, layers: tuple[Layer, ...], path: Path) -> Iterator[Path]:
    """Yield where layers of this id stand, those of the outer lists first."""
    yield from ((*path, index) for index, layer in enumerate(layers) if layer.id == name)
    for index, layer in enumerate(layers):
        for inner, parts in nested(layer):
            yield from _places_of(name, parts, (*path, index, *inner))


def shown(value: Value) -> str:
    """Return a shape, or the shapes of several tensors, as a message writes them."""
    if isinstance(value, Shape):
        return str(value)
    return f"[{', '.join(map(shown, value))}]"


@dataclass(frozen=True)
class _Site:
    """Where a composite lays out its layers."""

    placer: Placer
    layer: Layer
    path: Path
    names: tuple[str, ...]
    _givers: list[str] = field(default_factory=list)
    """What gave the end of each chain laid out, with the verb."""

    def chain(self, path: tuple[str | int, ...], names: tuple[str, ...], layers: tuple[Layer, ...], step: int) -> int:
        """Return the last step of `layers`, which stand at `path` below the composite."""
        where = ".".join(map(str, path))
        self._givers.append(
            (f"its {where} give" if where == "layers" else f"its {where} gives") if layers else "its input is"
        )
        return self.placer.chain(layers, (*self.path, *path), (*self.names, *names), step)

    def join(self, layer: Layer, steps: tuple[int, ...]) -> int:
        """Return the step of a layer that joins the ends of the chains laid out; it goes by the composite's name."""
        called = self.layer.id or kind(self.layer)
        speech = _Speech(kind(self.layer), tuple(self._givers), called)
        return self.placer.step(layer, self.path, self.names, steps, speech)
