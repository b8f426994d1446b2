"""Draws options and shapes for spatial layers, and holds each draw against torch's own class of the same name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from agreement import assert_agrees, batch_of, declared, expected, ruled, sizes_of
from zoo.layers import Layer
from zoo.shapes import Shape

EXAMPLES = 60
LENGTHS = (1, 2, 3, 4, 7, 40)  # a stride of at most 9 tells 40 from 7
REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, AssertionError, ZeroDivisionError)
WRONG: tuple[Any, ...] = (0, -1, [], [1, 1, 1, 1], [0, 2], "x", 1.5, True, None)  # JSON values

Document = dict[str, Any]  # JSON values
Excuse = Callable[[Document, Shape], bool]


class Draw(NamedTuple):
    """A layer's JSON, and whether one of its options was replaced by something wrong."""

    document: Document
    spoiled: bool


def numbers(axes: int, low: int, high: int) -> st.SearchStrategy[Any]:
    """Draw an option that is one number, or one for each axis."""
    return st.integers(low, high) | st.lists(st.integers(low, high), min_size=axes, max_size=axes)


def shapes(axes: int, largest: int = 9, channels: int = 6, smallest: int = 1) -> st.SearchStrategy[Shape]:
    """Draw shapes (N, C, ...); one in six has the wrong axes or whole numbers."""

    def sized(rank: int) -> st.SearchStrategy[Shape]:
        sides = st.lists(st.integers(smallest, largest), min_size=max(0, rank - 2), max_size=max(0, rank - 2))
        dtypes = st.sampled_from(["float32"] * 11 + ["int64"])
        first = st.integers(1, channels)
        return st.builds(lambda c, s, dtype: Shape(*("N", c, *s)[:rank], dtype=dtype), first, sides, dtypes)

    right = axes + 2
    return st.sampled_from([right] * 11 + [right - 1, right + 1]).flatmap(sized)


@st.composite
def documents(draw: st.DrawFn, kind: str, options: dict[str, st.SearchStrategy[Any]], needed: str = "") -> Draw:
    """Draw a layer's JSON: each option is there or not, those in `needed` always; one in eight is wrong."""
    document: Document = {"type": kind}
    for name, values in options.items():
        if name in needed.split() or draw(st.booleans()):
            document[name] = draw(values)
    spoiled = draw(st.integers(0, 7)) == 7
    if spoiled:
        document[draw(st.sampled_from(sorted(options)))] = draw(st.sampled_from(WRONG))
    return Draw(document, spoiled)


def frozen(value: Any) -> Any:
    """Return a JSON value with tuples for lists."""
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def torch_module(document: Document, shape: Shape) -> nn.Module:
    """Return torch's own class with the same options."""
    options = {name: frozen(value) for name, value in document.items() if name != "type"}
    if document["type"].startswith("Conv"):
        written = options.pop("in_channels", None)
        options["in_channels"] = shape.dims[1] if written is None and shape.rank > 1 else written or 1
    module: nn.Module = getattr(nn, document["type"])(**options)
    return module


def torch_gives(document: Document, shape: Shape, length: int = 5) -> Any:
    """Return the sizes that torch gives for three rows, trained on and evaluated; None where it refuses.

    None also where it gives -inf for finite numbers: a maximum of nothing, whose gradient torch writes outside of the
    tensor.
    """
    try:
        module = torch_module(document, shape)
        rows = batch_of(shape, 3, length)
        given = module.eval()(rows)
        found = sizes_of(given)
        if bool(torch.isneginf(given if isinstance(given, Tensor) else given[0]).any()):
            return None
        if rows.dtype == torch.float32:
            result = module.train()(rows.requires_grad_())
            number = (result if isinstance(result, Tensor) else result[0]).sum()
            number.backward()
    except REFUSALS:
        return None
    return found


def read(document: Document) -> Layer | str:
    """Return the layer, or why it is refused."""
    try:
        return declared(document)
    except ValidationError as error:
        return str(error)


def is_excused(draw: Draw, shape: Shape, reason: str, found: Any) -> bool:
    """Return whether the language refuses on purpose what torch takes.

    The batch stays apart, so that torch's unbatched inputs are none of ours; floats only; nothing empty comes out; an
    option that would say nothing is refused; and so are wrong values that torch happens to take, such as true for 1.
    """
    digit = draw.document["type"][-2:-1]
    unbatched = digit.isdigit() and shape.rank != int(digit) + 2
    empty = "0" in str(found).replace(",", " ").replace("(", " ").replace(")", " ").split()
    return unbatched or empty or draw.spoiled or shape.dtype != "float32" or "says nothing" in reason


def judge(draw: Draw, shape: Shape, excuse: Excuse) -> bool:
    """Hold one draw against torch; return whether both take it."""
    document = draw.document
    layer = read(document)
    value = None if isinstance(layer, str) else ruled(layer, shape)
    found = torch_gives(document, shape)
    if isinstance(layer, str) or value is None:
        reason = layer if isinstance(layer, str) else ""
        refused = found is None or is_excused(draw, shape, reason, found) or excuse(document, shape)
        assert refused, f"torch takes {document} on {shape}: {found}"
        return False
    assert found == expected(value, 3), f"torch gives {found} for {document} on {shape}"
    return assert_agrees(layer, shape)


def nothing(document: Document, shape: Shape) -> bool:
    """Return that nothing is excused."""
    return False


def hold(
    drawn: st.SearchStrategy[Draw],
    shapes: st.SearchStrategy[Shape],
    excuse: Excuse = nothing,
    share: float = 0.2,
) -> None:
    """Hold draws against torch, and make sure that at least this share of them is taken by both."""
    hold_pairs(st.tuples(drawn, shapes), excuse, share)


def hold_pairs(pairs: st.SearchStrategy[tuple[Draw, Shape]], excuse: Excuse, share: float) -> None:
    """Hold layers against torch, each with the shape drawn for it."""
    taken: list[bool] = []

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
    @given(pairs)
    def each(pair: tuple[Draw, Shape]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of copies that torch makes, and of batches that could be channels
            taken.append(judge(*pair, excuse))

    each()
    assert sum(taken) >= share * len(taken), f"only {sum(taken)} of {len(taken)} draws were taken"


def hold_lengths(drawn: st.SearchStrategy[Draw], excuse: Excuse = nothing) -> None:
    """Prove that a sequence of any length is taken exactly where torch keeps every length, or gives each the same."""

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
    @given(drawn, st.integers(1, 3))
    def each(draw: Draw, channels: int) -> None:
        document = draw.document
        shape = Shape("N", 2 * channels, "T")
        layer = read(document)
        value = None if isinstance(layer, str) else ruled(layer, shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = {length: torch_gives(document, shape, length) for length in LENGTHS}
            if isinstance(layer, str) or value is None:
                kept = all(sizes is not None and sizes[0][2:] == (length,) for length, sizes in found.items())
                refused = not kept or draw.spoiled or "says nothing" in str(layer) or excuse(document, shape)
                assert refused, f"torch keeps every length: {document}"
                return
            for length, sizes in found.items():
                assert sizes == expected(value, 3, length), f"torch gives {sizes} for {document} on {length}"

    each()
