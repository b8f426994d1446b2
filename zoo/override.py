"""One override of a spec: PATH=VALUE, as `--set` takes it.

PATH has dots between the keys, and numbers for list positions. VALUE is JSON; what is not JSON is taken as a string.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from zoo import notation
from zoo.errors import Path, UsageError
from zoo.notation import Unfit
from zoo.positions import positions

DEEPEST = 50  # levels of a path
LONGEST_ECHO = 60  # characters of an override in a message


class Refused(UsageError):
    """An override is wrong."""


def echo(text: str) -> str:
    """Return an override as a message repeats it: cut short, and on one line."""
    shown = text if len(text) <= LONGEST_ECHO else text[: LONGEST_ECHO - 1] + "…"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in shown)


def read_override(text: str) -> tuple[list[str], object]:
    """Return the keys and the value of PATH=VALUE.

    Raises:
        Refused: it is something else.
    """
    dotted, equals, written = text.partition("=")
    keys = dotted.split(".")
    if not equals or not all(keys):
        raise Refused("it is not PATH=VALUE", "write for example --set train.epochs=3")
    if len(keys) > DEEPEST:
        raise Refused(f"more than {DEEPEST} levels", "a spec is not that deep")
    value = _override_value(written)
    try:
        json.dumps([keys, value], ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise Refused("it is not Unicode", "write whole characters in UTF-8") from error
    return keys, value


def _override_value(written: str) -> object:
    """Return the JSON value that is written, or the text itself where it is no JSON.

    Raises:
        Refused: it is JSON, but nothing that a spec can hold.
    """
    try:
        json.loads(written, parse_constant=str, parse_float=str, parse_int=str)  # the grammar alone
    except json.JSONDecodeError:
        return written
    except RecursionError:
        pass  # Unfit, in the words for every depth
    try:
        value = notation.read(written)
    except Unfit as error:
        quoted = json.dumps(echo(written), ensure_ascii=False)
        raise Refused(str(error), f"{error.remedy}, or a string in quotes: {quoted}") from error
    twice = positions(written).duplicates
    if twice:
        raise Refused(f'"{twice[0][0][-1]}" stands twice', "keep one of them")
    return value


def put(document: dict[str, Any], keys: Sequence[str], value: object) -> Path:
    """Put a value where the keys lead, and return the path.

    Raises:
        Refused: they lead nowhere; the document stays as it was.
    """
    here: Any = document  # JSON containers, walked by key
    path: list[str | int] = []
    for depth, key in enumerate(keys):
        step: str | int = key
        owner = ".".join(keys[:depth])
        if isinstance(here, list):
            if not key.isdecimal() or not key.isascii() or int(key) >= len(here):
                raise Refused(f"{echo(owner)} is a list and has no '{echo(key)}'", _positions_of(here))
            step = int(key)
        elif not isinstance(here, dict):
            raise Refused(f"nothing below {owner}", f"{owner} is a value without parts; set it as a whole")
        path.append(step)
        if depth == len(keys) - 1:
            here[step] = value
        elif isinstance(here, dict):
            here = here.setdefault(key, {})
        else:
            here = here[step]
    return tuple(path)


# Any: JSON values.
def _positions_of(row: list[Any]) -> str:
    if not row:
        return "the list is empty; set it as a whole"
    return "write 0" if len(row) == 1 else f"write a position from 0 to {len(row) - 1}"
