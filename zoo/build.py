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


def build_model(checked: CheckedSpec) -> nn.Module:
    """Return the plain torch module; its weights are drawn from torch's global generator, as torch does.

    A chain of modules is a torch.nn.Sequential; what branches and joins is a torch.fx.GraphModule, whose `code` is the
    whole computation. Neither needs zoo to run.
    """
    with fitting("the model", "write smaller layers"):
        if is_chain(checked.layers):
            named = ((placed.name, placed.layer.build(placed.input)) for placed in checked.layers)
            return nn.Sequential(OrderedDict(named))
        return graph_module(checked.layers)


def fresh_model(checked: CheckedSpec) -> nn.Module:
    """Return the module in evaluation mode as a training begins with it; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(checked.spec.train.seed)
        return build_model(checked).eval()


def parameter_counts(checked: CheckedSpec) -> dict[str, int]:
    """Return how many parameters each layer learns."""
    return {placed.name: count for placed, count in zip(checked.layers, checked.parameter_counts, strict=True)}


def build_optimizer(
    checked: CheckedSpec, named_parameters: Iterable[tuple[str, nn.Parameter]]
) -> tuple[optim.Optimizer, optim.lr_scheduler.LRScheduler | None]:
    """Return the optimizer of these parameters, and the scheduler where the spec has one."""
    scheduler, train = checked.spec.scheduler, checked.spec.train
    optimizer = checked.spec.optimizer.build(named_parameters)
    if scheduler is None:
        return optimizer, None
    steps = -(-checked.example.training_rows // train.batch_size)
    intervals = train.epochs * (steps if scheduler.interval == "step" else 1)
    return optimizer, scheduler.build(optimizer, intervals)


def load_rows(checked: CheckedSpec, split: Split) -> Rows:
    """Return a split in memory as the model is given it: decoded and transformed once.

    Raises:
        DataError: the data is absent, incomplete or unreadable.
    """
    with fitting(f"the {split} split", "use fewer rows"):
        rows = checked.spec.data.load(split)
        return Rows(_transform(checked, rows.inputs), rows.targets)


def read_inputs(checked: CheckedSpec, inputs: tuple[str, ...]) -> Inputs:
    """Return what a person gives to predict, as the model is given it.

    Raises:
        DataError: an input is not a row or a file of this kind.
    """
    read = checked.spec.data.read(inputs)
    if not len(read.rows):
        raise DataError("there are no rows in the input", "give at least one row")
    return Inputs(read.names, _transform(checked, read.rows))


def _transform(checked: CheckedSpec, inputs: torch.Tensor) -> torch.Tensor:
    for transform in checked.spec.data.pipeline():
        inputs = transform.build()(inputs)
    return inputs
