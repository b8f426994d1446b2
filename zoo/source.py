"""The text of a spec with its values: reading, `--set` overrides, and the place of each value.

An override is written PATH=VALUE: dots between the keys, numbers for list positions, and a VALUE in JSON; what is not
JSON is taken as a string.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, NoReturn

from zoo import catalog
from zoo.errors import Path, Place, Problem, SpecError, UsageError
from zoo.nearest import suggestion
from zoo.positions import Positions, positions

MAX_BYTES = 2**20  # a hundred times the largest spec a person writes
DEEPEST = 50  # levels of an override
LONGEST_INTEGER = 40  # digits; 64 bits need 19


@dataclass(frozen=True)
class Source:
    """A document: its name, its text, and its values after the overrides."""

    origin: str
    text: str
    # JSON values; what they mean is the spec's to say.
    value: dict[str, Any]
    overridden: dict[Path, str] = field(default_factory=dict)

    @cached_property
    def _positions(self) -> Positions:
        return positions(self.text)

    def place(self, path: Path) -> Place:
        """Return where the value at `path` was written; the nearest enclosing value when it was not."""
        for length in range(len(path), -1, -1):
            prefix = path[:length]
            if prefix in self.overridden:
                return Place(self.overridden[prefix])
            span = self._positions.spans.get(prefix)
            if span is not None:
                return _place(self.origin, self.text, span.key, span.end)
        return Place(self.origin)

    def problem(self, path: Path, message: str, remedy: str) -> Problem:
        """Return a problem of the value at `path`."""
        return Problem(self.place(path), path, message, remedy)


def _place(origin: str, text: str, start: int, end: int) -> Place:
    """Return the stretch from `start` to `end`, or to the end of its first line."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    return Place(
        origin,
        text.count("\n", 0, start) + 1,
        start - line_start + 1,
        text[line_start:line_end],
        max(1, min(end, line_end) - start),
    )


def find_spec(reference: str) -> FilePath:
    """Return the file a person means by `reference`: a path, or the name of a spec of the zoo.

    Raises:
        UsageError: there is no such file and no such name.
    """
    path = FilePath(reference)
    if path.is_file():
        return path
    if path.is_dir():
        raise UsageError(
            f"{reference} is a directory, not a spec", "name a .json file, or a spec that `zoo list` shows"
        )
    named = catalog.path_of(reference)
    if named is not None:
        return named
    beside = [str(found) for found in path.parent.glob("*.json")] if path.parent.is_dir() else []
    raise UsageError(f"no such spec: {reference}", suggestion(reference, [*beside, *catalog.names()]))


