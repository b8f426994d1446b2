"""Proof: an ejected file makes the weights, the outputs, the optimizer and the measurements that zoo makes.

Small models are made twice and compared bit for bit; of large ones each operator is compared, on the meta device.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from typing import Any

import torch
from torch import nn, optim

from zoo.build import build_model, build_optimizer
from zoo.checked import CheckedSpec
from zoo.data import Rows
from zoo.eject.course import still
from zoo.eject.measuring import sample
from zoo.eject.operators import operators, tensors_of
from zoo.eject.optimization import optimizer_call, scheduler_call
from zoo.errors import ExportError, reason
from zoo.initializers.warm_start import WarmStart
from zoo.shapes import class_axis
from zoo.training.evaluation import evaluate
from zoo.training.objective import objective_of
from zoo.warm_start import initialize

# Any: what a file defines.
Names = dict[str, Any]
LARGE = 10_000_000  # parameters; drawing and running GPT-2 twice takes a minute
SHORT = 3  # tokens of a sequence that is measured; all of GPT-2 would be 400 MB
REMEDY = "eject a simpler spec, and report this one"


def prove(checked: CheckedSpec, text: str) -> None:
    """Run the file, but not its training, and hold what it defines against what zoo makes.

    Raises:
        ExportError: they differ.
        RunError: tensors that the spec loads are not there.
    """
    names: Names = {"__name__": "ejected"}
    # The text holds literals, torch's own names and ids alone: letters, digits and _.
    exec(compile(text, "<ejected>", "exec"), names)
    with torch.random.fork_rng(devices=[]):
        own, made = _same_models(checked, names)
    trained = [[(name, p.requires_grad) for name, p in module.named_parameters()] for module in (own, made)]
    if trained[0] != trained[1]:
        raise ExportError("the ejected file would train other tensors, or in another order", REMEDY)
    for name in still(checked):
        if name not in dict(made.named_modules()):
            raise ExportError(f"the ejected file has no module {name} to keep in evaluation mode", REMEDY)
    _same_optimizer(checked, names, own, made)
    _same_measurements(checked, names)


def _same_models(checked: CheckedSpec, names: Names) -> tuple[nn.Module, nn.Module]:
    """Return zoo's module and the file's; torchvision's own weights are not loaded.

    Raises:
        ExportError: they differ.
        RunError: tensors that the spec loads are not there.
    """
    loads = any(isinstance(one, WarmStart) for one in checked.spec.init)
    if sum(checked.parameter_counts) > LARGE and not loads:
        with suppress(NotImplementedError, RuntimeError):  # an operator needs numbers, which are drawn below
            return _same_operators(checked, names)
    own, made = _same_weights(checked, names)
    inputs = sample(checked.input)
    with torch.inference_mode():
        if not _equal(own.eval()(inputs), made.eval()(inputs)):
            raise ExportError("the ejected module would give other outputs", REMEDY)
    return own, made


def _same_operators(checked: CheckedSpec, names: Names) -> tuple[nn.Module, nn.Module]:
    """Return both modules on the meta device, after comparing what is called to make, to fill and to run them.

    Raises:
        ExportError: they differ.
    """
    own, expected = operators(partial(_own, checked), checked.input)
    made, found = operators(partial(_made, checked, names), checked.input)
    for name, other in zip_longest(_forms(own), _forms(made)):
        if name != other:
            raise ExportError(f"the ejected file would make {other} where zoo makes {name}", REMEDY)
    for number, (call, other_call) in enumerate(zip_longest(expected, found)):
        if call != other_call:
            raise ExportError(f"the ejected file would call another operator than zoo, the {number}th: {call}", REMEDY)
    return own, made


def _forms(model: nn.Module) -> list[tuple[object, ...]]:
    """Return the name, the size and the type of each tensor, and which are in the state dict."""
    kept = model.state_dict()
    return [(name, tuple(tensor.shape), tensor.dtype, name in kept) for name, tensor in tensors_of(model)]


def _own(checked: CheckedSpec) -> nn.Module:
    """Return zoo's module as training begins with it."""
    model = build_model(checked)
    with torch.no_grad():
        initialize(model, checked.spec.init)
    return model


def _made(checked: CheckedSpec, names: Names) -> nn.Module:
    """Return the file's module as training begins with it."""
    model: nn.Module = names["build_model"]()
    if checked.spec.init and getattr(checked.layers[0].layer, "weights", None) is None:
        names["initialize"](model)
    return model


def _same_weights(checked: CheckedSpec, names: Names) -> tuple[nn.Module, nn.Module]:
    """Return both modules as training begins with them.

    Raises:
        ExportError: a tensor differs.
    """
    torch.manual_seed(checked.spec.train.seed)
    own = _own(checked)
    torch.manual_seed(checked.spec.train.seed)
    made = _made(checked, names)
    expected, found = own.state_dict(), made.state_dict()
    for name in dict.fromkeys([*expected, *found]):
        if name not in expected or name not in found or not torch.equal(expected[name], found[name]):
            raise ExportError(f"the ejected file would draw other weights for {name}", REMEDY)
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


class _Given(nn.Module):
    """A model that gives what it was made with."""

    def __init__(self, output: torch.Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.output


def _same_measurements(checked: CheckedSpec, names: Names) -> None:
    """Hold what the file measures of an output against what zoo measures of it.

    Raises:
        ExportError: they differ, or the loss takes no rows that are made up.
    """
    shapes = checked.input, checked.example.target, checked.output
    length = min(SHORT, *(shape.longest or SHORT for shape in shapes))
    inputs, targets, output = (sample(shape, length) for shape in shapes)
    axis = class_axis(checked.output, checked.example.target)
    if axis is not None and targets.dtype == torch.int64:
        targets.clamp_(max=output.shape[axis] - 1)  # there may be one class alone
    objective = objective_of(checked, torch.device("cpu"), targets)
    inputs, targets, output = inputs[: objective.rows], targets[: objective.rows], output[: objective.rows]
    own = _Given(1 - output)  # other numbers than the targets
    try:
        expected = evaluate(own, objective, Rows(inputs, targets))
    except (RuntimeError, ValueError, IndexError) as error:
        loss = type(checked.spec.loss).__name__
        message = (
            f"what the ejected file measures cannot be compared: {loss} takes no rows made up here: {reason(error)}"
        )
        raise ExportError(message, REMEDY) from error
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
