"""Evaluation: the loss and the metrics of a model over a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.data import Rows
from zoo.training.distributed import World
from zoo.training.objective import MOST_ROWS, Objective
from zoo.training.streaming import Stream


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode without gradients; its modes come back at the end."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


Observer = Callable[[Tensor, Tensor, Tensor], None]
"""Sees what a model is given, what it answers, and the targets."""


def evaluate(
    model: nn.Module,
    objective: Objective,
    rows: Rows | Stream,
    world: World = World.alone,
    observe: Observer = lambda inputs, output, targets: None,
) -> dict[str, float]:
    """Return the mean of the loss and of each metric over all rows, whatever the batches; `observe` sees each batch.

    Rows must be on the model's device. A batch's mean counts by what it was divided by; one with reduction "sum" is a
    sum per row. Of several processes each measures some of the batches; the sums are added in the order of one process.
    """
    metrics, size = objective.metrics, objective.rows
    starts = range(0, len(rows), size)
    with evaluating(model):
        own = list(starts[world.rank :: world.size])
        if world.shards:  # who has no batch left runs the model with the others, and what it gives does not count
            own += [0] * (-(-len(starts) // world.size) - len(own))
        batches = rows.batches(own, size)
        mine = [_sums(model, objective, inputs, targets, observe) for inputs, targets in batches]
    shares = world.gathered([[tensor.cpu() for tensor in sums] for sums in mine]) if world.several else [mine]
    parts = [shares[index % world.size][index // world.size] for index in range(len(starts))]
    loss, mass, *sums = (sum(part[1:], part[0]) for part in zip(*parts, strict=True))
    measured = {"loss": float(loss / mass)}
    for metric, total in zip(metrics, sums, strict=True):
        measured[metric.name] = metric.finished(total.cpu() / len(rows))
    return measured


def _sums(model: nn.Module, objective: Objective, inputs: Tensor, targets: Tensor, observe: Observer) -> list[Tensor]:
    """Return the loss, what it is divided by, and each metric's numbers, summed over a batch."""
    output = model(inputs.clone())  # an in-place layer may overwrite it
    observe(inputs, output, targets)
    value = objective(output, targets).double()
    weight = objective.mass(targets).to(value.device) if objective.averaged else torch.ones_like(value)
    loss = torch.where(weight == 0, 0.0, value * weight)  # torch's mean over nothing is NaN
    mass = weight if objective.averaged else torch.full_like(value, len(inputs))
    return [
        loss,
        mass,
        *(metric.values(output, targets).reshape(len(inputs), -1).sum(0) for metric in objective.metrics),
    ]


@dataclass(frozen=True)
class Recovered:
    """A learned parameter beside the one that made the targets."""

    name: str
    true: float
    learned: float


def recovered(model: nn.Module, truth: Mapping[str, Sequence[float]]) -> list[Recovered]:
    """Return the learned parameters beside the true ones.

    Empty where the truth is not known, or where the model's tensors are other than those of one linear layer.
    """
    found = [(name.rpartition(".")[2], tensor) for name, tensor in model.state_dict().items()]
    if not found or any(tensor.numel() != len(truth.get(name, ())) for name, tensor in found):
        return []  # before a number is read: a hundred million of Python's take gigabytes
    values = [(name, tensor.flatten().tolist()) for name, tensor in found]
    pairs = ((name, i, true, learned[i]) for name, learned in values for i, true in enumerate(truth[name]))
    return [Recovered(f"{name}[{i}]", true, learned) for name, i, true, learned in pairs]


def predict(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return the model's output for each row of `inputs`, on the CPU."""
    with evaluating(model):
        starts = range(0, len(inputs), MOST_ROWS)
        parts = [model(inputs[start : start + MOST_ROWS].clone()) for start in starts]
    return torch.cat(parts).cpu()
