"""Contradictions: what each part of a spec says by itself, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoo.checked import CheckedSpec
from zoo.errors import Path, Problem, ShapeError
from zoo.initializers import Filling
from zoo.losses import Loss
from zoo.metrics import Metric
from zoo.nearest import suggestion
from zoo.override import echo
from zoo.patterns import idle, selected
from zoo.placing import shown
from zoo.shapes import Shape

MOST_COMPARISONS = 100_000_000  # of letters in patterns with letters in names: half a second at worst


def contradictions(checked: CheckedSpec) -> list[Problem]:
    """Return the problems that show only when the parts of a spec are held against one another."""
    if not isinstance(checked.layers[-1].result, Shape) or not checked.output.batched:
        return [_no_single_output(checked)]
    problems: list[Problem] = []
    _judge_output(checked, problems)
    for judge in (_batch_problems, _scheduler_problems, _train_problems):
        problems += judge(checked)
    too_many = list(_too_many_patterns(checked))
    for judge in () if too_many else (_pattern_problems, _init_problems):
        problems += judge(checked)
    problems += too_many
    return problems


def _no_single_output(checked: CheckedSpec) -> Problem:
    last = checked.layers[-1]
    message = f"the model must give one tensor of rows, but {type(last.layer).__name__} gives {shown(last.result)}"
    return checked.source.problem((*last.path, "type"), message, 'put {"type": "Select", "index": 0} below it')


def _too_many_patterns(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield a problem where the patterns are more than can be held against so many tensors in a moment."""
    spec, names = checked.spec, checked.parameters
    several = [group.match for group in spec.optimizer.parameter_groups]
    several += [one.match for one in spec.init if isinstance(one, Filling)]
    patterns = [*spec.freeze, *(part for match in several for part in ((match,) if isinstance(match, str) else match))]
    if sum(map(len, patterns)) * sum(map(len, names)) > MOST_COMPARISONS:
        path: Path = ("freeze",) if spec.freeze else ("optimizer",) if spec.optimizer.parameter_groups else ("init",)
        message = f"{len(patterns):,} patterns for {len(names):,} tensors are too many"
        yield checked.source.problem(path, message, "write fewer patterns, with more stars")


def _pattern_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield the problems of patterns that match no tensor, and of a freeze that leaves nothing to train."""
    source, names = checked.source, list(checked.parameters)
    freeze = checked.spec.freeze
    yield from _idle(checked, ("freeze",), freeze, names)
    frozen = set(selected(freeze, names))
    if names and len(frozen) == len(names):
        message = "every tensor is frozen, so nothing is trained"
        yield source.problem(("freeze",), message, f'let one go: add "!{names[-1]}"')
    left = [name for name in names if name not in frozen]
    for index, group in enumerate(checked.spec.optimizer.parameter_groups):
        path: Path = ("optimizer", "groups", index, "match")
        patterns = (group.match,) if isinstance(group.match, str) else group.match
        trained = [name for name in names if name not in frozen]
        said = list(_idle(checked, path, patterns, trained, " that is trained"))
        yield from said
        taken = selected(patterns, left)
        if not (taken or said):
            message = "the groups above take every tensor that this one matches"
            yield source.problem(path, message, "put the group with fewer tensors first")
        left = [name for name in left if name not in taken]


def _idle(
    checked: CheckedSpec, path: Path, patterns: tuple[str, ...], names: Sequence[str], which: str = ""
) -> Iterator[Problem]:
    """Yield a problem for each pattern that fits none of the names."""
    for index in idle(patterns, names):
        here = path if path[-1] == "match" and len(patterns) == 1 else (*path, index)
        message = f'the pattern "{echo(patterns[index])}" matches no tensor{which}'
        yield checked.source.problem(here, message, suggestion(patterns[index].lstrip("!"), names))


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


def batch_fault(checked: CheckedSpec, rows: int) -> tuple[str, str] | None:
    """Return what is wrong with an epoch of so many rows, and the remedy; None where torch can train on each step."""
    train, fewest = checked.spec.train, checked.smallest_training_batch
    size = train.batch_size
    if not train.steps(rows):
        return f"drop_last leaves no step: {rows:,} rows are fewer than {size}", "write a smaller batch_size"
    last = size if train.drop_last else rows % size or min(size, rows)
    if last >= fewest:
        return None
    message = f"{rows:,} rows in steps of {size} leave a last step of {last}, but a layer trains on {fewest} or more"
    return message, 'write a batch_size that leaves another remainder, or "drop_last": true'


def _batch_problems(checked: CheckedSpec) -> Iterator[Problem]:
    rows = checked.example.training_rows
    fault = batch_fault(checked, rows) if rows is not None else None
    if fault is not None:
        yield checked.source.problem(("train", "batch_size"), *fault)


def _scheduler_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield what a scheduler does not go together with: optimizer, length of the training, measurements."""
    spec, rows = checked.spec, checked.example.training_rows
    scheduler = spec.scheduler
    if scheduler is None:
        return
    steps = 1 if scheduler.interval == "epoch" else None if rows is None else spec.train.moves(rows)
    try:
        if steps is not None:
            scheduler.require(spec.optimizer, spec.train.epochs * steps)
    except ShapeError as error:
        yield checked.source.problem(("scheduler", error.option or "type"), error.message, error.remedy)
    if scheduler.watched is not None:
        yield from _unmeasured(checked, ("scheduler",), type(scheduler).__name__, scheduler.watched)


