"""Tables in files: CSV by Python's own reader, Parquet by pyarrow where it is installed."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.data import OptionError
from zoo.data.paths import no_file
from zoo.data.tabular import LARGEST
from zoo.errors import DataError, reason
from zoo.files import is_file

if TYPE_CHECKING:
    from types import ModuleType

SCANNED = 2 * 2**20  # bytes of CSV that a check reads to learn what its columns hold: a tenth of a second
LONGEST_LINE = 2**24  # characters; a longer one would be read into memory whole
DELIMITERS = (",", ";", "\t", "|")  # what usually separates cells
FEWEST_NUMBERED = 5  # rows; fewer may hold 1, 2, 3 by chance
MOST_DIGITS = 18  # of a number that counts rows; Python refuses to read thousands of them
HEAD = 100  # rows of a longer file that it reads


@dataclass(frozen=True)
class Sketch:
    """What a glance at a table tells."""

    columns: tuple[str, ...]
    rows: int | None
    """None where only reading everything would tell."""
    words: dict[str, tuple[str, ...] | None]
    """The columns that hold other things than numbers, with their values sorted; None where these are not known."""
    mixed: dict[str, str]
    """Those of them that hold numbers as well, with a value that is none: "NA", most often; or "0,5" for 0.5."""
    telling: dict[str, str] = field(default_factory=dict)
    """The columns that tell each row from the others, with how they do: 1, 2, 3 …, in any order, or other words."""


def sketch(path: str, delimiter: str) -> Sketch:
    """Return what a glance at the file tells.

    Raises:
        OptionError: the file is absent, unreadable, or no table.
    """
    if not is_file(path):
        raise OptionError(no_file(path), "set data.file to a CSV or Parquet file", "file")
    if is_parquet(path):
        return _parquet_sketch(path)
    whole = Path(path).stat().st_size <= SCANNED
    rows = _csv(path, delimiter)
    columns = tuple(next(rows, (0, []))[1])
    _require_names(path, columns, delimiter)
    seen: list[dict[str, None]] = [{} for _ in columns]  # dictionaries keep the order, and are sets
    count = 0
    for _, cells in rows if whole else itertools.islice(rows, HEAD):
        count += 1
        for values, cell in zip(seen, cells, strict=False):
            values[cell] = None
    filled = {name: [cell for cell in values if cell.strip()] for name, values in zip(columns, seen, strict=True)}
    words = {name: tuple(sorted(cells)) for name, cells in filled.items() if not all(map(is_number, cells))}
    odd = {name: next(cell for cell in filled[name] if not is_number(cell)) for name in words}
    mixed = {name: cell for name, cell in odd.items() if any(map(_like_number, words[name]))}
    telling = {name: "numbers its rows" for name, values in zip(columns, seen, strict=True) if _counts(values, count)}
    several = count >= FEWEST_NUMBERED
    telling |= {name: "has other words in each row" for name in words if several and len(words[name]) == count}
    known = {name: words[name] if whole else None for name in words}
    return Sketch(columns, count if whole else None, known, mixed, telling)


def _counts(cells: Collection[str], rows: int) -> bool:
    """Return whether the different cells of a column number its rows; of a few rows nobody can tell."""
    if not len(cells) == rows >= FEWEST_NUMBERED:
        return False
    if not all(cell.isdecimal() and len(cell) <= MOST_DIGITS for cell in cells):
        return False
    numbers = set(map(int, cells))
    return len(numbers) == rows and min(numbers) <= 1 and max(numbers) - min(numbers) == rows - 1


def is_parquet(path: str) -> bool:
    """Return whether the name says Parquet."""
    return path.lower().endswith((".parquet", ".pq"))


def is_number(cell: str) -> bool:
    """Return whether a cell says a number, be it infinite or none ("nan")."""
    return _float(cell) is not None


def has_decimal_comma(cell: str) -> bool:
    """Return whether a cell says a number as much of Europe writes it."""
    return cell.count(",") == 1 and is_number(cell.replace(",", "."))


def _like_number(cell: str) -> bool:
    return is_number(cell) or has_decimal_comma(cell)


def number(cell: str) -> float | None:
    """Return the number that a cell says, where it is finite in float32."""
    value = _float(cell)
    return value if value is not None and abs(value) <= LARGEST else None


def _float(cell: str) -> float | None:
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def read_columns(path: str, delimiter: str, columns: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return the place of each row, "FILE:LINE", and its cells in these columns.

    Raises:
        DataError: the file is absent, unreadable, lacks a column, or a line has other cells than the first.
    """
    if not is_file(path):
        raise DataError(no_file(path), "set data.file to a CSV or Parquet file")
    if is_parquet(path):
        return _parquet_columns(path, columns)
    rows = _csv(path, delimiter)
    header = next(rows, (0, []))[1]
    _require_names(path, header, delimiter)
    places = [_index(path, header, column, columns) for column in columns]
    lines, cells = [], []
    for line, row in rows:
        if len(row) != len(header):
            message = f"{path}:{line}: {len(row)} cells, but the first line names {len(header)} columns"
            raise DataError(message, "write one cell for each column")
        lines.append(f"{path}:{line}")
        cells.append([row[place] for place in places])
    return lines, cells


