"""Contradictions: what each part of a spec says by itself, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoo.agreement import agreement
from zoo.checked import CheckedSpec
from zoo.errors import Path, Problem, ShapeError
from zoo.initializers import Filling
from zoo.initializers.warm_start import WarmStart
from zoo.nearest import suggestion
from zoo.optimizers import Decaying
from zoo.override import echo
from zoo.patterns import idle, powerless, selected
from zoo.placing import shown
from zoo.shapes import Shape

BUFFERS = (
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "relative_position_index",
    "relative_coords_table",
)
"""What tensors of the state dict that are not learned are called in torch and torchvision."""
MOST_COMPARISONS = 100_000_000  # of letters in patterns with letters in names: half a second at worst


def contradictions(checked: CheckedSpec) -> list[Problem]:
    """Return the problems that show only when the parts of a spec are held against one another."""
    if not isinstance(checked.layers[-1].result, Shape) or not checked.output.batched:
        return [_no_single_output(checked)]
    problems = agreement(checked)
    too_many = list(_too_many_patterns(checked))
    problems += () if too_many else _batch_problems(checked)
    problems += training_contradictions(checked)
    for judge in () if too_many else (_pattern_problems, _decay_problems, _init_problems):
        problems += judge(checked)
    return [*problems, *too_many]


def training_contradictions(checked: CheckedSpec) -> list[Problem]:
    """Return the problems of the way of training, whatever the model may be; nothing of it is looked at."""
    return [*_scheduler_problems(checked), *_train_problems(checked)]


def _no_single_output(checked: CheckedSpec) -> Problem:
    last = checked.layers[-1]
    message = f"the model must give one tensor of rows, but {type(last.layer).__name__} gives {shown(last.result)}"
    return checked.source.problem((*last.path, "type"), message, 'put {"type": "Select", "index": 0} below it')


def _too_many_patterns(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield a problem where the patterns are more than can be held against so many tensors in a moment."""
    spec, names = checked.spec, checked.parameters
    several = [group.match for group in spec.optimizer.parameter_groups]
    several += [one.match for one in spec.init if isinstance(one, Filling | WarmStart) and one.match is not None]
    patterns = [*spec.freeze, *(part for match in several for part in ((match,) if isinstance(match, str) else match))]
    if sum(map(len, patterns)) * sum(map(len, names)) > MOST_COMPARISONS:
        path: Path = ("freeze",) if spec.freeze else ("optimizer",) if spec.optimizer.parameter_groups else ("init",)
        message = f"{len(patterns):,} patterns for {len(names):,} tensors are too many"
        yield checked.source.problem(path, message, "write fewer patterns, with more stars")


def _pattern_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield the problems of patterns that match no tensor, and of a freeze that leaves nothing to train."""
    source, names = checked.source, list(checked.parameters)
    freeze = checked.spec.freeze
    yield from _pattern_faults(checked, ("freeze",), freeze, names)
    frozen = set(selected(freeze, names))
    if names and len(frozen) == len(names):
        message = "every tensor is frozen, so nothing is trained"
        yield source.problem(("freeze",), message, f'let one go: add "!{names[-1]}"')
    left = [name for name in names if name not in frozen]
    for index, group in enumerate(checked.spec.optimizer.parameter_groups):
        path: Path = ("optimizer", "groups", index, "match")
        patterns = (group.match,) if isinstance(group.match, str) else group.match
        trained = [name for name in names if name not in frozen]
        said = list(_pattern_faults(checked, path, patterns, trained, " that is trained"))
        yield from said
        taken = selected(patterns, left)
        if not (taken or said):
            message = "the groups above take every tensor that this one matches"
            yield source.problem(path, message, "put the group with fewer tensors first")
        left = [name for name in left if name not in taken]


def _decay_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield a problem where all that is trained decays, or nothing, though the optimizer says a part."""
    optimizer, sizes = checked.spec.optimizer, checked.parameters
    if not isinstance(optimizer, Decaying) or not optimizer.spares_vectors:
        return
    frozen, decays = set(selected(checked.spec.freeze, list(sizes))), optimizer.weight_decays()
    owners = optimizer.owners(name for name in sizes if name not in frozen)
    matrices = {len(sizes[name]) >= 2 for name, owner in owners.items() if decays[0 if owner is None else owner + 1]}
    if len(matrices) == 1:
        one, remedy = "bias or norm", 'write "decay": "all"'
        if matrices == {False}:
            one, remedy = "matrix", "write a weight_decay of 0, and remove decay"
        message = f'decay is "matrices", but no {one} is trained with a weight_decay'
        yield checked.source.problem(("optimizer", "decay"), message, remedy)


