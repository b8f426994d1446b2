"""Pydantic's errors in a person's words: the place, what was got, what to write."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, get_args

from pydantic_core import ErrorDetails, ValidationError

from zoo.errors import MOST_TOLD, Path, Problem
from zoo.habits import known_type, main_option, moved
from zoo.judges import MISSING, class_at, fitting_kinds, judges_at, kinds_of, options_of, value_at
from zoo.nearest import LONGEST_LIST, nearest, suggestion
from zoo.override import echo
from zoo.source import Source
from zoo.strict import Strict

_NOUNS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": "above {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "below {lt}",
    "less_than_equal": "{le} or less",
}


def problems_of(source: Source, error: ValidationError, root: type[Strict]) -> tuple[Problem, ...]:
    """Return one problem for each place that pydantic refuses, in the order of the text."""
    by_path: dict[Path, list[ErrorDetails]] = {}
    more = 0
    for detail in error.errors(include_url=False, include_input=False):
        if len(by_path) > MOST_TOLD:
            more += 1
            continue
        if detail["type"] == "too_short" and _long_enough(source.value, detail):
            continue  # pydantic counts only the members it accepts; the refused ones have problems of their own
        path = _path(source.value, detail)
        by_path.setdefault(path[:-1] if _short(detail) else path, []).append(detail)
    problems = [_problem(source, path, details, root) for path, details in by_path.items()]
    problems.sort(key=lambda problem: (problem.place.line, problem.place.column))
    if more:
        problems.append(source.problem((), f"{more:,} more problems", "mend the others first"))
    return tuple(problems)


def _path(document: object, detail: ErrorDetails) -> Path:
    """Return pydantic's location without the names of union members that it holds."""
    here: Any = document  # JSON values, walked by key
    path: list[str | int] = []
    location = detail["loc"]
    for index, step in enumerate(location):
        inside = isinstance(here, dict) and step in here
        at = isinstance(here, list) and isinstance(step, int) and step < len(here)
        absent = detail["type"] == "missing" and index == len(location) - 1
        if inside or at:
            here = here[step]
        if inside or at or absent:
            path.append(step)
    return tuple(path)


def _long_enough(document: object, detail: ErrorDetails) -> bool:
    value = value_at(document, _path(document, detail))
    return isinstance(value, list) and len(value) >= int(detail["ctx"]["min_length"])


def _short(detail: ErrorDetails) -> bool:
    """Return whether a list has a place for a value that is not there."""
    return detail["type"] == "missing" and isinstance(detail["loc"][-1], int)


def _problem(source: Source, path: Path, details: list[ErrorDetails], root: type[Strict]) -> Problem:
    detail = details[0]
    owner = path[:-1]
    name = str(path[-1]) if path else "the spec"
    match detail["type"]:
        case "missing" if not _short(detail):
            whose = _name_of(source, owner, root)
            remedy = f'write "{name}": …{_about(owner, name, source, root)}'
            return source.problem(owner, f'{whose} needs "{name}"', remedy)
        case "extra_forbidden":
            options = options_of(class_at(root, source.value, owner))
            message = f'{_name_of(source, owner, root)} has no option "{echo(name)}"'
            section, value = "".join(map(str, owner[:1])), value_at(source.value, path)
            habit = moved(section if len(owner) < 2 else "layer", options, name, value)
            return source.problem(path, message, habit or suggestion(name, options))
        case "union_tag_not_found":
            kinds = fitting_kinds(judges_at(root, source.value, path), value_at(source.value, path))
            listed = ", ".join(kinds[:LONGEST_LIST]) + (", …" if len(kinds) > LONGEST_LIST else "")
            remedy = f'write "type": "{kinds[0]}"' if len(kinds) == 1 else f'write "type": one of {listed}'
            return source.problem(path, f"{_described(source, path)} has no type", remedy)
        case "union_tag_invalid":
            kinds = kinds_of(judges_at(root, source.value, path))
            named = value_at(source.value, (*path, "type"))
            written = _shown(named)
            message = f"no {_described(source, path)} has the type {written}"
            return source.problem(
                (*path, "type"), message, suggestion(known_type(named, kinds) or written.strip('"'), kinds)
            )
        case "value_error":
            message, _, remedy = str(detail["ctx"]["error"]).partition("; ")
            return source.problem(_spoken_of(source.value, path, message), message, remedy)
    value = value_at(source.value, path)
    meant = _meant(value, details)
    if meant is not None:
        return source.problem(path, f"{_dotted(path)} is {_shown(value)}", f'did you mean "{meant}"?')
    wanted = " or ".join(dict.fromkeys(_wanted(detail) for detail in details))
    if wanted == _NOUNS["dict_type"]:
        kinds = kinds_of(judges_at(root, source.value, path))
        kind = known_type(value, kinds) or nearest(value, kinds) if isinstance(value, str) else None
        wanted = f'{{"type": "{kind}"}}' if kind is not None else main_option(name, value) or wanted
    wanted = _without_quotes(value, wanted) or wanted
    about = _about(owner, name, source, root) if detail["type"] == "string_pattern_mismatch" else ""
    return source.problem(path, f"{_dotted(path)} is {_shown(value)}", f"write {wanted}{about}")