def _index(path: str, header: Sequence[str], column: str, wanted: Sequence[str]) -> int:
    if column not in header:
        raise DataError(f"{path} has no column {column!r}", f"give a file with the columns {', '.join(wanted)[:200]}")
    return list(header).index(column)


def _csv(path: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line that is not empty, and its cells."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.reader(iter(lambda: lines.readline(LONGEST_LINE), ""), delimiter=delimiter, strict=True)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        remedy = "give a CSV file in UTF-8 with a first line of column names"
        raise OptionError(f"cannot read {path}: {reason(error)}", remedy, "file") from error


def _require_names(path: str, columns: Sequence[str], delimiter: str) -> None:
    others = [other for other in DELIMITERS if other in columns[0]] if len(columns) == 1 else []
    if others and delimiter not in columns[0]:
        message = f"the first line of {path} has no delimiter {delimiter!r}, but has {others[0]!r}"
        remedy = f'write "delimiter": {json.dumps(others[0])} in data, or separate the cells by {delimiter!r}'
        raise OptionError(message, remedy, "delimiter")
    twice = [name for index, name in enumerate(columns) if name in columns[:index]]
    if not columns or twice or all(map(is_number, columns)):
        what = f"names the column {twice[0]!r} twice" if twice else "has no first line of column names"
        what += f", but {delimiter.join(columns)[:60]}" if columns and not twice else ""
        raise OptionError(f"{path} {what}", "write a first line with a name for each column", "file")


def _pyarrow(path: str) -> ModuleType:
    try:
        return import_module("pyarrow.parquet")
    except ImportError as error:
        remedy = "pip install pyarrow, or give a CSV file"
        raise OptionError(f"reading {path} needs pyarrow, which is not here", remedy, "file") from error


def _parquet_sketch(path: str) -> Sketch:
    parquet = _pyarrow(path)
    pyarrow = import_module("pyarrow")

    try:
        file = parquet.ParquetFile(path)
        schema = file.schema_arrow
        small = Path(path).stat().st_size <= SCANNED
        kinds = pyarrow.types
        plain = (kinds.is_integer, kinds.is_floating, kinds.is_boolean, kinds.is_decimal)
        words = [field.name for field in schema if not any(test(field.type) for test in plain)]
        found: dict[str, tuple[str, ...] | None] = dict.fromkeys(words)
        if small and words:
            table = file.read(columns=words)
            for name in words:
                values = {_cell(value) for value in table.column(name).unique().to_pylist()}
                found[name] = tuple(sorted(value for value in values if value))
        return Sketch(tuple(schema.names), file.metadata.num_rows, found, {})
    except (OSError, pyarrow.ArrowException) as error:
        raise OptionError(f"cannot read {path}: {reason(error)}", "give a whole Parquet file", "file") from error


def _parquet_columns(path: str, columns: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    parquet = _pyarrow(path)
    pyarrow = import_module("pyarrow")

    try:
        file = parquet.ParquetFile(path)
        for column in columns:
            _index(path, file.schema_arrow.names, column, columns)
        table = file.read(columns=list(columns))
        found = [list(map(_cell, table.column(name).to_pylist())) for name in columns]
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"cannot read {path}: {reason(error)}", "give a whole Parquet file") from error
    return [f"{path}: row {row}" for row in range(1, table.num_rows + 1)], [
        list(row) for row in zip(*found, strict=True)
    ]


def _cell(value: object) -> str:
    """Return a value as a CSV file would say it."""
    if isinstance(value, bool):
        return str(int(value))
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
