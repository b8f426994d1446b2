"""Optimization: the Python text of a spec's optimizer and scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn, optim

from zoo.checked import CheckedSpec
from zoo.eject.constructor import keywords, literal
from zoo.eject.model import patterns
from zoo.errors import ExportError
from zoo.schedulers.composite import ChainedScheduler, SequentialLR
from zoo.schedulers.cyclic import OneCycleLR
from zoo.schedulers.scheduler import Scheduler
from zoo.train import Train


def optimizer_call(checked: CheckedSpec) -> str:
    """Return the call that makes the optimizer of `model`.

    Raises:
        ExportError: it has an option that torch does not have.
    """
    declared = checked.spec.optimizer
    kind = type(declared).__name__
    made: Any = getattr(optim, kind)  # Any: torch's optimizers share no options
    default = made([nn.Parameter(torch.zeros(1))]).defaults
    options = {}
    for name, value in declared.options().items():
        if name not in default:
            if value != type(declared).model_fields[name].default:
                raise ExportError(f"optimizer.{name} cannot be ejected", f"eject a spec without optimizer.{name}")
        elif name == "lr" or _differs(default[name], value):
            options[name] = value
    grouped = declared.parameter_groups or declared.spares_vectors
    given = "parameter_groups(model)" if grouped else "model.parameters()"
    if given == "model.parameters()" and checked.spec.freeze:
        given = "[parameter for parameter in model.parameters() if parameter.requires_grad]"
    return f"torch.optim.{kind}({', '.join([given, *keywords(options)])})"


# Any: the values of torch's options.
def _differs(default: Any, value: Any) -> bool:
    return bool((float(default) if isinstance(default, torch.Tensor) else default) != value)


def groups_source(checked: CheckedSpec) -> str:
    """Return the function that divides the parameters among the optimizer's groups; empty where it has none."""
    declared = checked.spec.optimizer
    groups = declared.parameter_groups
    if not groups and not declared.spares_vectors:
        return ""
    said = "what no group takes, then the groups; the first that matches takes a parameter"
    said = said if groups else "all parameters"
    lines = [
        "def parameter_groups(model: nn.Module) -> list[dict]:",
        f'    """Return {said}{"; then, apart, what does not decay" if declared.spares_vectors else ""}."""',
        "    groups = [",
        '        {"params": []},',
        *(f"        {{{', '.join(_entries(group.overrides()))}}}," for group in groups),
        "    ]",
        "    for name, parameter in model.named_parameters():",
    ]
    indent = "        "
    if checked.spec.freeze:
        lines += ["        if not parameter.requires_grad:", "            continue"]
    for index, group in enumerate(groups):
        word = "if" if index == 0 else "elif"
        lines += [f"{indent}{word} matches(name, {patterns(group.match)}):"]
        lines += [f'{indent}    groups[{index + 1}]["params"].append(parameter)']
    lines += [f"{indent}else:"] if groups else []
    lines += [f'{indent}{"    " if groups else ""}groups[0]["params"].append(parameter)']
    return "\n".join([*lines, *(_VECTORS if declared.spares_vectors else ["    return groups"])])


_VECTORS = (
    "    vectors = [",
    '        group | {"params": [p for p in group["params"] if p.dim() < 2], "weight_decay": 0.0} for group in groups',
    "    ]",
    '    matrices = [group | {"params": [p for p in group["params"] if p.dim() >= 2]} for group in groups]',
    "    return matrices + vectors",
)


def _entries(options: Mapping[str, object]) -> list[str]:
    return ['"params": []', *(f'"{name}": {literal(value)}' for name, value in options.items())]


def scheduler_call(checked: CheckedSpec) -> str:
    """Return the call that makes the scheduler of `optimizer`; empty where there is none."""
    declared = checked.spec.scheduler
    if declared is None:
        return ""
    sets = 2 if checked.spec.optimizer.spares_vectors else 1
    return _scheduler(declared, _intervals(checked.spec.train, declared.interval), sets)


def _intervals(train: Train, interval: str) -> str:
    """Return how many epochs, or moves of the weights, the training has."""
    count, steps = train.accumulation, train.steps
    if interval == "epoch":
        return "EPOCHS" if steps is None else "math.ceil(STEPS / len(loader))"
    moves = "len(loader)" if count == 1 else f"math.ceil(len(loader) / {count})"
    if steps is None:
        return f"EPOCHS * {moves}"
    rest = f"math.ceil(STEPS % len(loader) / {count})"
    return "STEPS" if count == 1 else f"STEPS // len(loader) * {moves} + {rest}"


def _scheduler(declared: Scheduler, intervals: str, sets: int) -> str:
    """Return the call of a scheduler, for so many sets of the optimizer's parameter groups."""
    kind = type(declared).__name__
    if isinstance(declared, SequentialLR | ChainedScheduler):
        inner = f"[{', '.join(_scheduler(part, intervals, sets) for part in declared.schedulers)}]"
        arguments = [inner, "optimizer"]
        if isinstance(declared, SequentialLR):
            arguments = ["optimizer", inner, f"milestones={literal(list(declared.milestones))}"]
        return f"torch.optim.lr_scheduler.{kind}({', '.join(arguments)})"
    fields = type(declared).model_fields
    options = {name: getattr(declared, name) for name in fields if name not in declared.own}
    options = {name: value for name, value in options.items() if value != fields[name].default}
    options = {
        name: list(value) * (sets if name in declared.each else 1) if isinstance(value, tuple) else value
        for name, value in options.items()
    }
    written = [*keywords(options)]
    if isinstance(declared, OneCycleLR) and declared.total_steps is None:
        written.append(f"total_steps={intervals}")
    return f"torch.optim.lr_scheduler.{kind}({', '.join(['optimizer', *written])})"
