"""Rows of a table that a person types, on the command line or on standard input."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence

from zoo.data.paths import refuse_path
from zoo.data.table import is_number
from zoo.errors import DataError, reason

Named = tuple[str, list[str]]
"""What a row is called, and its cells."""


def typed_row(text: str, delimiter: str, columns: Sequence[str], categories: Mapping[str, Sequence[str]]) -> Named:
    """Return a row that was written on the command line.

    Raises:
        DataError: it has another width, or is the path of no file.
    """
    cells = [cell.strip() for cell in text.split(delimiter)]
    words = categories.get(columns[0])
    strange = not is_number(cells[0]) if words is None else cells[0] not in words
    if len(cells) == 1 and (len(columns) > 1 or strange):
        refuse_path(text, f"write {', '.join(columns)[:200]}, or the path of a file that is here")
    return text, _checked(f"row {text!r}", cells, columns)


def typed_rows(delimiter: str, columns: Sequence[str]) -> Iterator[Named]:
    """Yield the rows on standard input: CSV, with or without a line of column names.

    Raises:
        DataError: it cannot be read, or a row has another width.
    """
    places: list[int] | None = None  # of the columns in the cells of a line, where a first line names them
    width = len(columns)
    try:
        reader = csv.reader(sys.stdin, delimiter=delimiter, strict=True)
        for number, read in enumerate(line for line in reader if any(cell.strip() for cell in line)):
            cells, place = [cell.strip() for cell in read], f"standard input:{reader.line_num}"
            if not number and set(columns) <= set(cells):
                places, width = [cells.index(column) for column in columns], len(cells)
            elif places is None:
                yield delimiter.join(read), _checked(place, cells, columns)
            elif len(cells) == width:
                yield place, [cells[index] for index in places]
            else:
                message = f"{place}: {len(cells)} cells, but the first line names {width} columns"
                raise DataError(message, "write one cell for each column")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read standard input: {reason(error)}", "give rows in UTF-8") from error


def _checked(place: str, cells: list[str], columns: Sequence[str]) -> list[str]:
    if len(cells) != len(columns):
        message = f"{place}: {len(cells)} cells, but the model takes {len(columns)}"
        raise DataError(message, f"write {', '.join(columns)[:200]}, or the path of a file")
    return cells
