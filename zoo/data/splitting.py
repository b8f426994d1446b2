"""Splits: which rows are trained on, and which are kept out for validation and for the test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self

from zoo.data.data import Data, FilePath, Fraction, OptionError, Rows, Split
from zoo.errors import DataError
from zoo.files import is_file
from zoo.strict import Seed, model_validator

if TYPE_CHECKING:
    from torch import Tensor


def kept_out(rows: int, fraction: float | None) -> int:
    """Return how many of so many rows are kept out: the nearest number, but one at least, and not all."""
    return 0 if fraction is None else max(1, min(rows - 1, round(rows * fraction)))


def drawn(rows: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the numbers of the rows that stay, and of those kept out, each ascending.

    Raises:
        DataError: there is a single row, or none.
    """
    import torch

    if rows < 2:
        raise DataError(f"{rows} row(s) cannot be split", "use more rows")
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    count = kept_out(rows, fraction)
    return order[count:].sort().values, order[:count].sort().values


def pick(rows: Rows, numbers: Tensor) -> Rows:
    """Return some of the rows."""
    return Rows(rows.inputs[numbers], rows.targets[numbers])


class Seeded(Data):
    """What every source has that can keep training rows out, to validate on."""

    seed_is_used: ClassVar[bool] = False
    """Whether the seed says something without `validation`."""

    validation: Fraction | None = None
    """Part of the training rows that is kept out of training, to validate on; by default there is no such split."""
    seed: Seed = 0
    """Seed of the draw of the rows that are kept out."""

    @model_validator(mode="after")
    def _seed_draws(self) -> Self:
        if self.seed and not self._draws():
            raise ValueError("seed says nothing where no rows are drawn; remove it, or write validation")
        return self

    def _draws(self) -> bool:
        return self.seed_is_used or self.validation is not None

    @property
    def splits(self) -> tuple[Split, ...]:
        """Return the splits that can be loaded."""
        return ("train", "test") if self.validation is None else ("train", "validation", "test")

    def training_rows(self, rows: int) -> int:
        """Return how many of so many rows are trained on."""
        return rows - kept_out(rows, self.validation)

    def choose(self, rows: Rows, split: Split) -> Rows:
        """Return the rows of "train" or "validation" out of the training rows; those of "test" are as they should be.

        Raises:
            DataError: there is no validation split, or a single row.
        """
        chosen = self.chosen(len(rows), split)
        return rows if chosen is None else pick(rows, chosen)

    def chosen(self, rows: int, split: Split) -> Tensor | None:
        """Return the numbers of the rows of a split, out of so many; None where it has all of them.

        Raises:
            DataError: as `choose`.
        """
        if split == "test" or (split == "train" and self.validation is None):
            return None
        if self.validation is None:
            refuse_validation()
        stay, out = drawn(rows, self.validation, self.seed)
        return stay if split == "train" else out


def refuse_validation() -> NoReturn:
    """Refuse a split that the spec does not have."""
    raise DataError("the data has no validation split", 'write data.validation, such as "validation": 0.1')


def _real(name: str) -> str:
    """Return the path of the file itself; a name that no file can have stays as it is."""
    try:
        return os.path.realpath(name)
    except ValueError:
        return name


class OneFile(Seeded):
    """What every source has whose rows stand in one file, or in one for each split."""

    whereabouts: ClassVar[tuple[str, ...]] = ("file", "validation_file", "test_file")
    default_test: ClassVar[float] = 0.2

    file: FilePath
    """The file of the rows; relative to where the command runs."""
    validation_file: FilePath | None = None
    """A file of rows to validate on, in place of `validation`."""
    test: Fraction | None = None
    """Part of the rows that is kept for the test; 0.2 when there is no test_file."""
    test_file: FilePath | None = None
    """A file of rows for the test, in place of `test`."""

    @model_validator(mode="after")
    def _splits_are_said_once(self) -> Self:
        for fraction, file in (("validation", "validation_file"), ("test", "test_file")):
            if getattr(self, fraction) is not None and getattr(self, file) is not None:
                raise ValueError(f"{fraction} and {file} say the same twice; remove one of the two")
        return self

    @model_validator(mode="after")
    def _splits_share_no_file(self) -> Self:
        options: dict[str, str] = {}
        for option in ("file", "validation_file", "test_file"):
            name = getattr(self, option)
            other = option if name is None else options.setdefault(_real(name), option)
            if other != option:
                part = option.removesuffix("_file")
                remedy = f"write another, or {part} in its place, which keeps rows out of training"
                raise ValueError(f"{option} and {other} are the same file, {name}; {remedy}")
        return self

    def _draws(self) -> bool:
        return self.test_file is None or self.validation is not None

    @property
    def test_part(self) -> float | None:
        """Return the part of the rows that is kept for the test; None where they have a file."""
        return (self.test or self.default_test) if self.test_file is None else None

    @property
    def splits(self) -> tuple[Split, ...]:
        """Return the splits that can be loaded."""
        return super().splits if self.validation_file is None else ("train", "validation", "test")

    def resolved(self) -> Self:
        """Return the source with the part of the rows that is kept for the test written."""
        return self.model_copy(update={"test": self.test_part})

    def missing(self) -> tuple[OptionError, ...]:
        """Return the files of other splits that are not there."""
        named = {"validation_file": self.validation_file, "test_file": self.test_file} if is_file(self.file) else {}
        return tuple(
            OptionError(f"no such file: {name}", f"give {option} the path of a file that is there", option)
            for option, name in named.items()
            if name is not None and not is_file(name)
        )

    def file_of(self, split: Split) -> str:
        """Return the file that holds a split."""
        own = {"test": self.test_file, "validation": self.validation_file}.get(split)
        return self.file if own is None else own

    def training_rows(self, rows: int) -> int:
        """Return how many of the rows in `file` are trained on."""
        return super().training_rows(rows - kept_out(rows, self.test_part))

    def numbers(self, rows: int, split: Split) -> Tensor:
        """Return the numbers of the rows of `file_of(split)` that belong to a split.

        Raises:
            DataError: there is no validation split, or there are too few rows.
        """
        import torch

        if split == "validation" and "validation" not in self.splits:
            refuse_validation()
        if self.file_of(split) != self.file or (split == "test" and self.test_file is not None):
            return torch.arange(rows)
        rest = torch.arange(rows)
        if self.test_part is not None:
            rest, out = drawn(rows, self.test_part, self.seed)
            if split == "test":
                return out
        if self.validation is None:
            return rest
        stay, out = drawn(len(rest), self.validation, self.seed)
        return rest[stay if split == "train" else out]
