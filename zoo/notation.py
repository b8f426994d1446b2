"""JSON as a spec may use it: finite numbers that a computer holds, and few levels."""

from __future__ import annotations

import json
from typing import NoReturn

from zoo.positions import find_token, too_deep

DEEPEST = 100  # levels; the deepest spec a person writes has about 20
LONGEST_INTEGER = 40  # digits; 64 bits need 19


class Unfit(ValueError):
    """A text is JSON, or nearly, but holds what no spec can hold: where, and what to write."""

    def __init__(self, message: str, start: int, end: int, remedy: str) -> None:
        super().__init__(message)
        self.start = start
        self.end = end
        self.remedy = remedy


class _Number(ValueError):
    """A number is refused; `token` is how it is written."""

    def __init__(self, token: str, message: str) -> None:
        super().__init__(message)
        self.token = token


def read(text: str) -> object:
    """Return the value of a JSON text.

    Raises:
        json.JSONDecodeError: the text is not JSON.
        Unfit: it has a number that is not finite or too long, or too many levels.
    """
    value: object = None
    try:
        value = json.loads(text, parse_constant=_constant, parse_float=_finite, parse_int=_whole)
    except _Number as error:
        start = find_token(text, error.token)
        raise Unfit(str(error), start, start + len(error.token), "write a finite number") from error
    except RecursionError:
        pass  # the parser's own limit lies deeper than ours
    deep = too_deep(text, DEEPEST)
    if deep is not None:
        raise Unfit(f"more than {DEEPEST} levels", deep, deep + 1, "write fewer levels")
    return value


def _constant(token: str) -> NoReturn:
    raise _Number(token, f"{token} is not a number of JSON")


def _finite(token: str) -> float:
    number = float(token)
    if number in (float("inf"), float("-inf")):
        raise _Number(token, f"{_cut(token)} is too large for a number")
    return number


def _whole(token: str) -> int:
    if len(token) > LONGEST_INTEGER:
        raise _Number(token, f"{_cut(token)} is too large for a number")
    return int(token)


def _cut(token: str) -> str:
    return token if len(token) <= LONGEST_INTEGER else f"{token[:LONGEST_INTEGER]}…"
