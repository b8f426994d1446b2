"""TableFile: rows from a table, CSV or Parquet, as the numbers that a model takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self

from zoo.data.cells import Plan, Statistics, indices_of, numbers_of
from zoo.data.data import ClassNames, Example, Inputs, OptionError, Rows, Split
from zoo.data.reconstruction import Reconstructable
from zoo.data.splitting import OneFile
from zoo.data.table import Sketch, has_decimal_comma, is_number, is_parquet, read_columns, sketch
from zoo.data.typed import typed_row, typed_rows
from zoo.errors import DataError
from zoo.files import is_file
from zoo.nearest import nearest, suggestion
from zoo.shapes import Shape
from zoo.strict import Field, Number, Positive, model_validator

if TYPE_CHECKING:
    from torch import Tensor

MOST_SHOWN = 200  # letters of the other columns in a remedy
Column = Annotated[str, Field(min_length=1, max_length=1024)]


class TableFile(Reconstructable, OneFile):
    """Rows from a CSV file with a line of column names, or from a Parquet file.

    A column of numbers is one feature; a column of words is one feature for each word, 1 where it stands and else 0.
    """

    answering = ("target", "classes")

    type: Literal["TableFile"]
    target: Column | None = None
    """The column to be learned: numbers, or words as classes; only with `reconstruct` there is none."""
    columns: Annotated[tuple[Column, ...], Field(min_length=1, max_length=100_000)] | None = None
    """The columns to learn from; by default all others."""
    categories: dict[Column, ClassNames] | None = None
    """The words of columns that hold words; by default those of the file, sorted, where it is small."""
    classes: ClassNames | None = None
    """The words of the target, in the order of the class numbers; by default those of the file, sorted."""
    standardize: bool = False
    """Subtract the mean of each column of numbers and divide by its deviation, both of the training rows."""
    statistics: dict[str, tuple[Number, Positive]] | None = None
    """Mean and deviation of each column of numbers, for standardize; by default those of the training rows.

    A training writes them into its run, so that predictions stay what they are when the file changes.
    """
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What stands between two cells of a CSV file."""

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        if self.target is None and not self.reconstruct:
            raise ValueError(
                'what is learned does not stand here; write the name of the target, or "reconstruct": true'
            )
        if self.statistics is not None and not self.standardize:
            raise ValueError('statistics say nothing without standardize; write "standardize": true, or remove them')
        if self.delimiter in '"\r\n':
            raise ValueError("a quote or an end of line separates no cells; write another delimiter")
        if is_parquet(self.file) and self.delimiter != ",":
            raise ValueError("delimiter says nothing of a Parquet file; remove it")
        if self.columns is not None and self.target in self.columns:
            raise ValueError(f"the target {self.target} stands in columns; remove it there")
        for name, words in {
            **(self.categories or {}),
            "classes": self.classes or (),
            "columns": self.columns or (),
        }.items():
            if len(set(words)) < len(words):
                raise ValueError(f"a name stands twice in {name}; remove one")
        if self.target in (self.categories or {}):
            raise ValueError(f"the words of the target {self.target} stand in categories; write them into classes")
        return self

    def example(self) -> Example:
        """Return rows of features, and one number or a class number as target.

        Raises:
            OptionError: the file is absent, lacks a column, or is too large to look for words that are not written.
        """
        plan = self.plan
        target = Shape("N", dtype="int64") if plan.classes else Shape("N", plan.width if self.reconstruct else 1)
        rows = None if plan.rows is None else self.training_rows(plan.rows)
        return Example(Shape("N", plan.width), target, "features", rows, plan.classes)

    def load(self, split: Split) -> Rows:
        """Return features as float32 of (N, features), and targets as float32 of (N, 1) or int64 of (N,).

        Raises:
            DataError: the file is absent or unreadable, or a cell is empty, no number, or no known word.
        """
        features, targets = self._read(self.file_of(split))
        numbers = self.numbers(len(features), split)
        mean, deviation = self._scaling
        inputs = ((features[numbers] - mean) / deviation).float()
        return Rows(inputs, inputs if self.reconstruct else targets[numbers])

    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return rows typed as "5.1,red", the cells in the order of the columns, or the rows of CSV or Parquet files.

        "-" stands for such rows on standard input, where a first line may name the columns.

        Raises:
            DataError: a row has another width, or a cell that is no number or no known word.
        """
        names: list[str] = []
        rows: list[list[str]] = []
        for given in inputs:
            if given != "-" and is_file(given):
                places, cells = read_columns(given, self.delimiter, self.plan.columns)
                names += places
                rows += cells
                continue
            typed = typed_rows(self.delimiter, self.plan.columns) if given == "-" else [self._typed(given)]
            for name, row in typed:
                names.append(name)
                rows.append(row)
        mean, deviation = self._scaling
        return Inputs(tuple(names), ((self.plan.features(names, rows) - mean) / deviation).float())

    def _typed(self, row: str) -> tuple[str, list[str]]:
        return typed_row(row, self.delimiter, self.plan.columns, self.plan.categories)

    def resolved(self) -> Self:
        """Return the source with its columns, their words, its classes and its test part written."""
        plan = self.plan
        found = {"columns": plan.columns, "categories": plan.categories or None, "classes": plan.classes or None}
        return super().resolved().model_copy(update=found)

    @cached_property
    def plan(self) -> Plan:
        """Return how a row becomes numbers.

        Raises:
            OptionError: as `example`.
        """
        if self.columns is not None and not is_file(self.file):
            return Plan(self.columns, self.categories or {}, self.classes or (), None)
        found = self._sketch
        named = [("target", self._asked), ("columns", self.columns or ()), ("categories", self.categories or ())]
        for option, names in named:
            for name in names:
                if name not in found.columns:
                    message = f"{self.file} has no column {name!r}"
                    # A single column is most often no table: a spec must not make its first line known.
                    several = len(found.columns) > 1
                    remedy = suggestion(name, found.columns) if several else "give a table; or write its delimiter"
                    if several and any(map(is_number, found.columns)) and nearest(name, found.columns) is None:
                        said = self.delimiter.join(found.columns)[:60]
                        message, remedy = f"{message}: its first line is {said}", "put a line of column names above it"
                    raise OptionError(message, remedy, option)
        if found.rows == 0:
            raise OptionError(f"{self.file} has no rows", "give a file with rows below the line of names", "file")
        columns = self.columns or tuple(name for name in found.columns if name != self.target)
        if not columns:
            raise OptionError(f"{self.file} has no column beside {self.target}", "give it one to learn from", "file")
        categories = {name: self._words(found, name) for name in columns if self._holds_words(found, name)}
        return Plan(columns, categories, self._classes(found), found.rows)

    @property
    def lacking(self) -> dict[str, str]:
        """Return how numbers become classes."""
        remedy = (
            f'write a number; or, to take the numbers of {self.target} as classes, write these: "classes": ["0", "1"]'
        )
        return {} if self.target is None else {"classes": remedy}

    @cached_property
    def _sketch(self) -> Sketch:
        return sketch(self.file, self.delimiter)

    def doubts(self) -> tuple[OptionError, ...]:
        """Return the column that is learned from though it only numbers the rows, unless it was asked for."""
        if self.columns is not None:
            return ()
        telling = self._sketch.telling
        others = [name for name in self.plan.columns if name not in telling]
        odd = [name for name in self.plan.columns if name in telling]
        if not odd or not others:
            return ()
        message = f"the column {odd[0]!r} of {self.file} {telling[odd[0]]}, and is learned from"
        columns = json.dumps(others, ensure_ascii=False)
        remedy = f'leave it out: "columns": {columns if len(columns) <= MOST_SHOWN else "[…]"}'
        return (OptionError(message, remedy, "file"),)

    @property
    def _asked(self) -> tuple[str, ...]:
        """Return the column of the target, where there is one."""
        return () if self.target is None else (self.target,)

    def _holds_words(self, found: Sketch, name: str) -> bool:
        return name in found.words or name in (self.categories or {})

    def _words(self, found: Sketch, name: str) -> tuple[str, ...]:
        written = (self.categories or {}).get(name)
        if written is not None:
            return written
        self._refuse_mixed(found, name, f'write its words into categories: "{name}": ["…", "…"]')
        words = found.words[name]
        if words is None:
            message = (
                f"the column {name!r} of {self.file} holds words, and the file is too large to look for all of them"
            )
            raise OptionError(message, f'write them: "categories": {{"{name}": ["…", "…"]}}', "type")
        return words

    def _classes(self, found: Sketch) -> tuple[str, ...]:
        if self.classes is not None or self.target is None or self.target not in found.words:
            return self.classes or ()
        self._refuse_mixed(found, self.target, 'write its words: "classes": ["…", "…"]')
        words = found.words[self.target]
        if words is None:
            message = f"the target {self.target!r} holds words, and {self.file} is too large to look for all of them"
            raise OptionError(message, 'write them: "classes": ["…", "…"]', "target")
        return words

    def _refuse_mixed(self, found: Sketch, name: str, otherwise: str) -> None:
        if name in found.mixed:
            cell = found.mixed[name]
            comma = has_decimal_comma(cell)
            said, mended = (
                ("numbers with a comma:", "write a point in its place")
                if comma
                else ("numbers, and", "correct the cells")
            )
            message = f"the column {name!r} of {self.file} holds {said} {cell!r}"
            raise OptionError(message, f"{mended}; or, if all of it are words, {otherwise}", "file")

    @cached_property
    def _scaling(self) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of each feature, float64 of (features,); 0 and 1 where they stay as they are."""
        import torch

        if not self.standardize:
            width = self.plan.width
            return torch.zeros(width, dtype=torch.float64), torch.ones(width, dtype=torch.float64)
        return self.plan.scaling(self._learned if self.statistics is None else self.statistics)

    @cached_property
    def _learned(self) -> Statistics:
        """Return what the training rows say of each column of numbers."""
        features, _ = self._read(self.file)
        return self.plan.statistics(features[self.numbers(len(features), "train")])

    def fitted(self) -> Self:
        """Return the source with the mean and the deviation of the training rows written.

        Raises:
            DataError: the file is absent or holds something else.
        """
        if not self.standardize or self.statistics is not None:
            return self
        return self.model_copy(update={"statistics": self._learned})

    def cells(self, split: Split) -> Rows:
        """Return rows as the file has them, float64 of (N, columns), a word as its number; targets as `load` does.

        Raises:
            DataError: as `load`.
        """
        import torch

        features, targets = self._read(self.file_of(split))
        widths = [len(self.plan.categories.get(column, "1")) for column in self.plan.columns]
        parts = [
            part.argmax(1, keepdim=True).double() if column in self.plan.categories else part
            for column, part in zip(self.plan.columns, torch.split(features, widths, 1), strict=True)
        ]
        numbers = self.numbers(len(features), split)
        return Rows(torch.cat(parts, 1)[numbers], targets[numbers])

    @property
    def scaling(self) -> tuple[Tensor, Tensor] | None:
        """Return mean and deviation of each feature, float64 of (features,); None where numbers stay as they are.

        Raises:
            DataError: as `load`.
        """
        return self._scaling if self.standardize else None

    def _read(self, file: str) -> tuple[Tensor, Tensor]:
        """Return the features, before they are standardised, as float64, and the targets of all rows of a file."""
        places, cells = read_columns(file, self.delimiter, (*self.plan.columns, *self._asked))
        if not cells:
            raise DataError(f"{file} has no rows", "give a file with rows below the line of names")
        if self.target is None:
            features = self.plan.features(places, cells)
            return features, features
        said = [row[-1] for row in cells]
        if self.plan.classes:
            targets = indices_of(places, self.target, said, self.plan.classes, "none of the classes")
        else:
            targets = numbers_of(places, self.target, said).float().unsqueeze(1)
        return self.plan.features(places, [row[:-1] for row in cells]), targets
