"""Selection: in which way an operator of a recorded step is computed: proven to give its bits, measured to be faster.

A way must have the bits of the operator itself on the numbers of the recorded step and on such as are made to tell two
ways of rounding apart. Elsewhere the operator stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, thread_time

import torch
from torch import Tensor

from zoo.training.ways import ATEN, Call, Lines, ways_of

WORTH = 0.9  # of the operator's own time; what takes longer is not worth a change
ROUNDS = 5  # in which all ways are timed in turn; the shortest time of each counts
HOPELESS = 4.0  # times the operator's own time, after which a way is not tried again


def selected(calls: Mapping[int, Call]) -> dict[int, Lines]:
    """Return the lines of the fastest way of each call that has one other than itself, by the call's own line.

    The tensors of the calls have the numbers of a step, or others in their place.
    """
    known: dict[tuple[object, ...], int] = {}
    taken = {}
    for line, call in calls.items():
        ways = [itself(call), *ways_of(call)]
        if len(ways) > 1 and call.likeness not in known:
            known[call.likeness] = _choice(call, ways)
        taken[line] = ways[known.get(call.likeness, 0)]
    return taken


def itself(call: Call) -> Lines:
    """Return the operator as it was recorded."""
    return (f"{', '.join(call.own)} = {call.text}",)


def _choice(call: Call, ways: Sequence[Lines]) -> int:
    """Return the number of the way to take; 0 for the operator itself."""
    names, given = list(call.tensors), list(call.tensors.values())
    functions: dict[int, Callable[..., list[Tensor]]] = {}
    times: dict[int, float] = {}
    with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]  # documented, not exported
        for number, lines in enumerate(ways):
            try:
                function = compiled(names, lines, _results(call))
                times[number] = _seconds(function, given)
                if number and not (times[number] < HOPELESS * times[0] and _agree(functions[0], function, given)):
                    continue
            except RuntimeError:
                if number == 0:
                    return 0  # as it was recorded; with what it failed here for, a step would say it
                continue  # this torch, or this machine, does not have it
            functions[number] = function
        for _ in range(ROUNDS):
            for number, function in functions.items():
                times[number] = min(times[number], _seconds(function, given))
    best = min(functions, key=lambda number: times[number])
    return best if times[best] < WORTH * times[0] else 0


def _results(call: Call) -> list[str]:
    """Return the names of the results that are there; of gradients some may not be asked for."""
    if call.function is not ATEN.convolution_backward.default:
        return list(call.own)
    return [name for name, asked in zip(call.own, call.args[-1], strict=True) if asked]


def compiled(names: Sequence[str], lines: Lines, results: Sequence[str]) -> Callable[..., list[Tensor]]:
    """Return a way as a function of its tensors."""
    taken = ", ".join(f"{name}: Tensor" for name in names)
    body = "".join(f"    {line}\n" for line in lines)
    text = f"def way({taken}) -> List[Tensor]:\n{body}    return [{', '.join(results)}]\n"
    function: Callable[..., list[Tensor]] = torch.jit.CompilationUnit(text).way
    return function


def _seconds(function: Callable[..., list[Tensor]], given: Sequence[Tensor]) -> float:
    begun = worked()
    function(*given)
    return worked() - begun


def worked() -> float:
    """Return seconds of a clock; where one thread does all, without what other programs take meanwhile."""
    return thread_time() if torch.get_num_threads() == 1 else perf_counter()


def _agree(one: Callable[..., list[Tensor]], other: Callable[..., list[Tensor]], given: Sequence[Tensor]) -> bool:
    """Return whether two ways give the same bits, laid out alike, on these numbers and on telling ones."""
    for taken in (given, [telling(tensor, seed) for seed, tensor in enumerate(given)]):
        pairs = zip(one(*taken), other(*taken), strict=True)
        if not all(first.stride() == second.stride() and same_bits(first, second) for first, second in pairs):
            return False
    return True


def telling(tensor: Tensor, seed: int) -> Tensor:
    """Return a tensor laid out alike whose numbers tell ways of rounding apart: of all sizes, with zeros of each sign.

    Products of the smallest are below float32's normal range, sums of the largest within it.
    """
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(tensor.shape, generator=generator)
    scale = torch.randint(-70, 30, (len(tensor), *[1] * (tensor.dim() - 1)), generator=generator)
    numbers = torch.ldexp(numbers, scale * (torch.rand(scale.shape, generator=generator) < 0.5))
    chance = torch.rand(tensor.shape, generator=generator)
    numbers = numbers.masked_fill(chance < 0.2, 0.0).masked_fill(chance < 0.1, -0.0)
    return torch.empty_like(tensor).copy_(numbers)


def same_bits(one: Tensor, two: Tensor) -> bool:
    """Return whether two tensors have the same bits; a NaN is the same as itself."""
    return one.shape == two.shape and torch.equal(_bytes(one), _bytes(two))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)
