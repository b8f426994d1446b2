"""Replay: steps recorded once and run again by torch's interpreter, many in one call, to the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, optim

from zoo.training.recording import NotRecordable, Recorder
from zoo.training.update import Update, update_of
from zoo.training.ways import Lines

HEAD = """
def run(inputs: Tensor, targets: Tensor, order: Optional[Tensor], losses: Tensor, c: List[Tensor], numbers: List[float],
        start: int, stop: int, size: int, width: int):
"""
BATCH = """
    for step in range(start, stop):
        first = step * size
        y = targets
        if order is None:
            x = torch.ops.aten.slice(inputs, 0, first, first + size)
            y = torch.ops.aten.slice(targets, 0, first, first + size)
        else:
            rows = torch.ops.aten.slice(order, 0, first, first + size)
            x = torch.index_select(inputs, 0, rows)
            y = torch.index_select(targets, 0, rows)
        place = (step - start) * width
        n = numbers[place:place + width]
"""


@dataclass(frozen=True)
class Batches:
    """Rows that the steps of an epoch are cut from."""

    inputs: Tensor
    targets: Tensor
    order: Tensor | None
    """Of the rows; None for the one they have."""
    size: int
    """Rows in a step."""


@dataclass(frozen=True)
class Replay:
    """Steps of one training as a function of torch's interpreter."""

    function: Any  # torch.jit gives it no type
    constants: list[Tensor]
    learned: tuple[Tensor, ...]
    """The parameters that have a gradient."""
    update: Update | None
    """None where a step ends with the gradients, and the optimizer moves the weights."""
    block: int = 1
    """Steps that are computed at once, up to each multiple of it in an epoch."""

    def run(self, batches: Batches, losses: Tensor, start: int, stop: int) -> None:
        """Do the steps from `start` to before `stop`, and write their losses.

        Without an update only one step is done, and the parameters have its gradients.

        Raises:
            RuntimeError: torch refuses one of them.
        """
        update = self.update
        numbers, width = ([], 0) if update is None else (update.numbers(stop - start), update.width)
        rows = (batches.inputs, batches.targets, batches.order)
        try:
            with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]  # documented, not exported
                gradients = self.function(*rows, losses, self.constants, numbers, start, stop, batches.size, width)
        except RuntimeError as error:
            # The last line is what the operator says; those above it are the text of this module.
            raise RuntimeError(str(error).strip().splitlines()[-1].removeprefix("RuntimeError: ")) from error
        if update is not None:
            update.count(stop - start)
            return
        for parameter, gradient in zip(self.learned, gradients, strict=True):
            parameter.grad = gradient

    def gradients(self) -> tuple[Tensor, ...]:
        """Return copies of the gradients, where the steps end with them."""
        if self.update is not None:
            return ()
        return tuple(parameter.grad.clone() for parameter in self.learned if parameter.grad is not None)


def replay_of(
    recorder: Recorder, loss: Tensor, optimizer: optim.Optimizer, moves: bool, ways: Mapping[int, Lines]
) -> Replay:
    """Return the replay of a step that was recorded, and whose gradients stand at their parameters.

    Args:
        recorder: has seen the forward and the backward pass of a batch x with targets y.
        loss: what the step gave.
        optimizer: moves the weights; it has stepped before.
        moves: whether it is part of the step, where it is one that can be written down.
        ways: what stands in place of some of its lines.

    Raises:
        NotRecordable: the step cannot be written down.
    """
    if recorder.fault:
        raise NotRecordable(recorder.fault)
    learned = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    gradients = {parameter: recorder.name(parameter.grad) for parameter in learned}
    update = update_of(optimizer, gradients, recorder.name) if moves else None
    kept = f"torch.ops.aten.copy_(torch.ops.aten.select(losses, 0, step), {recorder.name(loss)})"
    # A layer that works in place would overwrite the data.
    own = ["x = torch.clone(x)"] if recorder.overwrites_batch else []
    lines = [line for number, one in enumerate(recorder.lines) for line in ways.get(number, (one,))]
    body = [*own, *lines, kept, *(() if update is None else update.lines)]
    returned = [] if update is not None else [gradients[parameter] for parameter in learned]
    text = HEAD + "".join(f"    c{i} = c[{i}]\n" for i in range(len(recorder.constants)))
    text += "".join(f"    {name} = inputs\n" for name in dict.fromkeys(returned)) + BATCH
    text += "".join(f"        {line}\n" for line in body)
    text += f"    gradients: List[Tensor] = [{', '.join(returned)}]\n    return gradients\n"
    constants = [constant.detach() for constant in recorder.constants]
    try:
        function = torch.jit.CompilationUnit(text).run
    except RuntimeError as error:
        raise NotRecordable(f"torch's interpreter refuses it: {str(error).strip().splitlines()[0]}") from error
    return Replay(function, constants, tuple(learned), update)