def _spoken_of(document: object, path: Path, message: str) -> Path:
    """Return the path of the option with whose name a message about an object begins, where it is written."""
    value, word = value_at(document, path), message.partition(" ")[0]
    return (*path, word) if isinstance(value, dict) and word in value else path


def _wanted(detail: ErrorDetails) -> str:
    """Return what may stand in the place of a refused value."""
    kind, context = detail["type"], detail.get("ctx", {})
    if _short(detail):
        return f"a list of {int(detail['loc'][-1]) + 1}"
    if kind in _NOUNS:
        return _NOUNS[kind]
    if kind in _BOUNDS:
        bounds = {key: f"{value:,}" if isinstance(value, int) else f"{value:g}" for key, value in context.items()}
        return "a number " + _BOUNDS[kind].format(**bounds)
    if kind == "literal_error":
        return str(context["expected"]).replace("'", '"')
    if kind == "too_short":
        return f"a list of {context['min_length']} or more"
    if kind == "too_long":
        return f"a list of {context['max_length']} or fewer"
    if kind == "string_pattern_mismatch":
        return f"a string that matches {context['pattern']}"
    if kind in ("string_too_long", "string_too_short"):
        bound = "at most {max_length}" if "max_length" in context else "at least {min_length}"
        return f"a string of {bound.format(**context)} characters"
    return f"something else: {detail['msg']}"


def _without_quotes(value: object, wanted: str) -> str | None:
    """Return how a string is written as the number, or the truth, that is wanted; None where it says another thing."""
    try:
        said = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if isinstance(said, float) and not isfinite(said):
        return None
    truth = isinstance(said, bool)
    fits = truth if "true" in wanted else isinstance(said, int if "whole" in wanted else int | float) and not truth
    return f"{value}, without quotes" if fits and ("number" in wanted or truth) else None


def _meant(value: object, details: list[ErrorDetails]) -> str | None:
    """Return the word that a person probably meant, where words may stand."""
    words = [detail["ctx"]["expected"] for detail in details if detail["type"] == "literal_error"]
    known = [word for several in words for word in re.findall(r"'([^']*)'", several)]
    return nearest(value, known) if isinstance(value, str) else None


def _shown(value: object) -> str:
    """Return a value as the spec writes it, cut short."""
    if value is MISSING:
        return "absent"
    return _shortened(json.dumps(value, ensure_ascii=False))


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def _dotted(path: Path) -> str:
    return ".".join(echo(str(step)) for step in path) or "the spec"


def _described(source: Source, path: Path) -> str:
    """Return what stands at `path`: "layer" in layers, else the key."""
    last = path[-1] if path else "spec"
    if isinstance(last, int) and len(path) > 1:
        return str(path[-2]).removesuffix("s")
    return str(last)


def _name_of(source: Source, path: Path, root: type[Strict]) -> str:
    """Return how a person calls the object at `path`: its type, or its key."""
    model = class_at(root, source.value, path)
    if model is not None and "type" in model.model_fields:
        return model.__name__
    if model is not None and "search" in model.model_fields:
        return str(get_args(model.model_fields["search"].annotation)[0])
    return _dotted(path)


def _about(owner: Path, name: str, source: Source, root: type[Strict]) -> str:
    """Return the start of the option's documentation, in brackets."""
    from zoo.strict import field_docstrings

    model = class_at(root, source.value, owner)
    if model is None:
        return ""
    keys = {field.alias or key: key for key, field in model.model_fields.items()}
    text = field_docstrings(model).get(keys.get(name, name), "")
    return f" ({text.splitlines()[0].rstrip('.')})" if text else ""
