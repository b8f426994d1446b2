"""Proof: an ejected file makes the weights, the outputs, the optimizer and the measurements that zoo makes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn, optim

from zoo.build import build_model, build_optimizer
from zoo.checked import CheckedSpec
from zoo.data import Rows
from zoo.eject.course import still
from zoo.eject.measuring import sample
from zoo.eject.optimization import optimizer_call, scheduler_call
from zoo.errors import ExportError
from zoo.training.evaluation import evaluate
from zoo.training.objective import objective_of
from zoo.warm_start import initialize

# Any: what a file defines.
Names = dict[str, Any]
REMEDY = "eject a simpler spec, and report this one"


def prove(checked: CheckedSpec, text: str) -> None:
    """Run the file, but not its training, and hold what it defines against what zoo makes, bit for bit.

    Raises:
        ExportError: they differ.
        RunError: tensors that the spec loads are not there.
    """
    names: Names = {"__name__": "ejected"}
    # The text holds literals, torch's own names and ids alone: letters, digits and _.
    exec(compile(text, "<ejected>", "exec"), names)
    with torch.random.fork_rng(devices=[]):
        own, made = _weights(checked, names)
    for name in still(checked):
        if name not in dict(made.named_modules()):
            raise ExportError(f"the ejected file has no module {name} to keep in evaluation mode", REMEDY)
    _same_optimizer(checked, names, own, made)
    inputs = sample(checked.input)
    with torch.inference_mode():
        if not _equal(own.eval()(inputs), made.eval()(inputs)):
            raise ExportError("the ejected module would give other outputs", REMEDY)
    _same_measurements(checked, names, own, inputs)


def _weights(checked: CheckedSpec, names: Names) -> tuple[nn.Module, nn.Module]:
    """Return zoo's module and the file's, as training begins with them; torchvision's own weights are not loaded.

    Raises:
        ExportError: a tensor differs, or is trained in one of the two alone.
    """
    torch.manual_seed(checked.spec.train.seed)
    own = build_model(checked)
    with torch.no_grad():
        initialize(own, checked.spec.init)
    torch.manual_seed(checked.spec.train.seed)
    made: nn.Module = names["build_model"]()
    if checked.spec.init and getattr(checked.layers[0].layer, "weights", None) is None:
        names["initialize"](made)
    expected, found = own.state_dict(), made.state_dict()
    for name in dict.fromkeys([*expected, *found]):
        if name not in expected or name not in found or not torch.equal(expected[name], found[name]):
            raise ExportError(f"the ejected file would draw other weights for {name}", REMEDY)
    trained = [[(name, p.requires_grad) for name, p in module.named_parameters()] for module in (own, made)]
    if trained[0] != trained[1]:
        raise ExportError("the ejected file would train other tensors, or in another order", REMEDY)
    return own, made


def _same_optimizer(checked: CheckedSpec, names: Names, own: nn.Module, made: nn.Module) -> None:
    """Hold optimizer and scheduler against zoo's, for a training of as many rows as there may be.

    Raises:
        ExportError: they differ.
    """
    rows = checked.example.training_rows or 10 * checked.spec.train.batch_size
    optimizer, scheduler = build_optimizer(checked, own.named_parameters(), rows)
    given = names | {"math": math, "model": made, "loader": range(checked.spec.train.plan(rows).steps)}
    # As above: the text is the file's own.
    given["optimizer"] = eval(optimizer_call(checked), given)
    other = None if scheduler is None else eval(scheduler_call(checked), given)  # which sets the optimizer's rates
    if _options(optimizer, own) != _options(given["optimizer"], made):
        raise ExportError("the ejected file would make another optimizer", REMEDY)
    if scheduler is not None and (other is None or other.state_dict().keys() != scheduler.state_dict().keys()):
        raise ExportError("the ejected file would make another scheduler", REMEDY)


# Any: the values of torch's options.
def _options(optimizer: optim.Optimizer, model: nn.Module) -> list[dict[str, Any]]:
    """Return the options of each parameter group, with the names of its parameters."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [
        group | {"params": [names[id(parameter)] for parameter in group["params"]]} for group in optimizer.param_groups
    ]


def _same_measurements(checked: CheckedSpec, names: Names, own: nn.Module, inputs: torch.Tensor) -> None:
    """Hold what the file measures against what zoo measures.

    Raises:
        ExportError: they differ.
    """
    targets, device = sample(checked.example.target), torch.device("cpu")
    objective = objective_of(checked, device, targets)
    try:
        expected = evaluate(own, objective, Rows(inputs, targets))
    except (RuntimeError, ValueError, IndexError):  # the loss takes no such targets; those of the data are not at hand
        return
    weights = [] if not checked.spec.loss.counts_classes else [names["class_weights"](_counts(checked, targets))]
    found = names["evaluate"](own, objective.loss, [inputs, targets], *weights)
    if repr(found) != repr(expected):
        raise ExportError(f"the ejected file would measure {found} where zoo measures {expected}", REMEDY)


def _counts(checked: CheckedSpec, targets: torch.Tensor) -> torch.Tensor:
    return torch.bincount(targets.flatten(), minlength=len(checked.example.classes))


# Any: a tensor, or rows of them.
def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first.nan_to_num(), second.nan_to_num())
    return all(map(_equal, first, second))
