"""Search: values that `zoo tune` draws, {"search": "log_uniform", "low": 1e-5, "high": 0.1} where a number may stand.

A document with searches is no spec. With a value in the place of each it is one, and is judged as any other; what is
put in keeps its place in the text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self, get_args

from pydantic_core import ValidationError

from zoo.choice import frozen
from zoo.diagnosis import problems_of
from zoo.errors import MOST_TOLD, Path, Problem, SpecError
from zoo.nearest import suggestion
from zoo.override import echo
from zoo.source import Source
from zoo.strict import Count, Field, Integer, Number, Positive, Strict, model_validator

KEY = "search"
TABLES = frozenset({"blocks", "defaults", "categories", "statistics", "rename"})
"""Objects whose keys are a person's own names; one of them may be "search"."""
MOST_SEARCHES = 100
MOST_CHECKS = 300  # of one document, a few milliseconds each
_OTHER_ROWS = "a search here would measure each trial on other rows"
_UNFIT: dict[Path, str] = {
    ("name",): "a search here changes no training",
    ("summary",): "a search here changes no training",
    ("$schema",): "a search here changes no training",
    ("data", "seed"): _OTHER_ROWS,
    ("data", "validation"): _OTHER_ROWS,
}
"""Where a search makes no sense, and why."""


class _Numbers(Strict):
    """What the searches between two numbers share."""

    low: Number
    """The least value."""
    high: Number
    """The largest value."""

    @model_validator(mode="after")
    def _low_below_high(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g}, and high is {self.high:g}; write a low below high")
        return self

    def extremes(self) -> tuple[float, ...]:
        """Return the values that are checked before any is drawn."""
        return (self.low, self.high)


class Uniform(_Numbers):
    """A number from low to high, each as likely."""

    search: Literal["uniform"]


class LogUniform(_Numbers):
    """A number from low to high, each order of magnitude as likely."""

    search: Literal["log_uniform"]
    low: Positive
    """The least value."""
    high: Positive
    """The largest value."""


class Whole(_Numbers):
    """A whole number from low to high, each as likely."""

    search: Literal["int"]
    low: Integer
    """The least value."""
    high: Integer
    """The largest value."""
    step: Count = 1
    """The distance of two values."""

    @model_validator(mode="after")
    def _steps_reach_high(self) -> Self:
        rest = (self.high - self.low) % self.step
        if rest:
            reached = self.high - rest
            meant = f"write {reached} for high" if reached > self.low else "write a smaller step"
            raise ValueError(f"steps of {self.step} from {self.low} never come to {self.high}; {meant}")
        return self


class LogWhole(_Numbers):
    """A whole number from low to high, each order of magnitude as likely."""

    search: Literal["log_int"]
    low: Count
    """The least value."""
    high: Count
    """The largest value."""


class Choice(Strict):
    """One of some values: numbers, words, lists, or objects such as optimizers, with searches inside them."""

    search: Literal["choice"]
    values: Annotated[tuple[Any, ...], Field(min_length=2, max_length=100)]
    """What is chosen from."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        texts = [json.dumps(value) for value in self.values]
        twice = next((text for text in texts if texts.count(text) > 1), None)
        if twice is not None:
            raise ValueError(f"values has {echo(twice)} twice; keep one of them")
        return self

    def extremes(self) -> tuple[int, ...]:
        """Return the position of each value."""
        return tuple(range(len(self.values)))


Space = Uniform | LogUniform | Whole | LogWhole | Choice
"""What a search draws from."""
KINDS: dict[str, type[Space]] = {
    get_args(kind.model_fields[KEY].annotation)[0]: kind for kind in (Uniform, LogUniform, Whole, LogWhole, Choice)
}
Spaces = Mapping[Path, Space]
"""The searches of a document, by where they are written."""
Draw = Callable[[Path, Space], float]
"""Returns a value for the search at a path: a number, or the position of one of a choice's values."""


def dotted(path: Path) -> str:
    """Return a path as `--set` takes it."""
    return ".".join(map(str, path))


