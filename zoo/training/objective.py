"""Objective: what training makes small, and what else is measured, for a model of known shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.check import CheckedSpec
from zoo.metrics import Metric


@dataclass(frozen=True)
class Objective:
    """The loss and the metrics of a spec."""

    loss: nn.Module
    arrange: Callable[[Tensor, Tensor], tuple[Tensor, ...]]
    """What makes the loss's arguments from the model's output and the targets."""
    averaged: bool
    """Whether the loss of a batch is a mean, and not a sum."""
    metrics: tuple[Metric, ...] = ()

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
    metrics = tuple(metric.arranged(*shapes) for metric in spec.metrics)
    return Objective(loss.build().to(device), loss.arrangement(*shapes), loss.averaged, metrics)


def class_counts(targets: Tensor, classes: int) -> Tensor:
    """Return how often each class number stands in the targets, (classes,)."""
    return torch.bincount(targets.flatten().cpu(), minlength=classes)