def _pattern_faults(
    checked: CheckedSpec,
    path: Path,
    patterns: tuple[str, ...],
    names: Sequence[str],
    which: str = "",
    others: Sequence[str] = (),
) -> Iterator[Problem]:
    """Yield a problem for each pattern that changes nothing, or fits none of the names, nor of unsuggested others."""
    for index in idle(patterns, [*names, *others]):
        here = path if path[-1] == "match" and len(patterns) == 1 else (*path, index)
        message = f'the pattern "{echo(patterns[index])}" matches no tensor{which}'
        yield checked.source.problem(here, message, suggestion(patterns[index].lstrip("!"), names))
    for index in powerless(patterns, [*names, *others]):
        message = f'the pattern "{echo(patterns[index])}" changes nothing beside the others'
        yield checked.source.problem((*path, index), message, "remove it")


def batch_fault(checked: CheckedSpec, rows: int) -> tuple[str, str] | None:
    """Return what is wrong with an epoch of so many rows, and the remedy; None where torch can train on each step."""
    if rows <= 0:
        return "the training split has no rows", "give it some, or keep fewer out for the other splits"
    train, fewest = checked.spec.train, checked.smallest_training_batch
    size = train.batch_size
    plan = train.plan(rows)
    if not plan.steps:
        return f"drop_last leaves no step: {rows:,} rows are fewer than {size}", "write a smaller batch_size"
    reached = plan.total >= plan.steps  # else the training ends before the last step of its first epoch
    last = rows % size or min(size, rows) if reached and not train.drop_last else size
    if last >= fewest:
        return None
    message = f"{rows:,} rows in steps of {size} leave a last step of {last}, but a layer trains on {fewest} or more"
    if size < fewest:
        return message, f"write a batch_size of {fewest} or more"
    return message, 'write a batch_size that leaves another remainder, or "drop_last": true'


def _batch_problems(checked: CheckedSpec) -> Iterator[Problem]:
    rows = checked.example.training_rows
    fault = batch_fault(checked, rows) if rows is not None else None
    if fault is not None:
        yield checked.source.problem(("train", "batch_size") if rows else ("data", "type"), *fault)


def plan_faults(checked: CheckedSpec, rows: int | None) -> list[ShapeError]:
    """Return the options of train that say nothing with so many rows in an epoch; none where the rows are not known."""
    train = checked.spec.train
    plan = train.plan(rows or 0)
    if not plan.total:
        return []
    faults, longest = [], min(plan.steps, plan.total)
    if plan.every > plan.total and train.evaluate_every is not None:
        message = f"evaluate_every is {plan.every:,}, but the training has {plan.total:,} steps"
        faults += [ShapeError(message, f"write {plan.total:,} or fewer, or remove it", "evaluate_every")]
    if plan.accumulation > longest > 0:
        message = f"accumulation is {plan.accumulation:,}, but the weights move after {longest:,} steps at the latest"
        reason = "each epoch has no more" if longest == plan.steps else "the training has no more"
        faults += [ShapeError(f"{message}: {reason}", f"write {longest:,} or fewer", "accumulation")]
    stopping = train.early_stopping
    if stopping is not None and not stopping.restore_best and stopping.patience + 2 >= plan.evaluations:
        message = f"early_stopping ends nothing: with a patience of {stopping.patience:,} it needs"
        message += f" {stopping.patience + 3:,} measurements, but the training has {plan.evaluations:,}"
        faults += [ShapeError(message, "write a smaller patience, or train longer", "early_stopping")]
    return faults


