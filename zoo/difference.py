"""Difference: what two specs mean differently. How they are written does not count: defaults, order, prose.

Layers are aligned as lines are by diff, so that an inserted layer is one difference and not one for each layer below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path as FilePath
from typing import Any

from zoo.check import check_file
from zoo.checked import CheckedSpec
from zoo.errors import Path
from zoo.origins import dotted, implied, leaves

PROSE = ("$schema", "summary", "extends")
"""Options that say nothing of the model."""


class Absent:
    """Stands for a value that one of the two specs does not have."""

    def __repr__(self) -> str:
        return "–"


ABSENT = Absent()


@dataclass(frozen=True)
class Change:
    """One value that differs."""

    path: Path
    """In the first spec; in the second where the first has no such value."""
    other: Path
    """In the second spec."""
    # Any: JSON values, or ABSENT.
    first: Any
    second: Any

    @property
    def name(self) -> str:
        """Return the path; both where a layer has moved."""
        return dotted(self.path) if self.path == self.other else f"{dotted(self.path)} → {dotted(self.other)}"

    def record(self) -> dict[str, object]:
        """Return the change as JSON values; a side that has no value is left out."""
        sides = {"first": self.first, "second": self.second}
        paths = {"path": dotted(self.path), "path_in_second": dotted(self.other)}
        return paths | {side: value for side, value in sides.items() if value is not ABSENT}


@dataclass(frozen=True)
class Difference:
    """All that differs between two specs."""

    changes: tuple[Change, ...]
    """Of what the model is."""
    whereabouts: tuple[Change, ...]
    """Of where the data lies."""

    @property
    def same(self) -> bool:
        """Return whether the two are the same model."""
        return not self.changes

    def verdict(self) -> str:
        """Return the outcome in one line."""
        if not self.same:
            count = len(self.changes)
            return f"{count} difference{'' if count == 1 else 's'}"
        return "the same model" + (", but its data lies elsewhere" if self.whereabouts else "")

    def record(self) -> dict[str, object]:
        """Return the difference as JSON values."""
        return {
            "same": self.same,
            "changes": [change.record() for change in self.changes],
            "whereabouts": [change.record() for change in self.whereabouts],
        }


def compare_files(first: str, second: str) -> Difference:
    """Return what two specs, named by path, by the folder of a run, or by name, mean differently.

    Raises:
        UsageError: there is no such spec.
        SpecError: one of them has problems.
    """
    return compare(check_file(_spec_of(first)), check_file(_spec_of(second)))


def _spec_of(reference: str) -> str:
    inside = FilePath(reference) / "spec.json"
    return str(inside) if inside.is_file() else reference


def compare(first: CheckedSpec, second: CheckedSpec) -> Difference:
    """Return what two specs mean differently."""
    sizes = first.example.sizes, second.example.sizes
    found = list(_compare(_meaning(first), _meaning(second), (), (), sizes))
    lies = {("data", option) for spec in (first.spec, second.spec) for option in spec.data.whereabouts}
    return Difference(
        tuple(change for change in found if change.path not in lies),
        tuple(change for change in found if change.path in lies),
    )


def _meaning(checked: CheckedSpec) -> dict[str, Any]:
    """Return the document without prose, and without the sizes that follow from the shapes."""
    document = {key: value for key, value in checked.spec.document().items() if key not in PROSE}
    for placed in checked.layers:
        layer = _at(document, placed.path)
        if isinstance(layer, dict):
            for option in implied(placed):
                layer.pop(option, None)
    return document


# Any: a JSON value.
def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


_Sizes = tuple[dict[str, int], dict[str, int]]


# Any: JSON values, or ABSENT.
def _compare(first: Any, second: Any, path: Path, other: Path, sizes: _Sizes) -> Iterator[Change]:
    if _same(first, second, sizes):
        return
    if isinstance(first, dict) and isinstance(second, dict):
        for key in [*first, *(key for key in second if key not in first)]:
            parts = first.get(key, ABSENT), second.get(key, ABSENT)
            yield from _compare(*parts, (*path, key), (*other, key), sizes)
    elif _objects(first) and _objects(second):
        yield from _compare_lists(first, second, path, other, sizes)
    else:
        yield Change(path, other, first, second)


# Any: as _compare.
def _same(first: Any, second: Any, sizes: _Sizes) -> bool:
    """Return whether two values mean the same: `1.0` is `1`, `true` is not; a name is the size it stands for."""
    if isinstance(first, str) and isinstance(second, int) and not isinstance(second, bool):
        return sizes[0].get(first) == second
    if isinstance(second, str) and isinstance(first, int) and not isinstance(first, bool):
        return sizes[1].get(second) == first
    return bool(first == second) and _key(first) == _key(second)


# Any: a JSON value.
def _objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, dict | list) for part in value)


def _compare_lists(
    first: Sequence[Any], second: Sequence[Any], path: Path, other: Path, sizes: _Sizes
) -> Iterator[Change]:
    # Any: JSON values.
    for i, j in _pairs(first, second):
        if j is None:
            assert i is not None  # a pair has a side
            yield Change((*path, i), (*other, i), first[i], ABSENT)
        elif i is None:
            yield Change((*path, j), (*other, j), ABSENT, second[j])
        else:
            yield from _compare(first[i], second[j], (*path, i), (*other, j), sizes)


def _pairs(first: Sequence[Any], second: Sequence[Any]) -> Iterator[tuple[int | None, int | None]]:
    """Yield which part of one list stands for which of the other: the equal ones, then those of one type."""
    # Any: JSON values.
    for tag, i, end_i, j, end_j in _matched([_key(part) for part in first], [_key(part) for part in second]):
        if tag == "equal":
            yield from zip(range(i, end_i), range(j, end_j), strict=True)
            continue
        types = [_type(part) for part in first[i:end_i]], [_type(part) for part in second[j:end_j]]
        for kind, k, end_k, m, end_m in _matched(*types):
            if kind == "equal":
                yield from zip(range(i + k, i + end_k), range(j + m, j + end_m), strict=True)
                continue
            yield from ((index, None) for index in range(i + k, i + end_k))
            yield from ((None, index) for index in range(j + m, j + end_m))


def _matched(first: Sequence[str], second: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    return SequenceMatcher(None, first, second, autojunk=False).get_opcodes()


# Any: a JSON value.
def _key(value: Any) -> str:
    """Return a text that is equal for equal values: 1 and 1.0 are written alike."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_key(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_key, value)) + "]"
    return repr(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)


# Any: a JSON value.
def _type(value: Any) -> str:
    return f"{value.get('type')}" if isinstance(value, dict) else "list"


# Any: a JSON value, or ABSENT.
def in_words(value: Any) -> str:
    """Return a value as a table shows it: a layer by its type and options."""
    if isinstance(value, dict) and "type" in value:
        options = [f"{dotted(path)} {json.dumps(part)}" for path, part in leaves(value) if path != ("type",)]
        return str(value["type"]) + (f"({', '.join(options)})" if options else "")
    return repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False)
