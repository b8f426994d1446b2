"""ArrayFile: rows from a file of arrays, .npz or .safetensors.

What a check must know stands in the headers: of each .npy member of a .npz, and at the start of a .safetensors file.
Sources: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html and
https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Annotated, ClassVar, Literal, Self

from zoo.data.arrays import Header, read_array, read_headers
from zoo.data.data import ClassNames, Example, Inputs, OptionError, Rows, Split
from zoo.data.image_source import ImageSource
from zoo.data.images import read_images
from zoo.data.splitting import OneFile
from zoo.data.stored import Streamable
from zoo.data.stored_arrays import StoredArray, StoredArrays, require_classes
from zoo.data.tabular import read_rows
from zoo.errors import DataError
from zoo.shapes import Shape
from zoo.strict import Count, Field, model_validator

Key = Annotated[str, Field(min_length=1, max_length=1024)]


class ArrayFile(ImageSource, Streamable, OneFile):
    """Rows from the arrays of a .npz or .safetensors file; its first axis counts the rows.

    Floats become float32; uint8 stays; other whole numbers become int64. Whole numbers as targets are class numbers.
    """

    whereabouts: ClassVar[tuple[str, ...]] = (*OneFile.whereabouts, *Streamable.streaming)
    suffixes: ClassVar[tuple[str, ...]] = (".npz", ".safetensors")
    answering = ("targets", "classes")

    type: Literal["ArrayFile"]
    inputs: Key = "inputs"
    """Name of the array of inputs."""
    targets: Key = "targets"
    """Name of the array of targets."""
    classes: Annotated[Count, Field(le=1_000_000)] | ClassNames | None = None
    """Names of the classes, or how many there are, where the targets are class numbers. Beside these the targets may
    have the ignore_index of the loss."""
    _ignored: int | None = None

    @model_validator(mode="after")
    def _files_are_of_a_known_kind(self) -> Self:
        for name in (self.file, self.validation_file, self.test_file):
            if name is not None and not name.lower().endswith(self.suffixes):
                raise ValueError(f"{name} is neither .npz nor .safetensors; write the path of such a file")
        if self.inputs == self.targets and not self.reconstruct:
            raise ValueError("inputs and targets are the same array; write another name")
        return self

    @property
    def ignored(self) -> int | None:
        """Return the ignore_index of the loss."""
        return self._ignored

    def ignoring(self, number: int | None) -> Self:
        """Return the source with targets that may have a number beside those of the classes, which the loss ignores."""
        told = self.model_copy()
        told._ignored = number
        return told

    def example(self) -> Example:
        """Return what the headers of the file say.

        Raises:
            OptionError: the file is absent, is no file of arrays, or lacks one; or the classes must be written.
        """
        headers = read_headers(self.file)
        inputs = self._header(headers, "inputs")
        if self.reconstruct:
            shape = Shape("N", *inputs.sizes[1:], dtype=inputs.dtype)
            return Example(shape, shape, _called(inputs.sizes), self.training_rows(inputs.sizes[0]))
        targets = self._header(headers, "targets")
        if inputs.sizes[0] != targets.sizes[0]:
            message = f"{self.file} has {inputs.sizes[0]} inputs but {targets.sizes[0]} targets"
            raise OptionError(message, "write one target for each input", "targets")
        names = self._class_names(targets)
        row = targets.sizes[1:] or (() if targets.whole else (1,))
        return Example(
            Shape("N", *inputs.sizes[1:], dtype=inputs.dtype),
            Shape("N", *row, dtype="int64" if targets.whole else "float32"),
            _called(inputs.sizes),
            self.training_rows(inputs.sizes[0]),
            names,
        )

    def load(self, split: Split) -> Rows:
        """Return the rows of a split.

        Raises:
            DataError: the file is absent, damaged or other than its header, or a number is not finite or no class.
        """
        import torch

        known, file = self.example(), self.file_of(split)
        inputs = read_array(file, self.inputs)
        targets = inputs if self.reconstruct else read_array(file, self.targets)
        targets = targets.to(getattr(torch, known.target.dtype))
        targets = targets.unsqueeze(1) if known.target.rank == 2 and targets.ndim == 1 else targets
        for tensor, shape, key in ((inputs, known.input, self.inputs), (targets, known.target, self._answers)):
            if tensor.shape[1:] != shape.row or str(tensor.dtype) != f"torch.{shape.dtype}":
                raise DataError(f"{key} of {file} is not {shape} as in {self.file}", "give files of one kind")
            if tensor.is_floating_point() and not tensor.isfinite().all():
                row = int(tensor.flatten(1).isfinite().all(1).logical_not().nonzero()[0])
                raise DataError(f"{key} of {file} is not finite in row {row}, counted from 0", "remove the row")
        if len(inputs) != len(targets):
            raise DataError(f"{file} has {len(inputs)} inputs but {len(targets)} targets", "write one for each")
        require_classes(targets, len(known.classes), self._ignored, f"{self.targets} of {file}")
        numbers = self.numbers(len(inputs), split)
        chosen = inputs[numbers]
        return Rows(chosen, chosen if self.reconstruct else targets[numbers])

    def stored(self, split: Split) -> StoredArrays | None:
        """Return the rows where they lie; None where the file is packed, or the rows do not stand one after the other.

        Raises:
            DataError: the file is absent, or other than the first one.
        """
        known, file = self.example(), self.file_of(split)
        headers = read_headers(file)
        arrays: list[StoredArray] = []
        for key, shape in ((self.inputs, known.input), (self._answers, known.target)):
            header = headers.get(key)
            if header is None or header.place is None or header.dtype != shape.dtype or header.kind == "u8":
                return None
            if prod(header.sizes[1:]) != shape.row_size or len(header.sizes[1:]) > len(shape.row):
                return None
            arrays.append(StoredArray(file, key, header, shape))
        if arrays[0].header.sizes[0] != arrays[1].header.sizes[0]:
            return None
        numbers = self.numbers(arrays[0].header.sizes[0], split)
        return StoredArrays(arrays[0], arrays[1], numbers, len(known.classes), self._ignored)

    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return typed rows or CSV files where a row is a list of numbers, image files where it is an image."""
        import torch

        shape = self.example().input
        if shape.rank == 4 and shape.dtype == "uint8":
            return Inputs(tuple(inputs), read_images(inputs, *shape.row))
        if shape.rank != 2:
            raise DataError(f"a row of {shape} cannot be typed", "predict from Python, with the run's weights")
        rows = read_rows(inputs, shape.row_size)
        numbers = torch.tensor([row for _, row in rows], dtype=torch.float64).reshape(-1, shape.row_size)
        typed = numbers.to(getattr(torch, shape.dtype))
        if not torch.equal(typed.double(), numbers) and shape.dtype != "float32":
            raise DataError(f"the model takes whole numbers of {shape.dtype}", "write such numbers")
        return Inputs(tuple(name for name, _ in rows), typed)

    @property
    def _answers(self) -> str:
        """Return the name of the array of targets."""
        return self.inputs if self.reconstruct else self.targets

    def resolved(self) -> Self:
        """Return the source with its classes and its test part written."""
        return super().resolved().model_copy(update={"classes": self.example().classes or None})

    def _header(self, headers: dict[str, Header], option: str) -> Header:
        key = getattr(self, option)
        if key not in headers:
            there = ", ".join(sorted(headers)[:12]) or "nothing"
            raise OptionError(f"{self.file} has no array {key!r}", f"write one of: {there}", option)
        header = headers[key]
        if not header.sizes or 0 in header.sizes or (option == "inputs" and len(header.sizes) < 2):
            needed = "an axis that counts rows" + (", and another" if option == "inputs" else "")
            raise OptionError(f"{key} of {self.file} has the sizes {list(header.sizes)}", f"give it {needed}", option)
        if header.dtype == "other":
            raise OptionError(f"{key} of {self.file} holds no numbers", "write whole numbers or floats", option)
        return header

    def _class_names(self, targets: Header) -> tuple[str, ...]:
        if not targets.whole:
            if self.classes is not None:
                message = f"{self.targets} of {self.file} are floats, which are no class numbers"
                raise OptionError(message, "remove classes, or write whole numbers into the file", "classes")
            return ()
        if isinstance(self.classes, tuple):
            return self.classes
        if self.classes is None and targets.largest in (None, self._ignored):
            message = f"how many classes {self.targets} of {self.file} has is not known without reading all of it"
            raise OptionError(message, "write classes: their number, or their names", "type")
        return tuple(map(str, range(self.classes if self.classes is not None else int(targets.largest or 0) + 1)))


def _called(sizes: Sequence[object]) -> str:
    """Return what inputs of such sizes, (N, …), are called in an exported file."""
    return "image" if len(sizes) == 4 else "features"