def scheduler_fault(checked: CheckedSpec, rows: int | None) -> ShapeError | None:
    """Return why the scheduler refuses a training whose epochs have so many rows; None where nothing is known of it."""
    spec, scheduler = checked.spec, checked.spec.scheduler
    if scheduler is None:
        return None
    interval: str = scheduler.interval
    between = spec.train.evaluate_every is not None
    if scheduler.watched is not None and interval == "epoch" and between:
        message = f"{type(scheduler).__name__} counts epochs, but the model is measured every so many steps"
        return ShapeError(message, 'write "interval": "evaluation"', "interval")
    if interval == "evaluation" and not between:
        message = f"{type(scheduler).__name__} counts measurements between epochs, but there are none"
        return ShapeError(message, "remove interval, or write evaluate_every in train", "interval")
    if rows is not None and not spec.train.plan(rows).steps:
        rows = None  # an epoch without a step is a problem of its own
    if rows is None and (scheduler.interval != "epoch" or spec.train.epochs is None):
        return None
    intervals = spec.train.plan(rows).intervals(scheduler.interval) if rows is not None else spec.train.epochs
    try:
        scheduler.require(spec.optimizer, intervals or 0)
    except ShapeError as error:
        return error
    return None


def _scheduler_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield what a scheduler does not go together with: optimizer, length of the training, measurements."""
    scheduler, fault = checked.spec.scheduler, scheduler_fault(checked, checked.example.training_rows)
    if fault is not None:
        yield checked.source.problem(("scheduler", fault.option or "type"), fault.message, fault.remedy)
    if scheduler is not None and scheduler.watched is not None:
        mode = str(getattr(scheduler, "mode"))  # noqa: B009  # who watches has one
        yield from _watching_problems(checked, ("scheduler",), type(scheduler).__name__, scheduler.watched, mode)


def _watching_problems(
    checked: CheckedSpec, path: Path, watcher: str, watched: str, mode: str | None
) -> Iterator[Problem]:
    """Yield what keeps somebody from looking at a measurement of the validation split for the better."""
    spec = checked.spec
    known, better = list(spec.directions), spec.directions.get(watched, mode)
    if better != mode:
        message = f"{watched} is better when it is {'more' if better == 'max' else 'less'}"
        yield checked.source.problem((*path, "mode"), message, f'write "mode": "{better}"')
    if watched not in known:
        message = f'{watcher} looks at "{watched}", which nothing measures'
        yield checked.source.problem((*path, "metric"), message, suggestion(watched, known))
    if "validation" not in spec.data.splits:
        message = f"{watcher} needs a validation split to look at, but the data has none"
        yield checked.source.problem((*path, "type"), message, 'write "validation": 0.1 in data')


def _train_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield what the way of training does not go together with."""
    train, target = checked.spec.train, checked.example.target
    for fault in plan_faults(checked, checked.example.training_rows):
        yield checked.source.problem(("train", fault.option), fault.message, fault.remedy)
    stopping = train.early_stopping
    if stopping is not None:
        path: Path = ("train", "early_stopping")
        yield from _watching_problems(checked, path, "early_stopping", stopping.metric, stopping.mode)
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
        path: Path = ("init", index) if isinstance(checked.source.value["init"], list) else ("init",)
        if isinstance(initializer, WarmStart) and initializer.match is not None:
            match = (initializer.match,) if isinstance(initializer.match, str) else initializer.match
            problems += _pattern_faults(checked, (*path, "match"), match, names, others=_buffers(checked))
        if isinstance(initializer, Filling):
            filled = selected(initializer.match, names)
            problems += _filling_problems(checked, (*path, "match"), initializer, filled)
            if filled and left.isdisjoint(filled):
                message = f"later initializers fill all that {type(initializer).__name__} fills"
                problems.append(checked.source.problem((*path, "match"), message, "remove it, or put it below them"))
            left -= set(filled)
    yield from reversed(problems)


def _buffers(checked: CheckedSpec) -> list[str]:
    """Return names that tensors of the state dict may have which are not learned: more than there are."""
    owners = {placed.name for placed in checked.layers} | {name.rpartition(".")[0] for name in checked.parameters}
    return [f"{owner}.{buffer}" for owner in sorted(owners) for buffer in BUFFERS]


def _filling_problems(checked: CheckedSpec, path: Path, initializer: Filling, filled: list[str]) -> Iterator[Problem]:
    patterns = (initializer.match,) if isinstance(initializer.match, str) else initializer.match
    yield from _pattern_faults(checked, path, patterns, list(checked.parameters))
    for name in filled:
        try:
            initializer.require(name, checked.parameters[name])
        except ShapeError as error:
            yield checked.source.problem((*path[:-1], error.option), error.message, error.remedy)
            return
