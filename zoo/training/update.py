"""Update: how SGD, Adam and AdamW move the weights, in torch's own order of operations, as TorchScript.

Torch's for-loop forms are followed word for word (torch/optim/sgd.py and adam.py, `_single_tensor_*`), so that the bits
are the same. The state stays in torch's optimizer. Numbers that change from step to step (the learning rate, Adam's
corrections) are computed in Python as torch computes them, and are handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, optim

MOST_STEPS = 2**24  # Adam counts its steps in float32, which is exact up to here
UNKNOWN = ("capturable", "differentiable", "foreach", "fused")  # other forms of the same optimizers


@dataclass(frozen=True)
class Update:
    """The text that moves all weights once."""

    lines: tuple[str, ...]
    """TorchScript; reads n, the numbers of the step, a list of floats."""
    options: list[dict[str, Any]]  # Any: the values of torch's options
    """What the text holds for, one for each parameter group."""
    optimizer: optim.Optimizer
    width: int
    """How many numbers a step has."""

    @property
    def holds(self) -> bool:
        """Return whether the optimizer's options are still those of the text; the learning rate may be another."""
        return self.options == _options(self.optimizer)

    def numbers(self, steps: int) -> list[float]:
        """Return the numbers of the next steps, one step after the other."""
        groups = self.optimizer.param_groups
        if isinstance(self.optimizer, optim.SGD):
            return [-group["lr"] for group in groups] * steps
        firsts = [_count(self.optimizer, group) for group in groups]
        return [
            number
            for step in range(1, steps + 1)
            for group, first in zip(groups, firsts, strict=True)
            for number in _adam_numbers(group, first + step)
        ]

    def count(self, steps: int) -> None:
        """Note in the optimizer's state that so many steps are done."""
        for state in self.optimizer.state.values():
            if "step" in state:
                state["step"].add_(steps)

    def fits(self, steps: int) -> bool:
        """Return whether so many more steps are counted exactly."""
        counts = [float(state["step"]) for state in self.optimizer.state.values() if "step" in state]
        return not counts or max(counts) + steps < MOST_STEPS


def update_of(optimizer: optim.Optimizer, gradients: dict[Tensor, str], name: Callable[[Tensor], str]) -> Update | None:
    """Return the update of an optimizer that has stepped at least once; None where none is written for it.

    Args:
        optimizer: any of torch's.
        gradients: what the gradient of each parameter is called.
        name: gives any other tensor a name.
    """
    if type(optimizer) not in (optim.SGD, optim.Adam, optim.AdamW):
        return None
    groups = optimizer.param_groups
    if any(group.get(option) for group in groups for option in UNKNOWN):
        return None
    if any(not isinstance(group["lr"], float | int) for group in groups):
        return None
    lines: list[str] = []
    sgd = isinstance(optimizer, optim.SGD)
    for number, group in enumerate(groups):
        learned = [parameter for parameter in group["params"] if parameter in gradients]
        if not sgd and len({float(optimizer.state[parameter]["step"]) for parameter in learned}) > 1:
            return None  # some began later than others
        for parameter in learned:
            state = {key: name(value) for key, value in optimizer.state.get(parameter, {}).items() if _is_large(value)}
            write = _sgd if sgd else _adam
            lines += write(group, number, name(parameter), gradients[parameter], state)
    width = len(groups) * (1 if sgd else 3)
    return Update(tuple(lines), _options(optimizer), optimizer, width)


# Any: the values of torch's options.
def _options(optimizer: optim.Optimizer) -> list[dict[str, Any]]:
    changing = ("params", "lr", "initial_lr")
    return [{key: value for key, value in group.items() if key not in changing} for group in optimizer.param_groups]


def _is_large(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0


# Any: as above.
def _count(optimizer: optim.Optimizer, group: dict[str, Any]) -> float:
    """Return how many steps a group has done."""
    return next((float(optimizer.state[p]["step"]) for p in group["params"] if p in optimizer.state), 0.0)


# Any: as above.
def _adam_numbers(group: dict[str, Any], step: float) -> tuple[float, float, float]:
    """Return the decay of the weights, the size of the step, and the correction of the mean square."""
    beta1, beta2 = group["betas"]
    bias_correction1 = 1 - beta1**step
    bias_correction2 = 1 - beta2**step
    step_size = group["lr"] / bias_correction1
    return 1 - group["lr"] * group["weight_decay"], -step_size, bias_correction2**0.5


# Any: as above.
def _sgd(group: dict[str, Any], number: int, weight: str, gradient: str, state: dict[str, str]) -> list[str]:
    lines = _gradient(group, weight, gradient, True)
    moved = "g"
    if group["momentum"] != 0:
        buffer, momentum = state["momentum_buffer"], float(group["momentum"])
        lines.append(f"{buffer}.mul_({momentum!r}).add_(g, alpha={1 - float(group['dampening'])!r})")
        moved = buffer
        if group["nesterov"]:
            lines.append(f"g = g.add({buffer}, alpha={momentum!r})")
            moved = "g"
    return [*lines, f"{weight}.add_({moved}, alpha=n[{number}])"]


# Any: as above.
def _adam(group: dict[str, Any], number: int, weight: str, gradient: str, state: dict[str, str]) -> list[str]:
    decoupled = bool(group["decoupled_weight_decay"])
    beta1, beta2 = group["betas"]
    mean, square = state["exp_avg"], state["exp_avg_sq"]
    decay, step_size, correction = (f"n[{3 * number + place}]" for place in range(3))
    lines = [f"{weight}.mul_({decay})"] if decoupled and group["weight_decay"] != 0 else []
    lines += _gradient(group, weight, gradient, not decoupled)
    lines.append(f"{mean}.lerp_(g, {1 - beta1!r})")
    lines.append(f"{square}.mul_({beta2!r}).addcmul_(g, g, value={1 - beta2!r})")
    if group["amsgrad"]:
        largest = state["max_exp_avg_sq"]
        lines.append(f"torch.maximum({largest}, {square}, out={largest})")
        square = largest
    lines.append(f"d = ({square}.sqrt() / {correction}).add_({float(group['eps'])!r})")
    return [*lines, f"{weight}.addcdiv_({mean}, d, value={step_size})"]


# Any: as above.
def _gradient(group: dict[str, Any], weight: str, gradient: str, decays: bool) -> list[str]:
    """Return the lines that make g, the gradient that the weights follow."""
    lines = [f"g = -{gradient}" if group["maximize"] else f"g = {gradient}"]
    if decays and group["weight_decay"] != 0:
        lines.append(f"g = g.add({weight}, alpha={float(group['weight_decay'])!r})")
    return lines
