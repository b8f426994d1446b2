"""Rows of numbers that a person types: on the command line, in a CSV file, or on standard input."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from pathlib import Path

from zoo.data.paths import refuse_path
from zoo.errors import DataError, reason
from zoo.files import is_file

LARGEST = (2 - 2**-23) * 2.0**127  # the largest float32


def read_rows(inputs: Sequence[str], width: int) -> list[tuple[str, list[float]]]:
    """Return each row of numbers with the words it came in.

    Args:
        inputs: "1,2,3", the path of a CSV file (a first line of names is passed over), or "-" for standard input.
        width: how many numbers a row has.

    Raises:
        DataError: a file is absent, or a row has another width or something else than finite numbers.
    """
    return [row for text in inputs for row in _rows(text, width)]


def _rows(text: str, width: int) -> Iterator[tuple[str, list[float]]]:
    if text != "-" and not is_file(text):
        remedy = f"write {width} numbers with commas between, or the path of a CSV file"
        if "," not in text and _number(text) is None:
            refuse_path(text, remedy)
        yield _row(text, (f"row {text!r}", ", and no such file is here", remedy), text.split(","), width)
        return
    try:
        if text == "-":
            yield from _lines("standard input", sys.stdin, width)
        else:
            with Path(text).open(newline="", encoding="utf-8-sig") as lines:
                yield from _lines(text, lines, width)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        name = "standard input" if text == "-" else text
        raise DataError(f"cannot read {name}: {reason(error)}", "give a CSV file of numbers") from error


def _lines(origin: str, lines: Iterable[str], width: int) -> Iterator[tuple[str, list[float]]]:
    for number, cells in enumerate(csv.reader(lines), 1):
        header = number == 1 and all(_number(cell) is None for cell in cells)
        if cells and not header:
            yield _row(",".join(cells), (f"{origin}:{number}", "", f"write {width} numbers in each line"), cells, width)


def _row(name: str, said: tuple[str, str, str], cells: Sequence[str], width: int) -> tuple[str, list[float]]:
    place, aside, remedy = said
    numbers = [_number(cell) for cell in cells]
    for cell, number in zip(cells, numbers, strict=True):
        if number is None or not isfinite(number):
            raise DataError(f"{place}: {cell.strip()!r} is not a finite number{aside}", remedy)
        if abs(number) > LARGEST:
            raise DataError(f"{place}: {cell.strip()!r} is not finite in float32", "give a smaller number")
    if len(cells) != width:
        raise DataError(f"{place}: {len(cells)} numbers, but the model takes {width}", f"write {width} numbers")
    return name, [number for number in numbers if number is not None]


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
