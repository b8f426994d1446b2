"""Evaluation: what the kept weights answer on the test split, as far as a report shows it; evaluation.json in a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic_core import ValidationError

from zoo.errors import RunError, reason
from zoo.report.confusion import Confusion, Tally
from zoo.strict import Field, Strict
from zoo.training.evaluation import Recovered

PNG = "data:image/png;base64,"


class Mistake(Strict):
    """An image that is called something else than it is."""

    row: Tally
    """Its number in the test split, from 0."""
    file: str | None = None
    """Its path below the root of the data, where it has one."""
    true: str
    """Its class."""
    predicted: str
    """What it is called."""
    probability: Annotated[float, Field(ge=0, le=1)]
    """What the model gives to that."""
    image: Annotated[str, Field(pattern=rf"^{PNG}[A-Za-z0-9+/=]+$")]
    """The picture as a data address."""


class Scatter(Strict):
    """Numbers of the test split with what the model says; evenly chosen where there are many."""

    numbers: Tally
    """How many there are in all."""
    true: tuple[float, ...]
    """The targets."""
    predicted: tuple[float, ...]
    """The answers, in the same order."""


class Parameter(Strict):
    """A learned parameter beside the one that made the targets."""

    name: str
    """Its name in the state dict, with its place."""
    true: float
    """What made the targets."""
    learned: float
    """What was found."""


class Evaluation(Strict):
    """What a report shows of the kept weights."""

    rows: Tally
    """Rows of the test split."""
    confusion: Confusion | None = None
    """For class numbers, up to a limit of classes."""
    mistakes: tuple[Mistake, ...] = ()
    """For images: the most confident ones first."""
    scatter: Scatter | None = None
    """For numbers."""
    parameters: tuple[Parameter, ...] = ()
    """Where the data knows the true ones."""


def parameters_of(pairs: Sequence[Recovered]) -> tuple[Parameter, ...]:
    """Return learned parameters as they are written."""
    return tuple(Parameter(name=pair.name, true=pair.true, learned=pair.learned) for pair in pairs)


def read_evaluation(path: Path) -> Evaluation | None:
    """Return evaluation.json; None where there is none.

    Raises:
        RunError: it is damaged.
    """
    if not path.is_file():
        return None
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except (OSError, ValueError, ValidationError) as error:
        remedy = "remove the file; the report says the rest without it"
        raise RunError(f"{path} cannot be read: {reason(error)}", remedy) from error
