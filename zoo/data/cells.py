"""Cells of a table as the numbers that a model takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.data.data import OptionError
from zoo.data.table import is_number, number
from zoo.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

Statistics = Mapping[str, tuple[float, float]]
"""Mean and deviation of columns of numbers."""


@dataclass(frozen=True)
class Plan:
    """How a row of cells becomes numbers."""

    columns: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    """The values of each column of words; the others hold numbers."""
    classes: tuple[str, ...]
    """The values of the target; empty where it holds numbers."""
    rows: int | None
    """How many there are in the file, where a glance tells."""

    @property
    def width(self) -> int:
        """Return how many numbers a row becomes."""
        return sum(len(self.categories.get(column, "1")) for column in self.columns)

    def numeric(self) -> Iterator[tuple[str, int]]:
        """Yield each column of numbers with its place among the numbers of a row."""
        place = 0
        for column in self.columns:
            words = self.categories.get(column)
            if words is None:
                yield column, place
            place += 1 if words is None else len(words)

    def features(self, places: Sequence[str], rows: Sequence[Sequence[str]]) -> Tensor:
        """Return rows of cells as float64 of (N, width); a word as 1 in its place among those of its column, else 0.

        Args:
            places: where each row stands, for a message.
            rows: the cells in the order of the columns.

        Raises:
            DataError: a cell is empty, no number, or no known word.
        """
        import torch

        parts = []
        for position, column in enumerate(self.columns):
            cells = [row[position] for row in rows]
            words = self.categories.get(column)
            if words is None:
                parts.append(numbers_of(places, column, cells).unsqueeze(1))
                continue
            found = indices_of(places, column, cells, words, "none of its words,")
            parts.append(torch.nn.functional.one_hot(found, len(words)).double())  # (N, words)
        return torch.cat(parts, 1)

    def statistics(self, features: Tensor) -> Statistics:
        """Return what the rows say of each column of numbers; one of equal numbers becomes zeros."""
        found = {}
        for column, place in self.numeric():
            spread = float(features[:, place].std(correction=0))
            found[column] = (float(features[:, place].mean()), spread if spread > 0 else 1.0)
        return found

    def scaling(self, statistics: Statistics) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of each number of a row, float64 of (width,); 0 and 1 of words.

        Raises:
            OptionError: the statistics lack a column.
        """
        import torch

        mean, deviation = torch.zeros(self.width, dtype=torch.float64), torch.ones(self.width, dtype=torch.float64)
        for column, place in self.numeric():
            if column not in statistics:
                raise OptionError(
                    f"statistics lack the column {column}", f'write "{column}": [mean, deviation]', "statistics"
                )
            mean[place], deviation[place] = statistics[column]
        return mean, deviation


def numbers_of(places: Sequence[str], column: str, cells: Sequence[str]) -> Tensor:
    """Return the numbers of a column, float64 of (N,).

    Raises:
        DataError: a cell is empty or no number.
    """
    import torch

    found = [_number(place, column, cell) for place, cell in zip(places, cells, strict=True)]
    return torch.tensor(found, dtype=torch.float64)


def indices_of(places: Sequence[str], column: str, cells: Sequence[str], words: Sequence[str], wanted: str) -> Tensor:
    """Return the number of each word of a column, int64 of (N,).

    Args:
        places: where each cell stands, for a message.
        column: its name.
        cells: the words.
        words: all that there are, in the order of their numbers.
        wanted: what a message says before them.

    Raises:
        DataError: a cell is empty or no known word.
    """
    import torch

    index = {word: float(place) for place, word in enumerate(words)}
    said = f"{wanted} {', '.join(words)[:100]}"
    found = [_value(index.get(cell), place, column, cell, said) for place, cell in zip(places, cells, strict=True)]
    return torch.tensor(found, dtype=torch.int64)


def _number(place: str, column: str, cell: str) -> float:
    return _value(number(cell), place, column, cell, "not a number" if not is_number(cell) else "not finite in float32")


def _value(found: float | None, place: str, column: str, cell: str, wanted: str) -> float:
    if found is None:
        what = f"{cell.strip()!r} is {wanted}" if cell.strip() else "the cell is empty"
        raise DataError(f"{place}: {column}: {what}", "correct the cell, or remove the row")
    return found
