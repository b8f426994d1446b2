"""Holds drawn layers against torch on drawn shapes: what hypothesis draws, and what each draw has to fulfil."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from agreement import (
    LENGTH,
    REFUSALS,
    assert_agrees,
    assert_too_new,
    batch_of,
    declared,
    lacking,
    ruled,
    torch_refuses,
)
from zoo.errors import ShapeError
from zoo.graph import layer_module
from zoo.layers import LAYERS, Layer
from zoo.layers.layer import kind
from zoo.layers.namesake import BESIDE_TORCH
from zoo.shapes import Dimension, Shape

EXAMPLES = 60  # a third repeats another
PHASES = [phase for phase in Phase if phase is not Phase.explain]  # which watches every line: what else may vary?

# Any: JSON values.
Options = dict[str, Any]
Reason = Callable[[Layer, Shape], bool]
Maker = Callable[[Layer, Shape, Options], nn.Module]
Drawn = st.SearchStrategy[Options]

numbers = st.floats(-3, 3, width=16)
flags = st.booleans()
axes = st.sampled_from((1, -1, 2, -2, 0, 3, -3, 4, -4, -5))
SIZES = st.sampled_from((2, 2, 2, 1, 3, 4, 6))


@st.composite
def shapes(draw: st.DrawFn, low: int = 1, high: int = 5, usual: int | None = None, sequence: bool = True) -> Shape:
    """Draw a shape; now and then of whole numbers, with an axis of any length, or with the batch somewhere else.

    Args:
        draw: hypothesis's own.
        low: the smallest rank.
        high: the largest.
        usual: the rank of three quarters of the shapes.
        sequence: whether an axis may be a sequence of any length.
    """
    rank = (
        draw(st.integers(low, high)) if usual is None or draw(st.sampled_from((True, False, False, False))) else usual
    )
    sizes: list[Dimension] = [*draw(st.lists(SIZES, min_size=rank - 1, max_size=rank - 1))]
    if sizes and sequence and draw(st.sampled_from((False,) * 5 + (True,))):
        sizes[draw(st.integers(0, rank - 2))] = "T"
    sizes.insert(draw(st.sampled_from((0,) * 10 + tuple(range(rank)))), "N")
    return Shape(*sizes, dtype=draw(st.sampled_from(("float32",) * 10 + ("int64", "uint8"))))


def options(**choices: st.SearchStrategy[Any]) -> Drawn:
    """Draw some of these options, and none of the others."""
    return st.fixed_dictionaries({}, optional=choices)


class Own(nn.Module):
    """A function of torch as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def namesake(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    """Return torch's class of the same name with the options as they are written."""
    following: Options = {}
    for option in ("in_features", "num_features", "num_channels", "normalized_shape"):
        if option in type(layer).model_fields:
            following[option] = shape.concrete(3, LENGTH)[-1 if option in ("in_features", "normalized_shape") else 1]
    module: nn.Module = getattr(nn, kind(layer))(**(following | written))
    return module


def hold(
    name: str,
    drawn: Drawn,
    where: st.SearchStrategy[Shape],
    stricter: Reason = lambda layer, shape: False,
    own: Maker = namesake,
) -> None:
    """Hold drawn layers against torch on drawn shapes.

    Where the rule accepts, shapes, parameters and numbers are torch's own and gradients go back; where it refuses,
    torch refuses, or it is a `stricter` place; at least an eighth is accepted, and every option is drawn.
    """
    seen: set[str] = set()
    accepted: dict[str, bool] = {}

    @settings(max_examples=EXAMPLES, phases=PHASES, deadline=None, derandomize=True, database=None)
    @given(drawn, where)
    def held(written: Options, shape: Shape) -> None:
        seen.update(written)
        case = f"{sorted(written.items())} {shape}"
        try:
            layer = declared({"type": name, **written})
        except ValidationError:
            return
        if case in accepted:
            return
        absent = lacking(layer)  # nothing, where the newest torch is installed
        if any(absent.values()):
            if ruled(layer, shape) is not None:
                assert_too_new(layer, shape)
            return
        written = {option: value for option, value in written.items() if option not in absent}
        agrees = assert_agrees(layer, shape)
        if agrees:
            assert_same(*_twins(layer, shape, written, own), shape)
            assert_trains(layer_module(layer, (shape,)), shape)
        else:
            assert _refused(layer, shape, written, own) or stricter(layer, shape), (layer, shape)
        accepted[case] = agrees

    held()
    undrawn = set(LAYERS.load(name).model_fields) - BESIDE_TORCH - {"parametrization"} - seen
    assert not undrawn, f"never drawn: {undrawn}"
    share = f"{sum(accepted.values())} of {len(accepted)}"
    assert sum(accepted.values()) >= len(accepted) / 8, share


def _twins(layer: Layer, shape: Shape, written: Options, own: Maker) -> tuple[nn.Module, nn.Module]:
    """Return the layer's module and torch's own, drawn from the same seed."""
    torch.manual_seed(0)
    module = layer_module(layer, (shape,))
    torch.manual_seed(0)
    return module, own(layer, shape, written)


def _refused(layer: Layer, shape: Shape, written: Options, own: Maker) -> bool:
    try:
        return torch_refuses(own(layer, shape, written), shape)
    except REFUSALS:
        return True


def assert_same(module: nn.Module, own: nn.Module, shape: Shape) -> None:
    """Compare state dicts, and outputs in training and in evaluation, bit for bit."""
    torch.testing.assert_close(dict(module.state_dict()), dict(own.state_dict()), rtol=0, atol=0)
    for mode in (True, False):
        outputs = []
        for one in (module, own):
            torch.manual_seed(0)
            outputs.append(one.train(mode)(batch_of(shape, 3)))
        torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0, equal_nan=True)


def assert_trains(module: nn.Module, shape: Shape) -> None:
    """Send gradients back through a module in training, and in evaluation as through a frozen one."""
    for mode in (True, False):
        batch = batch_of(shape, 3)
        if batch.is_floating_point():
            leaf = batch.requires_grad_()
            module.train(mode)(leaf * 1).sum().backward()
            assert leaf.grad is not None
            assert leaf.grad.shape == batch.shape


def floats_only(layer: Layer, shape: Shape) -> bool:
    """Only floats have gradients."""
    return shape.dtype != "float32"


def batch_first(layer: Layer, shape: Shape) -> bool:
    """Rows stay apart, on the first axis; and only floats have gradients."""
    return not shape.batched or floats_only(layer, shape)


def refusal(document: Options, shape: Shape) -> tuple[str, str, str]:
    """Return message, remedy and option of the refusal of a shape."""
    try:
        declared(document).infer((shape,))
    except ShapeError as error:
        return error.message, error.remedy, error.option
    raise AssertionError(f"{document} accepts {shape}")
