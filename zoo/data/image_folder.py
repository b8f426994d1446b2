"""ImageFolder: photographs of any size, in a folder for each split that holds a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from zoo.data.data import ClassNames, Example, FilePath, Fraction, Inputs, OptionError, Rows, Split
from zoo.data.folders import EXTENSIONS, count_images, images_below
from zoo.data.image_source import ImageSource
from zoo.data.paths import beginning, is_folder
from zoo.data.splitting import Seeded, refuse_validation
from zoo.data.stored import Streamable
from zoo.data.stored_images import StoredImages
from zoo.errors import DataError
from zoo.shapes import Shape
from zoo.strict import Field, model_validator


class ImageFolder(ImageSource, Streamable, Seeded):
    """Image files in ROOT/train/CLASS and ROOT/test/CLASS, or ROOT/val/CLASS where there is no test folder.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html
    """

    whereabouts: ClassVar[tuple[str, ...]] = ("root", *Streamable.streaming)

    type: Literal["ImageFolder"]
    root: FilePath
    """Folder that holds train, and test or val; relative to where the command runs."""
    classes: ClassNames | None = None
    """Names of the folders in train, in the order of the class numbers; by default they are looked up, sorted."""
    validation: Fraction | Literal["val"] | None = None  # type: ignore[assignment]  # wider than Seeded's
    """Part of train that is kept out to validate on, or "val" for that folder; by default there is no such split."""
    corrupt: Literal["stop", "skip"] = "stop"
    """What a file does that cannot be decoded: end the training, or be left out.

    To leave them out, every file is decoded once before the training begins, so that an epoch has the same rows always.
    """
    skipped: tuple[Annotated[str, Field(min_length=1, max_length=4096)], ...] | None = None
    """The files below root that are left out, with corrupt: skip; by default those that cannot be decoded.

    A training writes them into its run, so that it stays what it is.
    """

    @model_validator(mode="after")
    def _class_names_are_different(self) -> Self:
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError("a class stands twice in classes; remove one")
        return self

    @model_validator(mode="after")
    def _skipping_is_wanted(self) -> Self:
        if self.skipped is not None and self.corrupt != "skip":
            raise ValueError('skipped says nothing without corrupt; write "corrupt": "skip", or remove it')
        return self

    @property
    def laborious(self) -> bool:
        """Return True: images are decoded."""
        return True

    def _draws(self) -> bool:
        return isinstance(self.validation, float)

    def training_rows(self, rows: int) -> int:
        """Return how many of so many rows in train are trained on."""
        return super().training_rows(rows) if self._draws() else rows

    def example(self) -> Example:
        """Return colour images of any size and class numbers.

        Raises:
            OptionError: the root is absent and the classes are not written, or they are others than the folders.
        """
        there = is_folder(Path(self.root) / "train")
        classes = self.class_names()
        rows = count_images(Path(self.root) / "train" / name for name in classes) if there else None
        images = Shape("N", 3, "H", "W", dtype="uint8")
        if rows is not None and self.corrupt == "skip":
            rows = None if self.skipped is None else rows - sum(Path(name).parts[0] == "train" for name in self.skipped)
        known = None if rows is None else self.training_rows(rows)
        return Example(images, Shape("N", dtype="int64"), "image", known, classes)

    def class_names(self) -> tuple[str, ...]:
        """Return the classes in the order of their numbers: those that are written, or the folders of train.

        Raises:
            OptionError: neither is there, or they differ.
        """
        folder = Path(self.root) / "train"
        if not is_folder(folder):
            if self.classes is None:
                message = f"data.root {self.root!r}: there is no folder {folder}, so the classes are not known"
                raise OptionError(message, "set data.root to the folder that holds train, or write classes", "root")
            return self.classes
        try:
            found = tuple(sorted(entry.name for entry in os.scandir(folder) if entry.is_dir()))
        except OSError as error:
            raise OptionError(f"cannot list {folder}: {error.strerror}", "check its permissions", "root") from error
        if not found:
            raise OptionError(f"{folder} holds no folder of a class", "put the images into train/CLASS", "root")
        if self.classes is not None and set(found) != set(self.classes):
            odd = sorted(set(found) ^ set(self.classes))[0]
            where = f"{folder}, but not in classes" if odd in found else f"classes, but not in {folder}"
            raise OptionError(f"the class {odd!r} is in {where}", "write the names of the folders", "classes")
        return self.classes or found

    def resolved(self) -> Self:
        """Return the source with its classes written."""
        return self.model_copy(update={"classes": self.class_names()})

    def fitted(self) -> Self:
        """Return the source with the files written that are left out.

        Raises:
            DataError: as `load`.
        """
        return self if self.corrupt == "stop" else self.model_copy(update={"skipped": self.left_out})

    def missing(self) -> tuple[OptionError, ...]:
        """Return that there is no folder to test on, or not the one that is validated on."""
        if not is_folder(Path(self.root) / "train"):
            return ()
        validated = self.validation == "val"
        try:
            for split in ("validation", "test") if validated else ("test",):
                self.folder(split)
        except DataError as error:
            return (OptionError(error.message, error.remedy, "validation" if validated else "root"),)
        return ()

    def doubts(self) -> tuple[OptionError, ...]:
        """Return that a training would miss the folder of its rows."""
        try:
            self.folder("train")
        except DataError as error:
            return (OptionError(error.message, f"{error.remedy}{beginning(self.root)}", "root"),)
        return ()

    def notes(self) -> tuple[str, ...]:
        """Return which files are left out."""
        if not self.skipped:
            return ()
        return (f"{len(self.skipped)} file(s) cannot be decoded and are skipped: {', '.join(self.skipped[:12])}",)

    def load(self, split: Split) -> Rows:
        """Return the images, resized by the early transforms, as uint8 of (N, channels, height, width); class numbers.

        Raises:
            DataError: a folder or a class of it is absent or empty, a file is no image, or sizes differ.
        """
        return self.stored(split).load()

    def stored(self, split: Split) -> StoredImages:
        """Return the files of a split.

        Raises:
            DataError: a folder or a class of it is absent or empty.
        """
        left_out = set(self.left_out)
        files = [file for file in self._files(split) if not left_out or self._below(file[0]) not in left_out]
        chosen = self.chosen(len(files), split) if self._draws() else None
        files = files if chosen is None else [files[number] for number in chosen.tolist()]
        if not files:
            raise DataError(f"{self.folder(split)} holds no image that can be decoded", "put whole images there")
        return self._of(files)

    def row_names(self, split: Split) -> tuple[str, ...]:
        """Return the path of each image below root; a name that is no text is written with escapes.

        Raises:
            DataError: as `stored`.
        """
        paths = (os.fsencode(self._below(path)) for path in self.stored(split).paths)
        return tuple(path.decode("utf-8", "backslashreplace") for path in paths)

    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return image files, resized by the early transforms."""
        import torch

        files = StoredImages(tuple(inputs), (0,) * len(inputs), super().early(), "give a whole PNG or JPEG file")
        return Inputs(tuple(inputs), files.load().inputs if inputs else torch.empty(0, 3, 0, 0, dtype=torch.uint8))

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """Return the files below root that are left out.

        Raises:
            DataError: as `stored`.
        """
        if self.corrupt == "stop" or self.skipped is not None:
            return self.skipped or ()
        folders = {self.folder(split): split for split in self.splits}
        return tuple(self._below(path) for split in folders.values() for path in self._of(self._files(split)).faults())

    def _of(self, files: Iterable[tuple[str, int]]) -> StoredImages:
        paths, classes = zip(*files, strict=True)
        remedy = 'mend or remove the file; or write "corrupt": "skip" into data'
        if self.corrupt == "skip":
            remedy = "it has changed since data.skipped was written: mend it, or train anew"
        return StoredImages(paths, classes, super().early(), remedy)

    def _below(self, path: str) -> str:
        return os.path.relpath(path, self.root)

    def early(self) -> tuple[()]:
        """Return nothing: images of different sizes cannot be loaded before they are resized."""
        return ()

    def folder(self, split: Split) -> Path:
        """Return the folder of a split.

        Raises:
            DataError: it is absent, or there is no validation split.
        """
        root = Path(self.root)
        if split == "validation" and self.validation is None:
            refuse_validation()
        own_validation = split == "validation" and self.validation == "val"
        names = ["val"] if own_validation else ["test"] if split == "test" else ["train"]
        if split == "test" and self.validation != "val":
            names.append("val")
        for name in names:
            if is_folder(root / name):
                return root / name
        message = f"data.root {self.root!r}: there is no folder {' or '.join(str(root / name) for name in names)}"
        if split == "test" and self.validation == "val":
            raise DataError(
                message, 'add it, or validate on rows of train, such as "validation": 0.1; val is then the test'
            )
        if split == "test":
            raise DataError(message, "add one of them, with a folder of images for each class")
        raise DataError(message, f"set data.root to the folder that holds {names[0]}")

    def _files(self, split: Split) -> Iterator[tuple[str, int]]:
        """Yield the paths and class numbers of a split, in torchvision's order."""
        folder, classes = self.folder(split), self.class_names()
        odd = sorted({entry.name for entry in os.scandir(folder) if entry.is_dir()} - set(classes))
        if odd:
            raise DataError(f"{folder} holds {odd[0]!r}, which is no class of train", "remove the folder")
        for number, name in enumerate(classes):
            paths = images_below(folder / name)
            if not paths:
                remedy = f"put images there ({', '.join(EXTENSIONS)}), or remove the class"
                raise DataError(f"{folder / name} holds no images", remedy)
            for path in paths:
                yield path, number