def _unmeasured(checked: CheckedSpec, path: Path, watcher: str, watched: str) -> Iterator[Problem]:
    """Yield what keeps somebody from looking at a measurement of the validation split."""
    spec = checked.spec
    known = ["loss", *(metric.name for metric in spec.metrics)]
    if watched not in known:
        message = f'{watcher} looks at "{watched}", which nothing measures'
        yield checked.source.problem((*path, "metric"), message, suggestion(watched, known))
    if "validation" not in spec.data.splits:
        message = f"{watcher} needs a validation split to look at, but the data has none"
        yield checked.source.problem((*path, "type"), message, 'write "validation": 0.1 in data')


def _train_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield what the way of training does not go together with."""
    train, target = checked.spec.train, checked.example.target
    if train.early_stopping is not None:
        yield from _unmeasured(checked, ("train", "early_stopping"), "early_stopping", train.early_stopping.metric)
    if train.sampler == "balanced" and not (checked.example.classes and target.rank == 1):
        message = "the balanced sampler needs one class for each row, but the data gives none"
        yield checked.source.problem(("train", "sampler"), message, "remove sampler")
    if checked.spec.loss.counts_classes and not checked.example.classes:
        message = "balanced weights need classes, but the data has none"
        yield checked.source.problem(("loss", "weight"), message, "write one number for each class, or remove weight")


def _init_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield the initializers that fill nothing, what they cannot fill, or what later ones fill anew."""
    several, names = checked.spec.init, list(checked.parameters)
    left = set(names)  # what no later initializer fills
    problems: list[Problem] = []
    for index, initializer in reversed(list(enumerate(several))):
        if isinstance(initializer, Filling):
            path: Path = ("init", index) if isinstance(checked.source.value["init"], list) else ("init",)
            filled = selected(initializer.match, names)
            problems += _filling_problems(checked, (*path, "match"), initializer, filled)
            if filled and left.isdisjoint(filled):
                message = f"later initializers fill all that {type(initializer).__name__} fills"
                problems.append(checked.source.problem((*path, "match"), message, "remove it, or put it below them"))
            left -= set(filled)
    yield from reversed(problems)


def _filling_problems(checked: CheckedSpec, path: Path, initializer: Filling, filled: list[str]) -> Iterator[Problem]:
    patterns = (initializer.match,) if isinstance(initializer.match, str) else initializer.match
    yield from _idle(checked, path, patterns, list(checked.parameters))
    for name in filled:
        try:
            initializer.require(name, checked.parameters[name])
        except ShapeError as error:
            yield checked.source.problem((*path[:-1], error.option), error.message, error.remedy)
            return
