"""Spec: the whole document, as one frozen object; and its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic_core import ValidationError

from zoo.choice import frozen
from zoo.data import AnyData
from zoo.diagnosis import problems_of
from zoo.errors import SpecError
from zoo.export import Export
from zoo.initializers import AnyInitializer
from zoo.losses import AnyLoss
from zoo.metrics import AnyMetric
from zoo.models import AnyModel
from zoo.optimizers import AnyOptimizer
from zoo.patterns import Pattern
from zoo.schedulers import AnyScheduler
from zoo.source import Source
from zoo.strict import BeforeValidator, Field, Strict
from zoo.train import Train


# Any: a JSON value.
def _several(value: Any) -> Any:
    """Return a list also where one entry stands for it."""
    return (value,) if isinstance(value, dict) else value


class Template(Strict):
    """Layers with parameters, for the Blocks that name it: a string "$NAME" stands for the parameter NAME."""

    defaults: dict[str, Any] | None = None
    """Values of the parameters that a Block need not give."""
    layers: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=10_000)]
    """What each Block of this template stands for."""


class Spec(Strict):
    """What a model is: architecture, data, loss, optimizer, training."""

    schema_reference: Annotated[str | None, Field(alias="$schema")] = None
    """Where the JSON Schema is, for editors."""
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
    """Name of the model, and of its runs: small letters, digits, - and _."""
    summary: Annotated[str, Field(max_length=2000)] = ""
    """What the model does, in a sentence."""
    extends: Annotated[str | None, Field(min_length=1, max_length=4096)] = None
    """A spec, by its path beside this one or by its name in the zoo, that says what this one does not say."""
    data: AnyData
    """Where the rows come from."""
    blocks: dict[str, Template] | None = None
    """Templates of layers, by name, for the Blocks in the model."""
    model: AnyModel
    """The architecture."""
    init: Annotated[tuple[AnyInitializer, ...], BeforeValidator(_several)] = ()
    """How tensors are drawn or loaded before training: one entry, or several in order; the rest as torch draws them."""
    freeze: tuple[Pattern, ...] = ()
    """Names of tensors that are not trained, such as ["*", "!fc.*"]; of the patterns that match, the last one decides.

    A module whose tensors are all frozen stays in evaluation mode: its running statistics do not move.
    """
    loss: AnyLoss
    """What training makes small."""
    metrics: tuple[AnyMetric, ...] = ()
    """What else is measured on the test split after every epoch."""
    optimizer: AnyOptimizer
    """How the weights move."""
    scheduler: AnyScheduler | None = None
    """How the learning rate moves from epoch to epoch."""
    train: Train
    """How long and in what steps."""

    export: Export | None = None
    """What exported files must hold to beside being proven."""

    @property
    def directions(self) -> dict[str, Literal["min", "max"]]:
        """Return what is measured, and whether less or more of it is better."""
        return {"loss": "min", **{metric.name: metric.better for metric in self.metrics}}

    def directed(self) -> Self:
        """Return the spec with the direction of the measurement that early stopping looks at."""
        stopping = self.train.early_stopping
        if stopping is None or stopping.mode is not None:
            return self
        told = stopping.model_copy(update={"mode": self.directions.get(stopping.metric)})
        return self.model_copy(update={"train": self.train.model_copy(update={"early_stopping": told})})

    def portable(self) -> dict[str, Any]:
        """Return the document without `$schema` and without where the data lies: what the model is, on any machine."""
        document = {key: value for key, value in self.document().items() if key != "$schema"}
        data = {key: value for key, value in document["data"].items() if key not in self.data.whereabouts}
        return document | {"data": data}

    def sha256(self) -> str:
        """Return the hash of what the model is; its summary, `export`, and where the data lies, do not count.

        A whole number has one hash, written as 0 or as 0.0: spec.json of a run reads back as the spec that it is of.
        """
        return meaning_sha256(self.document(), self.data.whereabouts)


# Any: a JSON value.
def meaning_sha256(document: Mapping[str, Any], whereabouts: Collection[str]) -> str:
    """Return the hash of what the model is by a resolved document, as the zoo of its day wrote it.

    Args:
        document: the spec as JSON values.
        whereabouts: the options of its data that say where it lies.
    """
    import hashlib  # loads OpenSSL, which no check needs

    meaning = {key: value for key, value in document.items() if key not in ("$schema", "summary", "export")}
    data = {key: value for key, value in document["data"].items() if key not in whereabouts}
    return hashlib.sha256(json.dumps(_whole(meaning | {"data": data}), sort_keys=True).encode()).hexdigest()


# Any: a JSON value.
def _whole(value: Any) -> Any:
    """Return the value with its whole floats as whole numbers."""
    if isinstance(value, dict):
        return {key: _whole(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def parse(source: Source) -> Spec:
    """Return the spec that a source says, by itself: shapes are the check's to judge.

    Raises:
        SpecError: an option is unknown, missing, of the wrong type or out of its range; all of them at once.
    """
    try:
        return Spec.model_validate(frozen(source.value))
    except ValidationError as error:
        raise SpecError(problems_of(source, error, Spec)) from error
