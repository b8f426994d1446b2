"""TextFile: a text as windows of tokens, each with the tokens that follow."""

from __future__ import annotations

import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from zoo.data.data import Example, FilePath, Fraction, Inputs, OptionError, Rows, Split
from zoo.data.paths import no_file, refuse_path
from zoo.data.pieces import read_pieces
from zoo.data.splitting import refuse_validation
from zoo.data.stored import Streamable
from zoo.data.stored_text import StoredText
from zoo.errors import DataError, reason
from zoo.files import is_file
from zoo.shapes import Shape
from zoo.strict import Count, Field, model_validator

if TYPE_CHECKING:
    from torch import Tensor

PART = 2**22  # bytes that are decoded at once; their numbers take some forty times as much for a moment
WRITTEN = (".txt", ".text", ".md", ".csv", ".json", ".html", ".log")  # how the name of a text's file may end
SCANNED = 8 * 2**20  # bytes that a check reads to find the characters: a few hundredths of a second


class TextFile(Streamable):
    """Windows of a text in UTF-8; the targets are the same windows one token later. The end of the text is the test.

    In order the text holds the training part, the validation part, and the test part.
    """

    whereabouts = ("file", *Streamable.streaming)

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
        tokens = self.numbers
        part = self._filled(split, len(tokens))
        numbers = tokens[part.start : part.stop].long()
        windows = numbers.unfold(0, self.context + 1, self.stride or self.context)  # (N, context + 1), a view
        return Rows(windows[:, :-1], windows[:, 1:])

    def stored(self, split: Split) -> StoredText:
        """Return the windows where they lie: in the file where tokens are bytes, else in memory, a byte or few each.

        Raises:
            DataError: as `load`.
        """
        text, length = (self.file, self._size()) if self.tokens == "byte" else (self.numbers, len(self.numbers))
        return StoredText(text, self._filled(split, length), self.context, self.stride or self.context)

    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return texts, or files of text, each as the numbers of its last `context` tokens; "-" is standard input.

        Raises:
            DataError: a text is empty, has characters outside the vocabulary, or another length than the others.
        """
        import torch

        rows = [self.encode(self._content(given))[-self.context :] for given in inputs]
        for given, row in zip(inputs, rows, strict=True):
            if not len(row):
                raise DataError(f"the text {given[:40]!r} is empty", "give a text of one token at least")
            if len(row) != len(rows[0]):
                message = f"the text {given[:40]!r} has {len(row)} tokens, but the first one has {len(rows[0])}"
                raise DataError(message, "give texts of one length, or one after the other")
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
    def numbers(self) -> Tensor:
        """Return the number of each token of the text, (length,), in the smallest dtype that holds them.

        Raises:
            DataError: as `load`.
        """
        import torch

        if self.tokens == "byte":
            return torch.from_numpy(read_pieces(self.file, [0], self._size())[0])
        largest, dtypes = len(self.characters) - 1, (torch.uint8, torch.int16, torch.int32)
        wide = next(dtype for dtype in dtypes if largest <= torch.iinfo(dtype).max)
        parts, line = [], 1
        for text in self._parts():
            parts.append(self._numbers(text, self.file, line).to(wide))
            line += text.count("\n")
        return torch.cat(parts) if parts else torch.empty(0, dtype=wide)

    @cached_property
    def characters(self) -> str:
        """Return the characters in the order of their numbers.

        Raises:
            DataError: they are not written, and the file is absent or not UTF-8.
        """
        return self.vocabulary or "".join(sorted(set().union(*self._parts())))

    def _measured(self) -> tuple[int | None, int]:
        """Return how many tokens the file has, where a glance tells, and how many kinds of them."""
        file = Path(self.file)
        size = file.stat().st_size if is_file(self.file) else None
        if self.tokens == "byte":
            return size, 256
        if size is not None and size <= SCANNED:
            text = "".join(self._parts())
            return len(text), len(self.vocabulary or set(text))
        if self.vocabulary is not None:
            return None, len(self.vocabulary)
        if size is None:
            message = f"no such file: {self.file}, so the vocabulary is not known"
            raise OptionError(message, "set data.file to a text, or write vocabulary", "file")
        message = f"{self.file} has {size:,} bytes, too many to look for its characters in a check"
        raise OptionError(message, "write vocabulary, a string of all its characters; or tokens: byte", "file")

    def _content(self, given: str) -> str:
        """Return a text that a person gives: itself, in a file, or on standard input."""
        if given != "-" and not is_file(given):
            named = given.lower().endswith(WRITTEN) and not any(map(str.isspace, given))
            if named or (os.sep in given and os.path.exists(given)):
                refuse_path(given, "give the path of a text that is here; a text that ends so, on standard input: -")
            return given
        try:
            return (sys.stdin.buffer.read() if given == "-" else Path(given).read_bytes()).decode()
        except (OSError, UnicodeDecodeError) as error:
            name = "standard input" if given == "-" else given
            raise DataError(f"cannot read {name}: {reason(error)}", "give a text in UTF-8") from error

    def _size(self) -> int:
        if not is_file(self.file):
            raise OptionError(no_file(self.file), "set data.file to a text", "file")
        return Path(self.file).stat().st_size

    def _parts(self) -> Iterator[str]:
        """Yield the text as it stands in the file, line ends included, part by part.

        Raises:
            OptionError: the file is absent, or is not UTF-8.
        """
        self._size()
        decoder = getincrementaldecoder("utf-8")()
        place = 0
        try:
            with Path(self.file).open("rb") as file:
                for part in iter(partial(file.read, PART), b""):
                    yield decoder.decode(part)
                    place += len(part)
                yield decoder.decode(b"", final=True)
        except (OSError, UnicodeDecodeError) as error:
            remedy = "write the file in UTF-8, or use byte tokens"
            where = f" behind byte {place:,}" if place else ""
            raise OptionError(f"cannot read {self.file}{where}: {reason(error)}", remedy, "file") from error

    def _numbers(self, text: str | bytes, place: str, first_line: int = 1) -> Tensor:
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
            line = text.count("\n", 0, at) + first_line
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

    def _filled(self, split: Split, length: int) -> range:
        part = self._part(split, length)
        if self._windows(part) < 1:
            raise self._too_short(split, length)
        return part

    def _windows(self, part: range) -> int:
        """Return how many windows with a following token a part holds."""
        return max(0, (len(part) - self.context - 1) // (self.stride or self.context) + 1)

    def _too_short(self, split: Split, length: int) -> OptionError:
        tokens = len(self._part(split, length))
        message = f"the {split} part of {self.file} has {tokens:,} tokens, but a window needs {self.context + 1:,}"
        return OptionError(message, "write a smaller context, or use a longer text", "context")
