"""TextFile: a text as windows of tokens, each with the tokens that follow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from zoo.data.data import Data, Example, FilePath, Fraction, Inputs, OptionError, Rows, Split
from zoo.data.splitting import refuse_validation
from zoo.errors import DataError, reason
from zoo.files import is_file
from zoo.shapes import Shape
from zoo.strict import Count, Field, model_validator

if TYPE_CHECKING:
    from torch import Tensor

SCANNED = 8 * 2**20  # bytes that a check reads to find the characters: a few hundredths of a second


class TextFile(Data):
    """Windows of a text in UTF-8; the targets are the same windows one token later. The end of the text is the test.

    In order the text holds the training part, the validation part, and the test part.
    """

    whereabouts = ("file",)

    type: Literal["TextFile"]
    file: FilePath
    """The text, in UTF-8; relative to where the command runs."""
    tokens: Literal["character", "byte"]
    """What a token is: a character of the text, or a byte of the file, of which there are 256."""
    context: Annotated[Count, Field(le=1_000_000)]
    """How many tokens a window holds."""
    stride: Count | None = None
    """How many tokens after one window the next begins; by default as many as it holds, so that none overlap."""
    vocabulary: Annotated[str, Field(min_length=1, max_length=200_000)] | None = None
    """The characters in the order of their numbers; by default those of the file, sorted. With "character" tokens."""
    validation: Fraction | None = None
    """Part of the text, before the test part, to validate on; by default there is no such split."""
    test: Fraction = 0.1
    """Part of the text, at its end, for the test."""

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        if self.vocabulary is not None and self.tokens == "byte":
            raise ValueError("vocabulary says nothing with byte tokens; remove it")
        if self.vocabulary is not None and len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError("a character stands twice in vocabulary; remove one")
        if (self.validation or 0) + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on; write smaller parts")
        return self

    @property
    def splits(self) -> tuple[Split, ...]:
        """Return the splits that can be loaded."""
        return ("train", "test") if self.validation is None else ("train", "validation", "test")

    def example(self) -> Example:
        """Return windows of token numbers, and as many targets.

        Raises:
            OptionError: the file is absent or too large to find its characters, and the vocabulary is not written.
        """
        window = Shape("N", "T", dtype="int64", longest=self.context)
        length, characters = self._measured()
        rows = None if length is None else self._windows(self._part("train", length))
        if rows is not None and rows < 1:
            raise self._too_short("train", length or 0)
        return Example(window, window, "tokens", rows, vocabulary=characters, context=self.context)

    def load(self, split: Split) -> Rows:
        """Return windows as int64 of (N, context), and the same one token later.

        Raises:
            DataError: the file is absent, is not UTF-8, is too short, or holds characters outside the vocabulary.
        """
        text = self._text()
        part = self._part(split, len(text))
        if self._windows(part) < 1:
            raise self._too_short(split, len(text))
        numbers = self._numbers(text, self.file)[part.start : part.stop]
        windows = numbers.unfold(0, self.context + 1, self.stride or self.context)  # (N, context + 1), a view
        return Rows(windows[:, :-1], windows[:, 1:])

    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return texts, or files of text, each as the numbers of its last `context` tokens.

        Raises:
            DataError: a text is empty, has characters outside the vocabulary, or another length than the others.
        """
        import torch

        rows = [self.encode(self._content(given))[-self.context :] for given in inputs]
        for given, row in zip(inputs, rows, strict=True):
            if len(row) != len(rows[0]) or not len(row):
                message = f"the text {given[:40]!r} has {len(row)} tokens, but the first one has {len(rows[0])}"
                raise DataError(message, "give texts of one length, one token at least")
        return Inputs(tuple(inputs), torch.stack(rows) if rows else torch.empty(0, self.context, dtype=torch.int64))

    def resolved(self) -> Self:
        """Return the source with its vocabulary written."""
        return self if self.tokens == "byte" else self.model_copy(update={"vocabulary": self.characters})

    def token_names(self) -> tuple[str, ...]:
        """Return the characters, or the bytes as Python writes them."""
        if self.tokens == "byte":
            return tuple(repr(bytes([number]))[2:-1] for number in range(256))
        return tuple(self.characters)

    def encode(self, text: str) -> Tensor:
        """Return the numbers of a text's tokens, int64 of (length,).

        Raises:
            DataError: a character is not in the vocabulary.
        """
        return self._numbers(text if self.tokens == "character" else text.encode(), "the text")

    def decode(self, numbers: Sequence[int]) -> str:
        """Return the text of tokens; bytes that are no UTF-8 become the replacement character."""
        if self.tokens == "byte":
            return bytes(numbers).decode(errors="replace")
        return "".join(self.characters[number] for number in numbers)

    @cached_property
    def characters(self) -> str:
        """Return the characters in the order of their numbers.

        Raises:
            DataError: they are not written, and the file is absent or not UTF-8.
        """
        return self.vocabulary or "".join(sorted(set(str(self._text()))))

    def _measured(self) -> tuple[int | None, int]:
        """Return how many tokens the file has, where a glance tells, and how many kinds of them."""
        file = Path(self.file)
        size = file.stat().st_size if is_file(self.file) else None
        if self.tokens == "byte":
            return size, 256
        if size is not None and size <= SCANNED:
            text = self._text()
            return len(text), len(self.vocabulary or set(text))
        if self.vocabulary is not None:
            return None, len(self.vocabulary)
        if size is None:
            message = f"no such file: {self.file}, so the vocabulary is not known"
            raise OptionError(message, "set data.file to a text, or write vocabulary", "file")
        message = f"{self.file} has {size:,} bytes, too many to look for its characters in a check"
        raise OptionError(message, "write vocabulary, a string of all its characters; or tokens: byte", "file")

    def _content(self, given: str) -> str:
        if not is_file(given):
            return given
        try:
            return Path(given).read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {given}: {reason(error)}", "give a text in UTF-8") from error

    def _text(self) -> str | bytes:
        """Return the whole text as it stands in the file, line ends included."""
        if not is_file(self.file):
            raise OptionError(f"no such file: {self.file}", "set data.file to a text", "file")
        try:
            content = Path(self.file).read_bytes()
            return content if self.tokens == "byte" else content.decode()
        except (OSError, UnicodeDecodeError) as error:
            remedy = "write the file in UTF-8, or use byte tokens"
            raise OptionError(f"cannot read {self.file}: {reason(error)}", remedy, "file") from error

    def _numbers(self, text: str | bytes, place: str) -> Tensor:
        import numpy as np
        import torch

        if isinstance(text, bytes):
            return torch.from_numpy(np.frombuffer(text, dtype=np.uint8).astype(np.int64))
        points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        known = np.array([ord(character) for character in self.characters], dtype=np.uint32)
        order = known.argsort()
        found = order[np.searchsorted(known, points, sorter=order).clip(max=len(known) - 1)]  # (length,)
        wrong = np.flatnonzero(known[found] != points)
        if len(wrong):
            at = int(wrong[0])
            line = text.count("\n", 0, at) + 1
            message = f"{place}: line {line} has {text[at]!r}, which is not in the vocabulary"
            raise DataError(message, "write it into data.vocabulary, or remove it from the text")
        return torch.from_numpy(found.astype(np.int64))

    def _part(self, split: Split, length: int) -> range:
        """Return the places of a split in a text of so many tokens."""
        if split == "validation" and self.validation is None:
            refuse_validation()
        test = length - round(length * self.test)
        validation = test - round(length * (self.validation or 0))
        bounds = {"train": (0, validation), "validation": (validation, test), "test": (test, length)}
        return range(*bounds[split])

    def _windows(self, part: range) -> int:
        """Return how many windows with a following token a part holds."""
        return max(0, (len(part) - self.context - 1) // (self.stride or self.context) + 1)

    def _too_short(self, split: Split, length: int) -> OptionError:
        tokens = len(self._part(split, length))
        message = f"the {split} part of {self.file} has {tokens:,} tokens, but a window needs {self.context + 1:,}"
        return OptionError(message, "write a smaller context, or use a longer text", "context")
