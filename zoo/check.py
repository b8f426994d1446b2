"""The check: every problem of a spec at once, with place and remedy, before any data is read and without torch."""

from __future__ import annotations

import keyword
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from zoo.checked import CheckedSpec
from zoo.contradictions import contradictions, training_contradictions
from zoo.data import Example, OptionError
from zoo.data.paths import beginning
from zoo.errors import MOST_TOLD, DataError, Path, Problem, ShapeError, SpecError
from zoo.inheritance import read_spec
from zoo.layers import Layer
from zoo.placed import PlacedLayer
from zoo.placing import INPUT_ID, Placer, nested
from zoo.search import unset
from zoo.shapes import Shape
from zoo.source import Source
from zoo.spec import Spec, parse
from zoo.templates import written_out
from zoo.transforms.geometry import Resize

__all__ = ["RESERVED", "CheckedSpec", "PlacedLayer", "check", "check_file"]

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
RESERVED = frozenset(_KEPT.split()) | frozenset(keyword.kwlist) | {INPUT_ID, "self", "shortcut"}
"""Names that torch modules and exported graphs keep for themselves, or cannot carry in their code."""


def check(source: Source, trained: bool = False) -> CheckedSpec:
    """Return the spec with its shapes.

    Args:
        source: what is written.
        trained: whether it is that of a run, which answers where rows that it does not use are gone.

    Raises:
        SpecError: the spec has problems; all that can be told at once.
    """
    searches = unset(source)
    if searches:
        raise SpecError(searches)
    source, misplaced = written_out(source)
    try:
        spec = parse(source)
    except SpecError as error:
        raise SpecError((*misplaced, *(error.problems if misplaced else _told(source, error.problems)))) from error
    if misplaced:
        raise SpecError(misplaced)
    checked, placed, problems = _placed(source, _looked_up(source, spec))
    problems += contradictions(checked) if placed else training_contradictions(checked)
    problems += [] if trained else [_of_data(source, spec, error) for error in spec.data.missing()]
    if problems:
        raise SpecError(tuple(problems))
    return replace(checked, notes=tuple(_notes(checked, spec)))


def _notes(checked: CheckedSpec, spec: Spec) -> Iterator[Problem]:
    """Yield what is not as a person may think, of a spec as it is written, though it is right."""
    source, example, train = checked.source, checked.example, spec.train
    for doubt in spec.data.doubts():
        yield source.problem(("data", doubt.option), doubt.message, doubt.remedy)
    if len(example.classes) == 1:
        message = f"all rows are of one class, {example.classes[0]!r}: there is nothing to tell apart"
        yield source.problem(("data", "type"), message, "give rows of another class")
    rows = example.training_rows
    if rows is not None and train.batch_size > rows:
        message = (
            f"batch_size is {train.batch_size:,}, and the training split has {rows:,} rows: each epoch is one step"
        )
        yield source.problem(("train", "batch_size"), message, f"write {rows:,} or fewer")


STAND_INS = {
    "loss": {"type": "MSELoss"},
    "model": {"layers": [{"type": "Identity"}]},
    "name": "spec",
    "optimizer": {"type": "SGD"},
    "train": {"epochs": 1, "batch_size": 1},
}
"""What a spec must say, for a while, where its own part is wrong."""


