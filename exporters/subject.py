"""Subject: what is exported — a module in evaluation mode with its spec, its names and its held-out rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from exporters import features
from exporters.locating import Source, find_source
from exporters.outputs import Output
from zoo.build import fresh_model
from zoo.check import CheckedSpec
from zoo.costs import costs
from zoo.data import Rows
from zoo.errors import DataError, RunError
from zoo.run import Run
from zoo.shapes import Shape
from zoo.training.splits import some_rows
from zoo.training.watching import Row

ROWS = 1000  # held-out rows that a proof uses at most
WORK = 40_000_000_000  # multiply-adds for all of them
FEWEST = 32  # rows, whatever they cost
TRACED_ROWS = 3  # a batch of 1 would be baked into recurrent and attention layers without a word

PREPROCESSING = "_preprocessing"  # what holds it in a raw module; no layer is called so: an id begins with a letter


@dataclass(frozen=True)
class Raw:
    """What goes into a module that holds the preprocessing and the decision too."""

    input: Shape
    """A batch as the source has it."""
    axis: int | None
    """The axis of the classes; None where there is no decision."""
    steps: tuple[str, ...]
    """What the module does to it, in order, as JSON."""
    columns: Mapping[str, Sequence[str]]
    """Of a table, the name of each column, and the words that its numbers stand for."""

    def told(self) -> str:
        """Return what the file says of that, as JSON."""
        steps = [json.loads(step) for step in self.steps]
        return json.dumps({"preprocessing": steps, "columns": self.columns}, ensure_ascii=False)


@dataclass(frozen=True)
class Subject:
    """A module to export, on the CPU."""

    module: nn.Module
    checked: CheckedSpec
    rows: torch.Tensor
    """Held-out rows as the model is given them."""
    targets: torch.Tensor
    """Their targets."""
    origin: Literal["trained", "untrained"]
    """"untrained": fresh weights from the seed."""
    metrics: Row
    """The last measurements; empty where the weights are fresh."""
    raw: Raw | None = None
    """Where the module holds the preprocessing and the decision too, what goes into it."""

    @property
    def input(self) -> Shape:
        """Return what the module is given."""
        return self.checked.input if self.raw is None else self.raw.input

    @property
    def weights(self) -> int:
        """Return the bytes of the module's tensors."""
        return sum(tensor.nbytes for tensor in self.module.state_dict().values())

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Return what the module gives: the model's own output, and then what follows from it."""
        shape = self.checked.output
        first = Output(self.output_name, shape)
        if self.raw is None or self.raw.axis is None:
            return (first,)
        axis = self.raw.axis
        classes = shape.with_dims(*shape.dims[:axis], *shape.dims[axis + 1 :]).with_dtype("int64")
        return (first, Output("probabilities", shape), Output("class", classes, axis))

    @property
    def input_name(self) -> str:
        """Return what the input is called in the file."""
        return self.checked.example.input_name

    @property
    def output_name(self) -> str:
        """Return what the output is called in the file."""
        return self.checked.spec.loss.output_name

    @property
    def sequence(self) -> int | None:
        """Return the axis of the input that may have any length; None where there is none."""
        dims = self.input.dims
        return dims.index("T") if "T" in dims else None

    @property
    def values(self) -> int:
        """Return how many values a number of the input may have, where it is a token; 0 where it is none."""
        return self.checked.example.vocabulary or 0

    @property
    def example(self) -> torch.Tensor:
        """Return the rows that the exporters trace with."""
        return self.rows[torch.arange(TRACED_ROWS) % len(self.rows)].contiguous()

    def metadata(self) -> dict[str, str]:
        """Return what the file says of itself: spec, classes or tokens, and what must happen to an input before."""
        spec = self.checked.spec
        before = [transform.document() for transform in spec.data.pipeline()] or features.scaling(self.checked)
        named = features.names(self.checked) if self.raw is None else ()
        tokens = features.tokens(self.checked)
        if len(tokens.get("vocabulary", "")) > features.MOST_CHARACTERS:
            del tokens["vocabulary"]
        return {
            "zoo.name": spec.name,
            "zoo.spec_sha256": spec.sha256(),
            "zoo.origin": self.origin,
            "zoo.classes": json.dumps(self.checked.example.classes, ensure_ascii=False),
            "zoo.preprocessing": json.dumps(before if self.raw is None else []),
            **({"zoo.features": json.dumps(named, ensure_ascii=False)} if named else {}),
            **({"zoo.tokens": json.dumps(tokens, ensure_ascii=False)} if tokens else {}),
        } | ({} if self.raw is None else {"zoo.raw": self.raw.told()})


def find_subject(reference: str | None, overrides: Sequence[str], untrained: bool) -> Subject:
    """Return what a person asks to export: a run's module, or a spec's with fresh weights.

    Raises:
        UsageError: there is no such run or spec, or a spec is named where a run is meant.
        RunError: the run has no weights.
        DataError: there are no held-out rows.
    """
    return subject_of(find_source(reference, overrides, untrained))


def subject_of(source: Source) -> Subject:
    """Return a run's module, or a spec's with fresh weights.

    Raises:
        RunError: the run has no weights.
        DataError: there are no held-out rows.
    """
    if not isinstance(source, Run):
        rows = held_out(source)
        return Subject(fresh_model(source), source, rows.inputs, rows.targets, "untrained", {})
    _require_own_spec(source)
    rows = held_out(source.checked)
    return Subject(source.load_model(), source.checked, rows.inputs, rows.targets, "trained", source.measurements())


def _require_own_spec(run: Run) -> None:
    """Refuse weights that were trained by another spec than the one beside them."""
    weights = run.weights_file
    if not weights.is_file():
        return  # told when they are loaded
    try:
        with safe_open(weights, "pt") as file:
            trained = (file.metadata() or {}).get("spec_sha256")
    except (SafetensorError, OSError):
        return  # told when they are loaded
    if trained is not None and not run.checked.is_of(trained):
        raise RunError(
            f"{run.spec_file} was changed after the training: its hash is not the one in {weights.name}",
            f"put the spec back, or train it: zoo train {run.spec_file}",
        )


def held_out(checked: CheckedSpec) -> Rows:
    """Return the rows to prove an export with: at most 1000, and of models whose rows cost much, fewer.

    Raises:
        DataError: there are none.
    """
    try:
        found = some_rows(checked, "test")
    except DataError as error:
        raise DataError(f"no held-out rows to prove the export with: {error.message}", error.remedy) from error
    count = min(ROWS, max(FEWEST, WORK // max(1, costs(checked).multiply_adds)))
    return found if len(found) <= count else Rows(found.inputs[:count].clone(), found.targets[:count].clone())
