"""The text of a spec with its values: reading, `--set` overrides, and the place of each value."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from zoo import catalog, notation
from zoo.errors import Path, Place, Problem, SpecError, UsageError
from zoo.nearest import nearest, suggestion
from zoo.notation import Unfit
from zoo.override import Refused, echo, put, read_override
from zoo.positions import Positions, positions

MAX_BYTES = 2**20  # a hundred times the largest spec a person writes


@dataclass(frozen=True)
class Source:
    """A document: its name, its text, and its values after the overrides."""

    origin: str
    text: str
    # JSON values; what they mean is the spec's to say.
    value: dict[str, Any]
    overridden: dict[Path, str] = field(default_factory=dict)
    base: Source | None = None
    """The document that this one extends."""
    aliases: dict[Path, Path] = field(default_factory=dict)
    """Where values are written that were put in from somewhere else, such as a template's layers."""

    @cached_property
    def _positions(self) -> Positions:
        return positions(self.text)

    def place(self, path: Path) -> Place:
        """Return where the value at `path` was written; the nearest enclosing value when it was not."""
        path = self._written(path)
        above = [known for known in self.overridden if known == path[: len(known)]]
        if above:  # the text there is not what counts
            return Place(self.overridden[max(above, key=len)])
        for length in range(len(path), -1, -1):
            place = self._own_place(path[:length])
            if place is not None:
                return place
        return Place(self.origin)

    def _written(self, path: Path) -> Path:
        """Return where the text has what stands at `path`."""
        for _ in range(notation.DEEPEST):
            known = (path[:n] for n in range(len(path), 0, -1) if path[:n] in self.aliases)
            # What is put in from below its own place, as one of a search's values is, stands there already.
            found = next((one for one in known if path[: len(self.aliases[one])] != self.aliases[one]), None)
            if found is None:
                break
            path = (*self.aliases[found], *path[len(found) :])
        return path

    def _own_place(self, path: Path) -> Place | None:
        """Return where exactly this value was written: by an override, here, or in the document it extends."""
        span = self._positions.spans.get(path)
        if span is not None and (path or self.base is None):
            return _place(self.origin, self.text, span.key, span.end)
        place = self.base._own_place(path) if self.base is not None else None
        below = [known for known in self.overridden if path and known[: len(path)] == path]
        return Place(self.overridden[below[0]]) if place is None and below else place

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
        UsageError: there is no such file and no such name, or something else than a file.
    """
    if not reference:
        raise UsageError("the name of the spec is empty", "name a .json file, or a spec that `zoo list` shows")
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
    if os.path.lexists(reference):
        what = "is no regular file" if os.path.exists(reference) else "is a link to nothing"
        raise UsageError(f"{echo(reference)} {what}", "name a .json file, or a spec that `zoo list` shows")
    raise UsageError(f"no such spec: {echo(reference)}", _meant(path))


def _meant(path: FilePath) -> str:
    """Return which spec a person probably meant; names are held together without their `.json`."""
    beside = [str(found) for found in path.parent.glob("*.json")] if path.parent.is_dir() else []
    known = [*beside, *catalog.names()] if path.suffix else [*catalog.names(), *beside]
    by_stem = {FilePath(name).stem: name for name in reversed(known)}  # the first of a stem stays
    found = nearest(path.stem, by_stem)
    return f'did you mean "{by_stem[found]}"?' if found is not None else suggestion("", known)


def read_source(reference: str, overrides: Sequence[str] = ()) -> Source:
    """Return the spec that `reference` names, with the overrides applied.

    Raises:
        UsageError: no such spec, or it cannot be read.
        SpecError: the text is not a JSON object, or an override does not fit it.
    """
    path = find_spec(reference)
    origin = str(path)
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            raw = file.read(MAX_BYTES + 1) or b""  # None where it would wait
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


def _without_waiting(path: str, flags: int) -> int:
    """Open a file whose reading must not wait, as that of some files of the system would."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has no such files


def _parse(origin: str, text: str) -> dict[str, Any]:
    try:
        value = notation.read(text)
    except json.JSONDecodeError as error:
        place = _place(origin, text, error.pos, error.pos + 1)
        raise SpecError((Problem(place, (), f"not JSON: {error.msg}", _json_remedy(text, error.pos)),)) from error
    except Unfit as error:
        place = _place(origin, text, error.start, error.end)
        raise SpecError((Problem(place, (), f"not a spec: {error}", error.remedy),)) from error
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


def _require_unsaid(path: Path, above: Mapping[Path, str]) -> None:
    """Refuse an override that would replace one before it.

    Raises:
        Refused: it would.
    """
    for known, said in above.items():
        if known == path:
            raise Refused(f"{said} says this option too", "keep one of them")
        if known[: len(path)] == path:
            raise Refused(f"{said} before it would be replaced", "write the whole first, and then its parts")


def override(source: Source, overrides: Sequence[str]) -> Source:
    """Return the document with each PATH=VALUE put in; missing objects on the way are made.

    Raises:
        SpecError: overrides are not PATH=VALUE, or lead through something else than an object or list; all of them.
    """
    # A deep copy of JSON values.
    value: dict[str, Any] = json.loads(json.dumps(source.value))
    overridden = dict(source.overridden)
    problems: list[Problem] = []
    above: dict[Path, str] = {}
    for text in overrides:
        said = f"--set {echo(text)}"
        try:
            keys, written = read_override(text)
            path = put(value, keys, written)
            _require_unsaid(path, above)
        except Refused as error:
            problems.append(Problem(Place(said), (), error.message, error.remedy))
            continue
        above[path] = said
        overridden = {known: origin for known, origin in overridden.items() if known[: len(path)] != path}
        overridden[path] = said
    if problems:
        raise SpecError(tuple(problems))
    return replace(source, value=value, overridden=overridden)
