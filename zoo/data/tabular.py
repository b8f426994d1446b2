"""Rows of numbers that a person types: on the command line, in a CSV file, or on standard input."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from zoo.errors import DataError, reason


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
    if text == "-":
        yield from _lines("standard input", sys.stdin, width)
    elif Path(text).is_file():
        try:
            with Path(text).open(newline="", encoding="utf-8-sig") as lines:
                yield from _lines(text, lines, width)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"cannot read {text}: {reason(error)}", "give a CSV file of numbers") from error
    else:
        yield _row(text, f"row {text!r}", text.split(","), width)


def _lines(origin: str, lines: Iterable[str], width: int) -> Iterator[tuple[str, list[float]]]:
    for number, cells in enumerate(csv.reader(lines), 1):
        header = number == 1 and not any(_is_number(cell) for cell in cells)
        if cells and not header:
            yield _row(",".join(cells), f"{origin}:{number}", cells, width)


def _row(name: str, place: str, cells: Sequence[str], width: int) -> tuple[str, list[float]]:
    wrong = [cell.strip() for cell in cells if not _is_number(cell)]
    if wrong:
        remedy = f"write {width} numbers with commas between, or the path of a CSV file"
        raise DataError(f"{place}: {wrong[0]!r} is not a finite number, and no such file is here", remedy)
    if len(cells) != width:
        raise DataError(f"{place}: {len(cells)} numbers, but the model takes {width}", f"write {width} numbers")
    return name, [float(cell) for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
