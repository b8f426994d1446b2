"""Rounding: products of matrices by oneDNN all at once, in less time than MKL's, and with other last bits.

For `train.exact` false. However its n products are added up, the result is within n·eps/2 times |A||B| of the true one
(Higham 2002, section 3.5), so that two ways differ by twice that at most: what differs by more is refused. Which are
computed so follows from their shapes alone, so that two runs, and a training that is resumed, have the same bits.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from zoo.training.recording import NotRecordable, Recorder
from zoo.training.selection import compiled, itself, telling
from zoo.training.ways import ATEN, LEAST_PRODUCTS, Call, Lines, dense, linear

THINNEST = 4  # rows or columns; a product with a vector is no faster
NARROWEST = 128  # columns of the second matrix that pay for laying out the first one anew
LIMITS = torch.finfo(torch.float32)


def rounded(recorder: Recorder) -> dict[int, Lines]:
    """Return what stands in place of each large product of a step, by its line, and of a ReLU behind it.

    Raises:
        NotRecordable: one of them is farther from torch's than rounding explains, or this torch does not have it.
    """
    taken: dict[int, Lines] = {}
    for number, call in recorder.calls.items():
        if not _is_faster(call):
            continue
        activated = _activated(recorder, number)
        plain = (*itself(call), *([recorder.lines[number + 1]] if activated else []))
        own = activated or call.own[0]
        lines = (f"{own} = {_product(call, 'relu' if activated else 'none')}",)
        if not _close(call, plain, lines, own):
            raise NotRecordable("oneDNN's product of two matrices is farther from torch's than rounding explains")
        taken[number] = lines
        if activated:
            taken[number + 1] = ()
    return taken


def _is_faster(call: Call) -> bool:
    """Return whether oneDNN multiplies two matrices of such shapes faster, its preparations of 10 µs included."""
    if call.function not in (ATEN.mm.default, ATEN.addmm.default):
        return False
    left, right = call.args[-2:]
    biased = len(call.args) == 3
    known = all(value.dtype == torch.float32 and dense(value) for value in call.tensors.values())
    if not known or (biased and call.args[0].dim() != 1):
        return False
    large: bool = left.numel() * right.shape[1] >= LEAST_PRODUCTS and min(*left.shape, *right.shape) >= THINNEST
    return large and bool(left.stride(-1) == 1 or right.shape[1] >= NARROWEST)


def _product(call: Call, then: str) -> str:
    """Return the product; a first matrix with its columns one after the other is laid out anew, which pays."""
    left, right = call.given[-2:]
    copied = ".contiguous()" if call.args[-2].stride(-1) != 1 else ""
    return linear(
        f"{left}{copied}", f"torch.ops.aten.t({right})", call.given[0] if len(call.given) == 3 else "None", then
    )


def _activated(recorder: Recorder, number: int) -> str:
    """Return what the ReLU of a product is called that stands on the next line; empty where others take it too."""
    own = recorder.calls[number].own[0]
    found = re.fullmatch(rf"(\w+) = torch\.ops\.aten\.relu\({own}\)", "".join(recorder.lines[number + 1 : number + 2]))
    alone = sum(len(re.findall(rf"\b{own}\b", line)) for line in recorder.lines) == 2
    return found[1] if found and alone else ""


def _close(call: Call, plain: Lines, other: Lines, own: str) -> bool:
    """Return whether two ways to multiply differ by rounding alone, on these numbers and on telling ones."""
    given = {name: tensor.detach() for name, tensor in call.tensors.items()}
    told = {name: telling(tensor, seed) for seed, (name, tensor) in enumerate(given.items())}
    try:
        with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]  # documented, not exported
            one, two = (compiled(list(given), lines, [own]) for lines in (plain, other))
            trials = [(taken, one(*taken.values())[0], two(*taken.values())[0]) for taken in (given, told)]
    except RuntimeError as error:
        raise NotRecordable(f"this torch has no such product by oneDNN: {str(error).splitlines()[-1]}") from error
    return all(
        first.stride() == second.stride()
        and bool(((first.double() - second.double()).abs() <= _bound(call, taken)).all())
        for taken, first, second in trials
    )


def _bound(call: Call, taken: dict[str, Tensor]) -> Tensor:
    """Return by how much two ways to multiply may differ, number by number; a ReLU behind them widens nothing."""
    *bias, left, right = (taken[name].double().abs() for name in call.given)
    count = len(right) + len(bias)
    summed = left @ right + (bias[0] if bias else 0.0)
    return count * (LIMITS.eps * summed + LIMITS.tiny)
