"""Objective: what training makes small, and what else is measured, for a model of known shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from zoo.check import CheckedSpec
from zoo.losses.loss import Loss
from zoo.metrics import Metric
from zoo.shapes import Shape, Value

MOST_ROWS = 1000
MOST_NUMBERS = 2**26  # of one tensor: 256 MiB in float32


@dataclass(frozen=True)
class Objective:
    """The loss and the metrics of a spec."""

    loss: nn.Module
    arrange: Callable[[Tensor, Tensor], tuple[Tensor, ...]]
    """What makes the loss's arguments from the model's output and the targets."""
    averaged: bool
    """Whether the loss of a batch is a mean, and not a sum."""
    metrics: tuple[Metric, ...] = ()
    mass: Callable[[Tensor], Tensor] = lambda target: torch.tensor(len(target), dtype=torch.float64)
    """What the mean over a batch of targets is divided by, up to a factor."""
    weighs: bool = False
    """Whether that is something else than the number of rows."""
    rows: int = 1000
    """How many are evaluated at once; only memory depends on it."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of a batch, ()."""
        value: Tensor = self.loss(*self.arrange(output, target))
        return value


def objective_of(checked: CheckedSpec, device: torch.device, targets: Tensor | None = None) -> Objective:
    """Return the objective that a spec says, on the device of its model.

    Args:
        checked: the spec.
        device: of the model.
        targets: of the training split, (rows, …); for losses that count its classes.
    """
    spec, shapes = checked.spec, (checked.output, checked.example.target)
    loss = spec.loss
    if loss.counts_classes and targets is not None:
        loss = loss.balanced(class_counts(targets, len(checked.example.classes)).tolist())
    metrics = tuple(metric.arranged(*shapes, checked.ignored) for metric in spec.metrics)
    arrange = loss.arrangement(*shapes)
    weighs = type(loss).mass is not Loss.mass
    return Objective(
        loss.build().to(device), arrange, loss.averaged, metrics, loss.mass, weighs, _rows_at_once(checked)
    )


def _rows_at_once(checked: CheckedSpec) -> int:
    """Return how many rows' largest tensor stays within a budget; at least one, at most a thousand."""
    try:
        largest = max(prod(_tensor(placed.result).concrete(1)) for placed in checked.layers)
    except TypeError:
        return 1  # a sequence of any length
    return max(1, min(MOST_ROWS, MOST_NUMBERS // max(1, largest)))


def _tensor(value: Value) -> Shape:
    return value if isinstance(value, Shape) else _tensor(value[0])


def class_counts(targets: Tensor, classes: int) -> Tensor:
    """Return how often each class number stands in the targets, (classes,); others do not count."""
    numbers = targets.flatten().cpu()
    return torch.bincount(numbers[(numbers >= 0) & (numbers < classes)], minlength=classes)
