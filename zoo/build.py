"""A checked spec made real: the torch module, the loss, the optimizer, and the rows it trains on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import nn, optim

from zoo.check import CheckedSpec
from zoo.data import Inputs, Rows, Split
from zoo.device import fitting
from zoo.errors import DataError
from zoo.graph import graph_module, is_chain
from zoo.models.known import Architecture
from zoo.patterns import selected
from zoo.transforms import Transform
from zoo.warm_start import initialize


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
    scheduler, train = checked.spec.scheduler, checked.spec.train
    optimizer = checked.spec.optimizer.build(named_parameters)
    if scheduler is None:
        return optimizer, None
    intervals = train.epochs * (train.moves(rows) if scheduler.interval == "step" else 1)
    return optimizer, scheduler.build(optimizer, intervals)


def load_rows(checked: CheckedSpec, split: Split) -> Rows:
    """Return a split in memory as the model is given it: decoded and transformed once.

    A training split with random transforms is given as it is before the first of them.

    Raises:
        DataError: the data is absent, incomplete or unreadable.
    """
    data = checked.spec.data
    with fitting(f"the {split} split", "use fewer rows"):
        rows = data.load(split)
        transforms = data.early() if split == "train" and data.random() else (*data.early(), *data.late())
        return Rows(_transform(transforms, rows.inputs), rows.targets)


def read_inputs(checked: CheckedSpec, inputs: tuple[str, ...]) -> Inputs:
    """Return what a person gives to predict, as the model is given it.

    Raises:
        DataError: an input is not a row or a file of this kind.
    """
    data = checked.spec.data
    read = data.read(inputs)
    if not len(read.rows):
        raise DataError("there are no rows in the input", "give at least one row")
    return Inputs(read.names, _transform((*data.early(), *data.late()), read.rows))


def _transform(transforms: Iterable[Transform], inputs: torch.Tensor) -> torch.Tensor:
    for transform in transforms:
        inputs = transform.build()(inputs)
    return inputs