def read_source(reference: str, overrides: Sequence[str] = ()) -> Source:
    """Return the spec that `reference` names, with the overrides applied.

    Raises:
        UsageError: no such spec, or it cannot be read.
        SpecError: the text is not a JSON object, or an override does not fit it.
    """
    path = find_spec(reference)
    origin = str(path)
    try:
        raw = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        raise UsageError(f"cannot read {origin}: {error.strerror}", "check the file's permissions") from error
    if len(raw) > MAX_BYTES:
        raise UsageError(
            f"{origin} is larger than {MAX_BYTES:,} bytes", "a spec is a short text; is this the right file?"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{origin} is not UTF-8: byte {error.start} is invalid", "save the file as UTF-8") from error
    return override(Source(origin, text, _parse(origin, text)), overrides)


def _parse(origin: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refuse_number, parse_float=_finite, parse_int=_whole)
    except json.JSONDecodeError as error:
        place = _place(origin, text, error.pos, error.pos + 1)
        raise SpecError((Problem(place, (), f"not JSON: {error.msg}", _json_remedy(text, error.pos)),)) from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        place = _place_of_number(origin, text, reason)
        raise SpecError(
            (Problem(place, (), f"not a spec: {reason}", "write finite numbers and few levels"),)
        ) from error
    source = Source(origin, text, value if isinstance(value, dict) else {})
    if not isinstance(value, dict):
        remedy = 'write an object: {"name": …, "data": …, "model": …}'
        raise SpecError((source.problem((), "a spec is a JSON object", remedy),))
    twice = positions(text).duplicates
    if twice:
        raise SpecError(
            tuple(
                Problem(
                    _place(origin, text, span.key, span.end), path, f'"{path[-1]}" stands twice', "keep one of them"
                )
                for path, span in twice
            )
        )
    _refuse_surrogates(source)
    return source.value


def _refuse_number(token: str) -> NoReturn:
    raise ValueError(f"{token} is not a number of JSON")


def _finite(token: str) -> float:
    number = float(token)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{token} is too large for a number")
    return number


def _whole(token: str) -> int:
    if len(token) > LONGEST_INTEGER:
        raise ValueError(f"{token[:LONGEST_INTEGER]}… is too large for a number")
    return int(token)


def _place_of_number(origin: str, text: str, reason: str) -> Place:
    """Return the place of the token that `reason` begins with; the top of the text when there is none."""
    token = reason.partition(" ")[0].rstrip("…")
    start = text.find(token)
    return _place(origin, text, max(0, start), max(0, start) + len(token)) if start >= 0 else _place(origin, text, 0, 1)


def _refuse_surrogates(source: Source) -> None:
    try:
        json.dumps(source.value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        problem = source.problem((), "a string holds half of a surrogate pair", "write whole characters")
        raise SpecError((problem,)) from error


def _json_remedy(text: str, position: int) -> str:
    before = text[:position].rstrip()
    following = text[position : position + 1]
    if following == "'":
        return 'write double quotes: "…"'
    if text[position : position + 2] in ("//", "/*") or following == "#":
        return 'JSON has no comments; put prose into "summary"'
    if before.endswith(",") and following in ("}", "]"):
        return f"remove the comma before {following}"
    if following in ("", "}", "]"):
        return "the text ends too early, or a value is missing here"
    if following == '"' and before[-1:] not in (",", "{", "[", ":"):
        return "put a comma before this"
    return "write valid JSON here"


def override(source: Source, overrides: Sequence[str]) -> Source:
    """Return the document with each PATH=VALUE put in; missing objects on the way are made.

    Raises:
        UsageError: an override is not PATH=VALUE, or its path leads through something else than an object or list.
    """
    # A deep copy of JSON values.
    value: dict[str, Any] = json.loads(json.dumps(source.value))
    overridden = dict(source.overridden)
    for text in overrides:
        dotted, equals, written = text.partition("=")
        if not equals or not dotted.strip("."):
            raise UsageError(f"--set {text!r} is not PATH=VALUE", "write for example --set train.epochs=3")
        if dotted.count(".") > DEEPEST:
            raise UsageError(f"--set {dotted[:40]}…: more than {DEEPEST} levels", "a spec is not that deep")
        path = _put(value, dotted, _override_value(written), text)
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise UsageError(f"--set {text!r} is not Unicode", "write whole characters in UTF-8") from error
        overridden[path] = f"--set {text}"
    return Source(source.origin, source.text, value, overridden)


def _override_value(written: str) -> object:
    try:
        value: object = json.loads(written, parse_constant=_refuse_number, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError):
        return written
    return value


def _put(document: dict[str, Any], dotted: str, value: object, text: str) -> Path:
    # JSON containers, walked by key.
    here: Any = document
    path: list[str | int] = []
    keys = dotted.split(".")
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        step: str | int = key
        if isinstance(here, list):
            if not key.isdecimal() or int(key) >= len(here):
                remedy = f"write a position from 0 to {len(here) - 1}" if here else "the list is empty"
                raise UsageError(f"--set {text}: {'.'.join(keys[:depth])} is a list and has no {key!r}", remedy)
            step = int(key)
        elif not isinstance(here, dict):
            remedy = f"{'.'.join(keys[:depth])} is a value without parts; set it as a whole"
            raise UsageError(f"--set {text}: nothing below {'.'.join(keys[:depth])}", remedy)
        path.append(step)
        if last:
            here[step] = value
        elif isinstance(here, dict):
            here = here.setdefault(key, {})
        else:
            here = here[step]
    return tuple(path)
