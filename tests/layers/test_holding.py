"""The judge of layers is judged: a module that differs, a rule too strict and options never drawn are found."""

from typing import Literal

import pytest
from hypothesis import strategies as st
from torch import nn

from agreement import assert_too_new, lacking
from holding import Options, Own, floats_only, hold, options, shapes
from zoo.layers import Layer
from zoo.layers.namesake import Namesake
from zoo.shapes import Shape

FACTOR = st.fixed_dictionaries({"factor": st.sampled_from((2.0, 3.0))})


def test_a_module_that_computes_something_else_is_found() -> None:
    def other(layer: Layer, shape: Shape, written: Options) -> nn.Module:
        return Own(lambda x: x * written["factor"] * 1.0001)

    with pytest.raises(AssertionError, match="not equal"):
        hold("Scale", FACTOR, shapes(), floats_only, other)


def test_a_rule_that_is_stricter_than_torch_is_found() -> None:
    with pytest.raises(AssertionError, match=r"dtype='(int64|uint8)'"):
        hold("ReLU", options(inplace=st.booleans()), shapes())


def test_an_option_that_is_never_drawn_is_found() -> None:
    with pytest.raises(AssertionError, match="inplace"):
        hold("Dropout", options(p=st.floats(0, 1, exclude_max=True)), shapes(), floats_only)


def test_shapes_that_are_hardly_ever_accepted_are_found() -> None:
    with pytest.raises(AssertionError, match="0 of"):
        hold("Softmax2d", options(), shapes(high=2))


def test_an_option_that_the_installed_torch_lacks_is_left_out_where_it_says_nothing() -> None:
    class Softmax(Namesake):
        type: Literal["Softmax"] = "Softmax"
        dim: int = 1
        temperature: float = 1.0

    assert lacking(Softmax()) == {"temperature": False}
    assert lacking(Softmax(temperature=0.5)) == {"temperature": True}
    assert_too_new(Softmax(temperature=0.5), Shape("N", 3))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        assert_too_new(Softmax(), Shape("N", 3))
