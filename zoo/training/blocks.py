"""Blocks: many steps of a linear model under the mean squared error at once, for `train.exact` false.

Steps of SGD with rate lr over b rows of m targets each move w by -c·xᵀr, where r = xw - y and c = 2 lr / (b m). Put one
below the other, the errors of k steps from w0 solve (I + c·L) r = X w0 - y, where L is X Xᵀ left of the blocks of b on
its diagonal; the weights end at w0 - c·Xᵀr. It is solved in float64, for a few µs in place of k steps.
"""

from __future__ import annotations

import torch
from torch import optim

from zoo.training.recording import Recorder
from zoo.training.replay import Batches, Replay
from zoo.training.snapshot import Snapshot
from zoo.training.update import update_of
from zoo.training.ways import ATEN

ROWS = 128  # of a block; the time for a row, of 20 calls and a triangle of numbers, is least about here
FEWEST = 4  # steps; with less in a block they are faster one by one
LARGEST = 512  # columns times rows of a step; a block multiplies each row with 128 others
STEP = ["t", "addmm", "mse_loss", "mse_loss_backward", "t", "mm", "t", "sum", "view", "t"]
EPS = torch.finfo(torch.float32).eps
TEXT = """
def run(inputs: Tensor, targets: Tensor, order: Optional[Tensor], losses: Tensor, c: List[Tensor], numbers: List[float],
        start: int, stop: int, size: int, width: int):
    weight, bias, left, ones = c[0], c[1], c[2], c[3]
    block = left.size(0) // size
    first = start
    while first < stop:
        last = min(stop, (first // block + 1) * block)
        count = (last - first) * size
        if order is None:
            x = torch.ops.aten.slice(inputs, 0, first * size, last * size)
            y = torch.ops.aten.slice(targets, 0, first * size, last * size)
        else:
            rows = torch.ops.aten.slice(order, 0, first * size, last * size)
            x = torch.index_select(inputs, 0, rows)
            y = torch.index_select(targets, 0, rows)
        x = torch.cat([x.double(), ones[:count]], 1)
        w = torch.cat([weight, bias.unsqueeze(1)], 1).double().t()
        moved = 2.0 * numbers[0] / (size * bias.size(0))
        a = torch.mm(x, x.t()).mul_(left[:count, :count]).mul_(-moved)
        errors = torch.addmm(y.double(), x, w, beta=-1.0)
        r = torch.ops.aten.linalg_solve_triangular(a, errors, upper=False, left=True, unitriangular=True)
        w = torch.addmm(w, x.t(), r, alpha=moved)
        weight.copy_(w[:-1].t())
        bias.copy_(w[-1])
        losses[first:last].copy_(r.square().reshape(last - first, -1).mean(1))
        first = last
    gradients: List[Tensor] = []
    return gradients
"""


def block_of(recorder: Recorder, optimizer: optim.Optimizer, size: int) -> Replay | None:
    """Return blocks of the steps of which one was recorded; None where it is another, or they would not be faster.

    Args:
        recorder: has seen the step.
        optimizer: moves the weights.
        size: rows in a step.
    """
    operators = [line.partition("torch.ops.aten.")[2].partition("(")[0] for line in recorder.lines]
    (group, *others), calls = optimizer.param_groups, list(recorder.calls.values())
    if operators != STEP or calls[0].function is not ATEN.addmm.default or calls[0].given[1] != "x":
        return None
    if not recorder.lines[2].endswith(f"({calls[0].own[0]}, y)"):
        return None  # the sum, and not the mean
    bias, weight = calls[0].args[0], calls[0].args[2].t()
    learned = [p for p in group["params"] if p.grad is not None]
    found = {p.data_ptr(): p for p in learned if p.dtype == torch.float32}
    moves = optimizer.__class__ is optim.SGD and not (others or group["maximize"] or group["nesterov"])
    plain = moves and group["momentum"] == 0 and group["weight_decay"] == 0
    known = set(found) == {bias.data_ptr(), weight.data_ptr()} and len(learned) == 2
    if not (plain and known) or weight.shape[1] * size > LARGEST or ROWS // size < FEWEST:
        return None
    step = torch.arange(ROWS // size * size) // size
    left = (step[:, None] > step[None, :]).double()
    constants = [found[weight.data_ptr()].detach(), found[bias.data_ptr()].detach(), left, left.new_ones(len(left), 1)]
    update = update_of(optimizer, dict.fromkeys(learned, ""), recorder.name)
    return Replay(torch.jit.CompilationUnit(TEXT).run, constants, tuple(learned), update, ROWS // size)


def drift(replay: Replay, batches: Batches, first: int, last: int, before: Snapshot) -> tuple[float, float]:
    """Return how far float32 may carry steps away from the block: the weights, and the error of a row.

    Each step rounds the weights, and its gradient, a sum over b rows of x times an error that is itself a sum over the
    columns; a step that does not diverge makes no rounding of an earlier one larger, so that they add up.
    """
    rows = slice(first * batches.size, last * batches.size)
    chosen = rows if batches.order is None else batches.order[rows]
    x, y = batches.inputs[chosen].abs(), batches.targets[chosen].abs()
    now, then = replay.learned, before.tensors[: len(replay.learned)]
    largest = max(float(tensor.abs().max()) for tensor in (*(p.detach() for p in now), *then))
    reach = float((x.sum(1) + 1).max()) * largest + float(y.max())  # what the summands of an error come to
    rate = 2 * float(replay.update.optimizer.param_groups[0]["lr"]) / y[0].numel() if replay.update else 0.0
    longest, terms = max(1.0, float(x.max())), x.shape[1] + batches.size + 4
    weights = (last - first) * EPS * (largest + rate * longest * terms * reach)
    return weights, terms * EPS * reach + float((x.sum(1) + 1).max()) * weights
