"""CausalMask: what a step scores for later ones is hidden."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from agreement import declared
from holding import Options, Own, batch_first, hold, options, refusal, shapes
from writing import assert_exports, written
from zoo.layers import Layer
from zoo.layers.mask import CausalMask
from zoo.shapes import Shape

SCORES = Shape("N", 2, "T", "T")


def own(layer: Layer, shape: Shape, written: Options) -> nn.Module:
    def hidden(x: torch.Tensor) -> torch.Tensor:
        length, window = x.size(-1), written.get("window", 99)
        seen = torch.tensor([[0 <= row - column < window for column in range(length)] for row in range(length)])
        return torch.where(seen, x, float("-inf"))

    return Own(hidden)


def no_scores(layer: Layer, shape: Shape) -> bool:
    """Rows and columns are steps of one sequence, longer than the window; and only floats have gradients."""
    assert isinstance(layer, CausalMask)
    if isinstance(shape.dims[-1], int) and (layer.window or 0) >= shape.dims[-1]:
        return True
    return batch_first(layer, shape) or shape.rank < 3 or shape.dims[-1] != shape.dims[-2]


def square(shape: Shape) -> Shape:
    """Return the shape with two equal axes at its end, most often."""
    return shape if shape.rank == 4 else shape.with_dims(*shape.dims, shape.dims[-1])


def test_it_hides_what_is_later_and_what_is_before_the_window() -> None:
    hold("CausalMask", options(window=st.integers(1, 4)), shapes(low=2).map(square), no_scores, own)


# Any: JSON values.
@pytest.mark.parametrize(("written_options", "expected"), [({}, [1, 2, 3, 4]), ({"window": 2}, [1, 2, 2, 2])])
def test_each_step_sees_as_many_as_the_window_holds(written_options: dict[str, Any], expected: list[int]) -> None:
    module = written(declared({"type": "CausalMask", **written_options}), SCORES)
    weights = module(torch.zeros(1, 1, 4, 4)).softmax(-1)
    assert (weights > 0).sum(-1).flatten().tolist() == expected


@pytest.mark.parametrize("window", [None, 2])
def test_traced_and_exported_copies_take_any_length(window: int | None) -> None:
    assert_exports(declared({"type": "CausalMask", "window": window}), SCORES)


def test_a_value_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValidationError):
        declared({"type": "CausalMask", "window": 0})


@pytest.mark.parametrize("shape", [Shape("N", 3), Shape("N", "T", 3)], ids=str)
def test_what_is_no_scores_is_refused(shape: Shape) -> None:
    remedy = "put it between a MatMul of a sequence with itself and the Softmax"
    assert refusal({"type": "CausalMask"}, shape) == ("CausalMask needs scores (N, …, T, T)", remedy, "")


def test_a_window_that_hides_nothing_is_refused() -> None:
    said = refusal({"type": "CausalMask", "window": 4}, Shape("N", "T", "T", longest=4))
    message = "CausalMask needs a window that is shorter than the longest sequence, 4"
    assert said == (message, "remove window, or write a smaller one", "window")
