"""A checked spec made real: the torch module, the loss, the optimizer, and the rows it trains on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn, optim

from zoo.check import CheckedSpec
from zoo.data import Inputs, Rows, Split
from zoo.data.stored import Streamable
from zoo.device import fitting
from zoo.economy import spare_compiler
from zoo.errors import DataError
from zoo.graph import graph_module, is_chain
from zoo.models.known import Architecture
from zoo.patterns import selected
from zoo.transforms import Transform
from zoo.warm_start import initialize

PART = 2**22  # bytes of rows that are transformed at once when a split is loaded


def build_model(checked: CheckedSpec, pretrained: bool = False) -> nn.Module:
    """Return the plain torch module; its weights are drawn from torch's global generator, as torch does.

    A chain of modules is a torch.nn.Sequential; what branches and joins is a torch.fx.GraphModule, whose `code` is the
    whole computation. Neither needs zoo to run. A known architecture is torchvision's own module.

    Args:
        checked: what is built.
        pretrained: load the weights that a known architecture begins with; not where others follow anyway.

    Raises:
        DataError: these weights cannot be had.
    """
    with fitting("the model", "write smaller layers"):
        first = checked.layers[0]
        if isinstance(first.layer, Architecture):
            model = first.layer.build(first.input, pretrained)
        elif is_chain(checked.layers):
            named = ((placed.name, placed.layer.build(placed.input)) for placed in checked.layers)
            model = nn.Sequential(OrderedDict(named))
        else:
            model = graph_module(checked.layers)
    for placed in checked.layers:
        if placed.tied is not None:
            owner = model.get_submodule(checked.layers[placed.tied].name)
            model.get_submodule(placed.name).register_parameter("weight", owner.get_parameter("weight"))
    for name in selected(checked.spec.freeze, checked.parameters):
        model.get_parameter(name).requires_grad_(False)
    return model


def bare_model(checked: CheckedSpec) -> nn.Module:
    """Return the module in evaluation mode, to be given weights; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        return build_model(checked).eval()


def fresh_model(checked: CheckedSpec) -> nn.Module:
    """Return the module in evaluation mode as a training begins with it; torch's global generator is left as it was.

    Raises:
        ZooError: as `initialized_model`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(checked.spec.train.seed)
        return initialized_model(checked).eval()


def initialized_model(checked: CheckedSpec) -> nn.Module:
    """Return the module with the weights that a training begins with.

    Raises:
        DataError: the weights of a known architecture cannot be had.
        RunError: tensors that the spec loads are not there, or have other sizes.
    """
    model = build_model(checked, pretrained=True)
    with torch.no_grad():
        initialize(model, checked.spec.init)
    return model


def parameter_counts(checked: CheckedSpec) -> dict[str, int]:
    """Return how many parameters each layer learns."""
    return {placed.name: count for placed, count in zip(checked.layers, checked.parameter_counts, strict=True)}


def build_optimizer(
    checked: CheckedSpec, named_parameters: Iterable[tuple[str, nn.Parameter]], rows: int
) -> tuple[optim.Optimizer, optim.lr_scheduler.LRScheduler | None]:
    """Return the optimizer of these parameters, and the scheduler where the spec has one.

    Args:
        checked: the spec.
        named_parameters: of the model; frozen ones are left out.
        rows: how many an epoch has.
    """
    if not checked.spec.train.compile:
        spare_compiler()
    scheduler = checked.spec.scheduler
    optimizer = checked.spec.optimizer.build(named_parameters)
    if scheduler is None:
        return optimizer, None
    return optimizer, scheduler.build(optimizer, checked.spec.train.plan(rows).intervals(scheduler.interval))


def load_rows(checked: CheckedSpec, split: Split) -> Rows:
    """Return a split in memory as the model is given it: decoded and transformed once.

    A training split with random transforms is given as it is before the first of them.

    Raises:
        DataError: the data is absent, incomplete or unreadable.
    """
    data, transforms = checked.spec.data, fixed_transforms(checked, split)
    with fitting(f"the {split} split", "use fewer rows"):
        if not transforms:
            rows = data.load(split)
            return Rows(rows.inputs, rows.inputs) if data.mirrors else rows
        stored = data.stored(split) if isinstance(data, Streamable) else None
        if stored is not None:
            return _gathered(stored.read, len(stored), chain(transforms), data.mirrors)
        rows = data.load(split)
        return _gathered(partial(_part, rows), len(rows), chain(transforms), data.mirrors)


def fixed_transforms(checked: CheckedSpec, split: Split) -> tuple[Transform, ...]:
    """Return what happens to the rows of a split once, and is the same for every epoch."""
    data = checked.spec.data
    return data.early() if split == "train" and data.random() else (*data.early(), *data.late())


def chain(transforms: Iterable[Transform]) -> Callable[[Tensor], Tensor]:
    """Return the function that does one transform after the other."""
    steps = [transform.build() for transform in transforms]

    def apply(inputs: Tensor) -> Tensor:
        for step in steps:
            inputs = step(inputs)
        return inputs

    return apply


def _part(rows: Rows, numbers: range) -> Rows:
    return Rows(rows.inputs[numbers.start : numbers.stop], rows.targets[numbers.start : numbers.stop])


def _gathered(read: Callable[[range], Rows], count: int, change: Callable[[Tensor], Tensor], mirrors: bool) -> Rows:
    """Return rows, changed part by part, so that they are in memory once and not once for each change.

    Args:
        read: gives the rows of these numbers.
        count: how many there are.
        change: what happens to inputs.
        mirrors: whether the targets are the changed inputs.
    """
    size = max(1, PART // max(1, read(range(1)).inputs.nbytes))
    parts = [range(start, min(start + size, count)) for start in range(0, count, size)]
    inputs = torch.empty(0)
    targets: list[Tensor] = []
    for part in parts:
        rows = read(part)
        changed = change(rows.inputs)
        if not part.start:
            inputs = changed if len(parts) == 1 else changed.new_empty((count, *changed.shape[1:]))
        if len(parts) > 1:
            inputs[part.start : part.stop] = changed
        if not mirrors:
            targets.append(rows.targets)
    return Rows(inputs, inputs if mirrors else torch.cat(targets))


def read_inputs(checked: CheckedSpec, inputs: tuple[str, ...]) -> Inputs:
    """Return what a person gives to predict, as the model is given it.

    Raises:
        DataError: an input is not a row or a file of this kind.
    """
    data = checked.spec.data
    read = data.read(inputs)
    if not len(read.rows):
        raise DataError("there are no rows in the input", "give at least one row")
    return Inputs(read.names, chain((*data.early(), *data.late()))(read.rows))
