"""Where each value of a JSON text stands: a scan that is made only when a problem needs a place.

The values themselves come from the standard library's parser, which is fast and knows no positions. The scan reads the
same text, already known to be valid JSON, as a flat row of tokens with a stack; it never recurses.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from zoo.errors import Path

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


@dataclass(frozen=True)
class Span:
    """Offsets into the text: of the key (the value's own start where there is none) and of the value."""

    key: int
    start: int
    end: int


@dataclass
class _Container:
    path: Path
    span_key: int
    start: int
    is_list: bool
    key: str | int | None = None
    key_start: int = 0
    seen: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Positions:
    """The span of every value, and the keys that stand twice in one object."""

    spans: dict[Path, Span]
    duplicates: tuple[tuple[Path, Span], ...]


def positions(text: str) -> Positions:
    """Return the span of every value of a valid JSON text."""
    spans: dict[Path, Span] = {}
    duplicates: list[tuple[Path, Span]] = []
    stack: list[_Container] = []
    for match in _TOKEN.finditer(text):
        token, start = match.group(), match.start()
        top = stack[-1] if stack else None
        if token in ("{", "["):
            path, key = _child(top, start)
            stack.append(_Container(path, key, start, token == "[", 0 if token == "[" else None))
        elif token in ("}", "]"):
            closed = stack.pop()
            spans[closed.path] = Span(closed.span_key, closed.start, match.end())
        elif token == ",":
            if top is not None:
                top.key = top.key + 1 if isinstance(top.key, int) else None
        elif token == ":":
            continue
        elif top is not None and not top.is_list and top.key is None:
            top.key, top.key_start = str(json.loads(token)), start
            if top.key in top.seen:
                duplicates.append(((*top.path, top.key), Span(start, start, match.end())))
            top.seen.add(top.key)
        else:
            path, key = _child(top, start)
            spans[path] = Span(key, start, match.end())
    return Positions(spans, tuple(duplicates))


def too_deep(text: str, levels: int) -> int | None:
    """Return where a JSON text, which may end too early, goes deeper than so many levels; None where it does not."""
    if text.count("{") + text.count("[") <= levels:
        return None  # most texts: no scan
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += (match.group() in ("{", "[")) - (match.group() in ("}", "]"))
        if depth > levels:
            return match.start()
    return None


def find_token(text: str, token: str) -> int:
    """Return where a number or a word first stands in a JSON text, outside strings; 0 where it does not."""
    return next((match.start() for match in _TOKEN.finditer(text) if match.group() == token), 0)


def _child(top: _Container | None, start: int) -> tuple[Path, int]:
    """Return the path of the value that begins at `start`, and where its key begins."""
    if top is None or top.key is None:
        return (), start
    return (*top.path, top.key), start if top.is_list else top.key_start
