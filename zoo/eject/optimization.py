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
    given = "parameter_groups(model)" if declared.parameter_groups else "model.parameters()"
    if given == "model.parameters()" and checked.spec.freeze:
        given = "[parameter for parameter in model.parameters() if parameter.requires_grad]"
    return f"torch.optim.{kind}({', '.join([given, *keywords(options)])})"


# Any: the values of torch's options.
def _differs(default: Any, value: Any) -> bool:
    return bool((float(default) if isinstance(default, torch.Tensor) else default) != value)


def groups_source(checked: CheckedSpec) -> str:
    """Return the function that divides the parameters among the optimizer's groups; empty where it has none."""
    groups = checked.spec.optimizer.parameter_groups
    if not groups:
        return ""
    lines = [
        "def parameter_groups(model: nn.Module) -> list[dict]:",
        '    """Return what no group takes, then the groups; the first that matches takes a parameter."""',
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
    lines += [f"{indent}else:", f'{indent}    groups[0]["params"].append(parameter)', "    return groups"]
    return "\n".join(lines)


def _entries(options: Mapping[str, object]) -> list[str]:
    return ['"params": []', *(f'"{name}": {literal(value)}' for name, value in options.items())]


def scheduler_call(checked: CheckedSpec) -> str:
    """Return the call that makes the scheduler of `optimizer`; empty where there is none."""
    declared = checked.spec.scheduler
    if declared is None:
        return ""
    if declared.interval == "epoch":
        return _scheduler(declared, "EPOCHS")
    count = checked.spec.train.accumulation
    moves = "len(loader)" if count == 1 else f"math.ceil(len(loader) / {count})"
    return _scheduler(declared, f"EPOCHS * {moves}")


def _scheduler(declared: Scheduler, intervals: str) -> str:
    kind = type(declared).__name__
    if isinstance(declared, SequentialLR | ChainedScheduler):
        inner = f"[{', '.join(_scheduler(part, intervals) for part in declared.schedulers)}]"
        arguments = [inner, "optimizer"]
        if isinstance(declared, SequentialLR):
            arguments = ["optimizer", inner, f"milestones={literal(list(declared.milestones))}"]
        return f"torch.optim.lr_scheduler.{kind}({', '.join(arguments)})"
    fields = type(declared).model_fields
    options = {name: getattr(declared, name) for name in fields if name not in declared.own}
    options = {name: value for name, value in options.items() if value != fields[name].default}
    options = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    written = [*keywords(options)]
    if isinstance(declared, OneCycleLR) and declared.total_steps is None:
        written.append(f"total_steps={intervals}")
    return f"torch.optim.lr_scheduler.{kind}({', '.join(['optimizer', *written])})"
