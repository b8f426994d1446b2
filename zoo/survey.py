"""Survey: many specs checked in one go, named by paths, folders, globs, or names of the zoo."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.catalog import SCHEMA_NAME
from zoo.errors import Problem, SpecError, UsageError
from zoo.inheritance import read_spec
from zoo.searched import check_searched

_WILD = frozenset("*?[")
RECORDS = {"certificate.json", "environment.json", "evaluation.json", "frozen.json"}
"""What zoo writes into runs and bundles; in a folder they are no specs that a person forgot to mend."""


@dataclass(frozen=True)
class Survey:
    """What the check of several specs found."""

    clean: tuple[str, ...]
    """The specs without problems."""
    faulty: tuple[str, ...]
    """The specs with problems."""
    problems: tuple[Problem, ...]
    """All problems, spec by spec."""
    absent: tuple[UsageError, ...]
    """What was named and is not there, or cannot be read."""
    passed_over: tuple[str, ...]
    """Files that are no specs: the JSON Schema, which stands beside them."""
    notes: tuple[Problem, ...] = ()
    """What is not as a person may think, in specs without problems."""

    @property
    def passed(self) -> bool:
        """Return whether there is nothing to mend."""
        return not (self.problems or self.absent)

    def summary(self) -> str:
        """Return the outcome in one line: "3 specs: ok", "5 problems in 2 of 3 specs"."""
        checked = len(self.clean) + len(self.faulty) + len(self.absent)
        if not self.problems:
            return f"{len(self.clean)} of {checked} specs: ok" if self.absent else f"{counted(checked, 'spec')}: ok"
        found = counted(len(self.problems), "problem")
        return found if checked == 1 else f"{found} in {len(self.faulty)} of {checked} specs"


def counted(count: int, noun: str) -> str:
    """Return "1 spec", "2 specs"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def survey(references: Sequence[str], overrides: Sequence[str] = ()) -> Survey:
    """Return what the check says of each spec named, each checked once."""
    found, absent = _expanded(references)
    passed_over = tuple(name for name in found if Path(name).name == SCHEMA_NAME)
    clean: list[str] = []
    faulty: list[str] = []
    problems: list[Problem] = []
    notes: list[Problem] = []
    for name in found:
        if name in passed_over:
            continue
        try:
            searched = check_searched(read_spec(name, overrides))
        except SpecError as error:
            problems += error.problems
            faulty.append(name)
        except UsageError as error:
            absent.append(error)
        else:
            clean.append(name)
            notes += dict.fromkeys(note for point in searched.points for note in point.notes)
    if passed_over and not (clean or faulty or absent):
        message = f"{passed_over[0]} is the JSON Schema of specs, and no spec"
        absent.append(UsageError(message, "name the specs beside it"))
    return Survey(tuple(clean), tuple(faulty), tuple(problems), tuple(absent), passed_over, tuple(notes))


def _expanded(references: Sequence[str]) -> tuple[list[str], list[UsageError]]:
    """Return the files and names that are meant, each once, and what names nothing."""
    found: dict[str, str] = {}
    absent: list[UsageError] = []
    for reference in references:
        names = list(_meant(reference))
        if not names:
            what = "no file is named so" if _WILD & set(reference) else "the folder has no .json file"
            absent.append(UsageError(f"{reference}: {what}", "name a spec, or a folder that has some"))
        for name in names:
            found.setdefault(os.path.realpath(name), name)
    return list(found.values()), absent


def _meant(reference: str) -> Iterator[str]:
    """Yield the files of a folder or of a glob; anything else as it stands."""
    if os.path.isdir(reference):
        yield from _below(reference)
    elif _WILD & set(reference) and not os.path.lexists(reference):
        for name in sorted(glob.glob(reference, recursive=True)):
            yield from _below(name) if os.path.isdir(name) else (name,)
    else:
        yield reference


def _below(folder: str) -> Iterator[str]:
    """Yield each .json file below a folder, in order; hidden folders, such as .git, are left alone."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(place, name) for name in sorted(files) if _may_be_spec(name))


def _may_be_spec(name: str) -> bool:
    return name.endswith(".json") and name not in RECORDS
