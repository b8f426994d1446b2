"""Judges: which class of the language, or which choice between classes, judges a place in a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from zoo.choice import Choice
from zoo.errors import Path
from zoo.strict import Strict

MISSING = object()
"""What stands where nothing is written."""

Judge = type[Strict] | Choice


def value_at(document: object, path: Path) -> object:
    """Return what stands at `path`; MISSING where nothing does."""
    here: Any = document  # JSON values, walked by key
    for step in path:
        if isinstance(here, dict):
            here = here.get(step, MISSING)
        elif isinstance(here, list) and isinstance(step, int):
            here = here[step]
    return here


def options_of(model: type[Strict] | None) -> list[str]:
    """Return the options of a class as a spec writes them; none of no class."""
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def kinds_of(judges: Iterable[Judge]) -> list[str]:
    """Return the types that may be written where these judge."""
    return [name for judge in judges if isinstance(judge, Choice) for name in judge.names]


def fitting_kinds(judges: Iterable[Judge], value: object) -> list[str]:
    """Return the types that have all the options of an object; all types where none has."""
    choices = [judge for judge in judges if isinstance(judge, Choice)]
    options = set(value) if isinstance(value, dict) else set()
    fitting = [name for choice in choices for name in choice.names if options <= set(options_of(choice.load(name)))]
    return fitting or kinds_of(choices)


def class_at(root: type[Strict], document: object, path: Path) -> type[Strict] | None:
    """Return the class that judges the object at `path`."""
    value = value_at(document, path)
    found = []
    for judge in judges_at(root, document, path):
        model = judge.class_of(value) if isinstance(judge, Choice) else judge
        found += [model] if model is not None else []
    return found[0] if len(found) == 1 else None


def judges_at(root: type[Strict], document: object, path: Path) -> tuple[Judge, ...]:
    """Return what judges the object at `path`: classes, and choices between classes."""
    if not path:
        return (root,)
    if isinstance(path[-1], int):
        return judges_at(root, document, path[:-1])
    owner = class_at(root, document, path[:-1])
    fields = {} if owner is None else {field.alias or name: field for name, field in owner.model_fields.items()}
    declared = fields.get(path[-1])
    if declared is None:
        # A key of a table such as `blocks`: the table's own members judge it.
        return judges_at(root, document, path[:-1]) if owner is None and len(path) > 1 else ()
    marks = tuple(mark for mark in declared.metadata if isinstance(mark, Choice))
    return marks or tuple(_judges(declared.annotation))


def _judges(annotation: object) -> Iterator[Judge]:
    """Yield the classes and choices inside an annotation: of unions, tuples and Annotated."""
    parts = get_args(annotation)
    marks = [part for part in (*parts, annotation) if isinstance(part, Choice)]
    if marks:
        yield from marks
        return
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        yield annotation
    for part in parts:
        yield from _judges(part)
