"""The error tree: every way in which zoo refuses, each with an exit status and a remedy.

::

    ZooError                  exit 2: the input is wrong
    ├── SpecError             the spec has problems; carries all of them
    ├── ShapeError            an option does not fit a shape; the check turns it into a problem
    │   └── SizeError         a size is written that is not the one that follows from the input
    ├── UsageError            the command names something that does not exist
    ├── DataError             data is absent, incomplete or unreadable
    │   └── WorkerLost        a process that reads rows has died
    ├── DeviceError           the device asked for is not here
    ├── OutOfMemory           the model, the data or a step does not fit
    ├── RunError              a run directory is absent, unfinished or damaged
    ├── Diverged              the loss is NaN or infinite
    ├── StepRefused           torch refuses a step of the training
    ├── FrozenMoved           exit 1: a frozen tensor is not what it was before the training
    ├── ProcessLost           exit 1: another process of the training has ended
    ├── OutputError           a file cannot be written
    ├── ModelFileError        a model file is none, is damaged, or says what no file may
    ├── ExportError           a model cannot be exported as asked
    │   └── ProofFailed       exit 1: the exported file is not proven equal to the model
    └── Interrupted           exit 128 + signal: the person or the system stopped the work
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

MOST_TOLD = 200  # problems of one kind; a person mends the first and checks again

Path = tuple[str | int, ...]
"""Where in the document: keys and list positions from the top, e.g. ("model", "layers", 0, "bias")."""


@dataclass(frozen=True)
class Place:
    """A stretch of the spec's text, as a person counts it."""

    origin: str
    """The file, or the `--set` argument that said it."""
    line: int = 0
    """Counted from 1; 0 when the origin has no lines."""
    column: int = 0
    """Counted from 1, in characters."""
    text: str = ""
    """The whole line."""
    width: int = 1
    """How many characters of the line are meant."""

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}:{self.column}" if self.line else self.origin

    def excerpt(self) -> str:
        """Return the line with the stretch underlined, where it is known; long lines are cut around it."""
        if not self.line or not self.text:
            return ""
        start = max(0, self.column - 41)
        shown = self.text[start : start + 110].replace("\t", " ")
        width = max(1, min(self.width, len(shown) - (self.column - 1 - start)))
        gutter = f"{self.line:>5} │ "
        margin = " " * (len(gutter) - 2) + "│ "
        return f"{gutter}{shown}\n{margin}{' ' * (self.column - 1 - start)}{'^' * width}\n"


@dataclass(frozen=True)
class Problem:
    """One fault of a spec: where, what was got, what to write."""

    place: Place
    path: Path
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: error: {self.message}\n{self.place.excerpt()}   remedy: {self.remedy}"

    def as_note(self) -> str:
        """Return the words for what is no fault."""
        return f"{self.place}: note: {self.message}\n   remedy: {self.remedy}"

    def record(self) -> dict[str, object]:
        """Return the problem as JSON values."""
        return {
            "file": self.place.origin,
            "line": self.place.line,
            "column": self.place.column,
            "path": ".".join(map(str, self.path)),
            "message": self.message,
            "remedy": self.remedy,
        }


def reason(error: Exception) -> str:
    """Return what an error of another library says, on one line and cut short."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"


class ZooError(Exception):
    """The root: what was got, and what to do instead."""

    exit_status: ClassVar[int] = 2

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"error: {self.message}\n   remedy: {self.remedy}"


class SpecError(ZooError):
    """A spec has one problem or more.

    A problem is told once, also where its text stands for several layers, as a template's or a Repeat's does.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        distinct = {(problem.place, problem.message): problem for problem in reversed(problems)}
        self.problems = tuple(reversed(distinct.values()))
        super().__init__(f"{len(self.problems)} problem(s)", "see each problem")

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class ShapeError(ZooError):
    """An option does not fit the shape it is given; `option` names it, empty for the whole layer."""

    def __init__(self, message: str, remedy: str, option: str = "") -> None:
        super().__init__(message, remedy)
        self.option = option


class SizeError(ShapeError):
    """A written size, `option`, is not the one that follows from the input; what comes out does not depend on it."""


class UsageError(ZooError):
    """A command names something that does not exist."""


class DataError(ZooError):
    """Data is absent, incomplete or unreadable."""


class WorkerLost(DataError):
    """A process that reads rows has died."""


class DeviceError(ZooError):
    """The device asked for is not on this machine."""


class OutOfMemory(ZooError):
    """The model, the data or a step does not fit into the memory of the device."""


class RunError(ZooError):
    """A run directory is absent, unfinished or damaged."""


class Diverged(ZooError):
    """The loss became NaN or infinite."""


class StepRefused(ZooError):
    """Torch refuses a step of the training: the numbers do not fit the loss or a layer."""


class FrozenMoved(ZooError):
    """A frozen tensor is not what it was before the training; no weights are written."""

    exit_status = 1


class ProcessLost(ZooError):
    """Another process of the training has ended before its time."""

    exit_status = 1


class OutputError(ZooError):
    """A file cannot be written."""


class ModelFileError(ZooError):
    """A model file is none, is damaged, or says what no file may."""


class ExportError(ZooError):
    """A model cannot be exported as asked."""


class ProofFailed(ExportError):
    """An exported file is not proven equal to the model; nothing is published."""

    exit_status = 1


class Interrupted(ZooError):
    """A signal stopped the work; what was done is kept."""

    def __init__(self, message: str, remedy: str, signal_number: int) -> None:
        super().__init__(message, remedy)
        self.signal_number = signal_number

    def __str__(self) -> str:
        return f"interrupted: {self.message}\n   to go on: {self.remedy}"