def find(source: Source) -> Spaces:
    """Return the searches of a document.

    Raises:
        SpecError: searches are wrong, stand where they make no sense, or are too many; all of them.
    """
    spaces: dict[Path, Space] = {}
    problems: list[Problem] = []
    for path, value in _written(source.value, ()):
        if path in _UNFIT:
            problems.append(source.problem(path, _UNFIT[path], f"write one value for {dotted(path)}"))
        elif len(problems) < MOST_TOLD:
            try:
                spaces[path] = _judged(source, path, value)
            except SpecError as error:
                problems += error.problems
    checks = 1 + sum(len(space.extremes()) - 1 for space in spaces.values())
    if len(spaces) > MOST_SEARCHES:
        message = f"{len(spaces):,} searches are more than the {MOST_SEARCHES} that can be told apart by trials"
        problems.append(source.problem(list(spaces)[MOST_SEARCHES], message, "write numbers for the others"))
    elif checks > MOST_CHECKS:
        message = f"the searches have {checks:,} values to check; {MOST_CHECKS} are the most"
        problems.append(source.problem(next(iter(spaces)), message, "write fewer values"))
    if problems:
        raise SpecError(tuple(problems))
    return spaces


# Any: a JSON value.
def _written(value: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each search with where it is written, those inside a choice behind it."""
    if isinstance(value, list):
        for index, part in enumerate(value):
            if isinstance(part, dict | list):
                yield from _written(part, (*path, index))
    elif isinstance(value, dict):
        if KEY in value and "type" not in value and path and path[-1] not in TABLES:
            yield path, value
        for key, part in value.items():
            if isinstance(part, dict | list):
                yield from _written(part, (*path, key))


# Any: a JSON value.
def _judged(source: Source, path: Path, value: dict[str, Any]) -> Space:
    """Return what the search at `path` draws from.

    Raises:
        SpecError: it is wrong.
    """
    kind = value[KEY]
    if not isinstance(kind, str) or kind not in KINDS:
        shown = echo(json.dumps(kind, ensure_ascii=False))
        remedy = suggestion(kind if isinstance(kind, str) else "", KINDS)
        raise SpecError((source.problem((*path, KEY), f"no search is called {shown}", remedy),))
    try:
        return KINDS[kind].model_validate(frozen(value))
    except ValidationError as error:
        alone = problems_of(Source(source.origin, "", value), error, KINDS[kind])
        placed = (source.problem((*path, *problem.path), problem.message, problem.remedy) for problem in alone)
        raise SpecError(tuple(placed)) from error


def unset(source: Source) -> tuple[Problem, ...]:
    """Return a problem for each value of a document that is still a search.

    Raises:
        SpecError: as `find`.
    """
    spaces = find(source)
    outer = [path for path in spaces if not any(path[:n] in spaces for n in range(len(path)))]
    remedy = "run it with zoo tune, or write a value: --set {}=VALUE"
    return tuple(source.problem(path, f"{dotted(path)} is a search", remedy.format(dotted(path))) for path in outer)


def drawn(source: Source, spaces: Spaces, draw: Draw) -> Source:
    """Return the document with a value in the place of each search."""
    aliases: dict[Path, Path] = {}

    # Any: JSON values.
    def put(value: Any, written: Path, path: Path) -> Any:
        space = spaces.get(written)
        if isinstance(space, Choice):
            inside: Path = (*written, "values", int(draw(written, space)))
            aliases[path] = inside
            return put(value["values"][inside[-1]], inside, path)
        if space is not None:
            number = draw(written, space)
            bound = {space.low: "low", space.high: "high"}.get(number)
            aliases[path] = (*written, bound) if bound is not None else written
            return number
        if isinstance(value, list):
            return [put(part, (*written, index), (*path, index)) for index, part in enumerate(value)]
        if isinstance(value, dict):
            return {key: put(part, (*written, key), (*path, key)) for key, part in value.items()}
        return value

    # A search put in where it is written needs no alias, and an alias to itself would never end.
    value = put(source.value, (), ())
    kept = {path: written for path, written in aliases.items() if path != written}
    return replace(source, value=value, aliases={**source.aliases, **kept})


def points(source: Source, spaces: Spaces) -> Iterator[Source]:
    """Yield the document with the first value of each search, and then with each other extreme, one at a time."""
    first = {path: space.extremes()[0] for path, space in spaces.items()}
    yield drawn(source, spaces, lambda path, space: first[path]) if spaces else source
    for path, space in spaces.items():
        for value in space.extremes()[1:]:
            fixed = {**first, **_chosen(path, spaces), path: value}
            # type: mypy gives a lambda's default no type.
            yield drawn(source, spaces, lambda path, space, fixed=fixed: fixed[path])  # type: ignore[misc]


def _chosen(path: Path, spaces: Spaces) -> dict[Path, float]:
    """Return the positions in the choices around `path` with which it counts."""
    around = (path[:n] for n in range(len(path)) if path[:n] in spaces)
    return {outer: int(path[len(outer) + 1]) for outer in around}