def _told(source: Source, wrong: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return the problems of a spec that cannot be read whole, with those of its other parts by themselves."""
    parts = {problem.path[0] if problem.path else "" for problem in wrong}
    if parts & {"", "data"}:
        return wrong
    kept = {key: value for key, value in source.value.items() if key not in parts}
    source = replace(source, value=kept | {key: value for key, value in STAND_INS.items() if key in parts})
    try:
        spec = parse(source)
        checked, _, problems = _placed(source, _looked_up(source, spec))
    except SpecError as error:  # a loss may say what the data may hold
        return wrong if "loss" in parts else (*wrong, *error.problems)
    trained = not parts & {"loss", "metrics", "optimizer", "scheduler", "train"}
    missing = (_of_data(source, spec, error) for error in spec.data.missing())
    return (*wrong, *problems, *(training_contradictions(checked) if trained else ()), *missing)


def _placed(source: Source, spec: Spec) -> tuple[CheckedSpec, bool, list[Problem]]:
    """Return the spec with its layers, whether each has found its place, and the problems on the way."""
    problems: list[Problem] = []
    example = spec.data.example()
    input_shape = _transformed(source, spec, example, problems)
    if spec.data.mirrors:
        example = replace(example, target=input_shape or example.input, classes=())
    layers, below = spec.model.parts()
    problems += islice(_name_problems(source, layers, ("model", *below)), MOST_TOLD)
    placer = Placer(source, input_shape or example.input, example.sizes, problems=problems, lacking=spec.data.lacking)
    placed = input_shape is not None and placer.place(layers, ("model", *below))
    return CheckedSpec(source, spec, example, placer.input, tuple(placer.steps)), placed, problems


def check_file(reference: str, overrides: Sequence[str] = (), trained: bool = False) -> CheckedSpec:
    """Return the spec that a path or a name of the zoo says, with its shapes.

    Args:
        reference: the path, or the name.
        overrides: PATH=VALUE, each.
        trained: as `check` takes it.

    Raises:
        UsageError: there is no such spec.
        SpecError: it has problems.
    """
    return check(read_spec(reference, overrides), trained)


def _looked_up(source: Source, spec: Spec) -> Spec:
    """Return the spec with what follows from others written into it, such as the names of the classes in files.

    Raises:
        SpecError: the files are absent or hold something else.
    """
    try:
        data = spec.data.ignoring(spec.loss.ignored).resolved()
        data.example()
    except DataError as error:
        raise SpecError((_of_data(source, spec, error),)) from error
    return spec.model_copy(update={"data": data}).directed()


def _of_data(source: Source, spec: Spec, error: DataError) -> Problem:
    """Return the problem of a spec whose data refuses its options, at the option that is to blame."""
    whereabouts = spec.data.whereabouts
    option = error.option if isinstance(error, OptionError) else (whereabouts or ("type",))[0]
    remedy = error.remedy + (_elsewhere(source, spec, option) if option in whereabouts else "")
    return source.problem(("data", option), error.message, remedy)


def _elsewhere(source: Source, spec: Spec, option: str) -> str:
    """Return the end of a remedy that says where a relative path begins, and whether it leads on beside the spec."""
    given = str(getattr(spec.data, option))
    beside = os.path.join(os.path.dirname(source.origin), given)
    if os.path.exists(given) or not beginning(given):
        return ""
    return beginning(given) + (f"; beside the spec there is {beside}" if os.path.exists(beside) else "")


def _transformed(source: Source, spec: Spec, example: Example, problems: list[Problem]) -> Shape | None:
    """Return the shape that the model is given; None where a transform refuses its input, or sizes stay unknown."""
    fixed = _routed(source, spec, example, False, problems)
    drawn = _routed(source, spec, example, True, problems) if spec.data.random() and fixed is not None else fixed
    if fixed is None or drawn is None:
        return None
    if fixed != drawn:
        message = f"the augmentation gives {drawn} in training, but the model is given {fixed} afterwards"
        problems.append(source.problem(("data", "augmentation"), message, "make both sizes alike"))
        return None
    if {"H", "W"} & set(fixed.dims):
        problems.append(_no_one_size(source, spec, fixed))
        return None
    return fixed


def _no_one_size(source: Source, spec: Spec, given: Shape) -> Problem:
    """Return the problem of images that keep sizes of their own, which a Resize to a single number lets them."""
    resized = [(place, one) for place, one in spec.data.route(False) if isinstance(one, Resize)]
    place, last = resized[-1] if resized else ((), None)
    if last is None or isinstance(last.size, tuple):
        message = f"the images have sizes of their own, {given}, but the model needs one size"
        remedy = 'add {"type": "Resize", "size": [224, 224]} to data.transforms'
        return source.problem(("data", "transforms"), message, remedy)
    side = last.size or last.max_size
    message = "Resize to one side keeps the images' proportions, and so sizes of their own; the model needs one size"
    remedy = f'write "size": [{side}, {side}]'
    remedy += f', or put {{"type": "CenterCrop", "size": {side}}} below it' if last.size is not None else ""
    return source.problem(("data", *place, "size" if last.size is not None else "max_size"), message, remedy)


def _routed(source: Source, spec: Spec, example: Example, training: bool, problems: list[Problem]) -> Shape | None:
    """Return the shape behind the transforms of training, or of the other splits; None where one refuses its input."""
    shape, giver = example.input, "the data"
    for place, declared in spec.data.route(training):
        try:
            transform = declared.with_classes(len(example.classes))
            shape = transform.output_shape(shape)
        except ShapeError as error:
            path: Path = ("data", *place, error.option or "type")
            message = f"{error.message}, but {giver} gives {shape}"
            problems.append(source.problem(path, message, error.remedy))
            return None
        giver = f"{type(transform).__name__} before it"
    return shape


def _name_problems(source: Source, layers: tuple[Layer, ...], path: Path) -> Iterator[Problem]:
    """Yield the problems of ids, in a list of layers and in the lists inside them."""
    seen: set[str] = set()
    for index, layer in enumerate(layers):
        here: Path = (*path, index, "id")
        if layer.id in RESERVED:
            message = f'the id "{layer.id}" is a name that torch keeps for itself'
            yield source.problem(here, message, f'write another, such as "{layer.id}_layer"')
        elif layer.id in seen:
            yield source.problem(here, f'two layers have the id "{layer.id}"', "write another id")
        if layer.id is not None:
            seen.add(layer.id)
        for inner, parts in nested(layer):
            yield from _name_problems(source, parts, (*path, index, *inner))
