"""The check: every problem of a spec at once, with place and remedy, before any data is read and without torch."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from zoo.data import Example
from zoo.errors import Path, Problem, ShapeError, SpecError
from zoo.layers import Layer
from zoo.losses import Loss
from zoo.metrics import Metric
from zoo.placing import INPUT_ID, PlacedLayer, Placer, nested
from zoo.shapes import Shape
from zoo.source import Source, read_source
from zoo.spec import Spec, parse

_KEPT = """
T_destination add_module add_submodule append apply bfloat16 buffers call_super_init children code compile cpu cuda
delete_all_unused_submodules delete_submodule double dump_patches eval extend extra_repr float forward get_buffer
get_extra_state get_parameter get_submodule graph half insert ipu load_state_dict meta modules mtia named_buffers
named_children named_modules named_parameters parameters pop print_readable recompile register_backward_hook
register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state
set_submodule shape_env share_memory state_dict to to_empty to_folder train training type xpu zero_grad
"""
RESERVED = frozenset(_KEPT.split()) | frozenset(keyword.kwlist) | {INPUT_ID, "shortcut"}
"""Names that torch modules and exported graphs keep for themselves, or cannot carry in their code."""


@dataclass(frozen=True)
class CheckedSpec:
    """A spec without problems, with all that the check found out."""

    source: Source
    spec: Spec
    example: Example
    input: Shape
    """What the model is given: after the transforms."""
    layers: tuple[PlacedLayer, ...]

    @property
    def output(self) -> Shape:
        """Return what the model gives."""
        return self.layers[-1].output

    @property
    def parameter_counts(self) -> tuple[int, ...]:
        """Return how many parameters each layer learns."""
        return tuple(
            sum(prod(sizes) for sizes in placed.layer.parameter_shapes(placed.input).values()) for placed in self.layers
        )

    @property
    def smallest_training_batch(self) -> int:
        """Return the fewest rows that torch trains every layer on."""
        return max(placed.layer.smallest_training_batch(placed.input) for placed in self.layers)


def check(source: Source) -> CheckedSpec:
    """Return the spec with its shapes.

    Raises:
        SpecError: the spec has problems; all that can be told at once.
    """
    spec = parse(source)
    problems: list[Problem] = []
    example = spec.data.example()
    input_shape = _transformed(source, spec, example, problems)
    layers, below = spec.model.parts()
    problems += _name_problems(source, layers, ("model", *below))
    placer = Placer(source, input_shape or example.input, example.sizes, problems=problems)
    if input_shape is None or not placer.place(layers, ("model", *below)):
        raise SpecError(tuple(dict.fromkeys(problems)))
    checked = CheckedSpec(source, spec, example, input_shape, tuple(placer.steps))
    _judge_output(checked, problems)
    _judge_batches(checked, problems)
    if problems:
        raise SpecError(tuple(problems))
    return checked


def check_file(reference: str, overrides: Sequence[str] = ()) -> CheckedSpec:
    """Return the spec that a path or a name of the zoo says, with its shapes.

    Raises:
        UsageError: there is no such spec.
        SpecError: it has problems.
    """
    return check(read_source(reference, overrides))


def _transformed(source: Source, spec: Spec, example: Example, problems: list[Problem]) -> Shape | None:
    """Return the shape that the model is given; None where a transform refuses its input."""
    shape, giver = example.input, "the data"
    for index, transform in enumerate(spec.data.pipeline()):
        try:
            shape = transform.output_shape(shape)
        except ShapeError as error:
            path: Path = ("data", "transforms", index, error.option or "type")
            problems.append(source.problem(path, f"{error.message}, but {giver} gives {shape}", error.remedy))
            return None
        giver = f"{type(transform).__name__} before it"
    return shape


def _name_problems(source: Source, layers: tuple[Layer, ...], path: Path) -> list[Problem]:
    """Return the problems of ids, in a list of layers and in the lists inside them."""
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, layer in enumerate(layers):
        here: Path = (*path, index, "id")
        if layer.id in RESERVED:
            message = f'the id "{layer.id}" is a name that torch keeps for itself'
            problems.append(source.problem(here, message, f'write another, such as "{layer.id}_layer"'))
        elif layer.id in seen:
            problems.append(source.problem(here, f'two layers have the id "{layer.id}"', "write another id"))
        if layer.id is not None:
            seen.add(layer.id)
        for inner, parts in nested(layer):
            problems += _name_problems(source, parts, (*path, index, *inner))
    return problems


def _judge_output(checked: CheckedSpec, problems: list[Problem]) -> None:
    """Hold the model's output against the loss, the metrics and the classes."""
    source, spec, target = checked.source, checked.spec, checked.example.target
    judges: list[tuple[Path, Loss | Metric]] = [(("loss",), spec.loss)]
    judges += [(("metrics", index), metric) for index, metric in enumerate(spec.metrics)]
    for path, judge in judges:
        try:
            judge.require(checked.output, target)
        except ShapeError as error:
            problems.append(source.problem((*path, "type"), error.message, error.remedy))
    names = [metric.name for metric in spec.metrics]
    for index, name in enumerate(names):
        if name in names[:index]:
            message = f"the metric {type(spec.metrics[index]).__name__} stands twice"
            problems.append(source.problem(("metrics", index, "type"), message, "keep one of them"))
    classes = len(checked.example.classes)
    given = checked.output.dims[1] if checked.output.rank > 1 else 0
    if classes and target.dtype == "int64" and given != classes and not problems:
        last = checked.layers[-1]
        message = f"the model gives {checked.output}, but {type(spec.data).__name__} has {classes} classes"
        remedy = 'write "out_features": "classes" in the last Linear'
        option = "out_features" if "out_features" in type(last.layer).model_fields else "type"
        problems.append(source.problem((*last.path, option), message, remedy))


def _judge_batches(checked: CheckedSpec, problems: list[Problem]) -> None:
    """Refuse a last step of an epoch that has fewer rows than torch trains a layer on."""
    rows, size, fewest = checked.example.training_rows, checked.spec.train.batch_size, checked.smallest_training_batch
    last = rows % size or min(size, rows)
    if last < fewest:
        message = (
            f"{rows:,} rows in steps of {size} leave a last step of {last}, but a layer trains on {fewest} or more"
        )
        remedy = "write a batch_size that leaves another remainder, or use LayerNorm in place of BatchNorm1d"
        problems.append(checked.source.problem(("train", "batch_size"), message, remedy))
