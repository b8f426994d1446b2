"""RNN, LSTM and GRU beside torch: outputs and states, weights, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from agreement import assert_agrees, declared, ruled, torch_refuses
from zoo.errors import ShapeError
from zoo.layers import Layer
from zoo.layers.recurrent import LSTM
from zoo.shapes import Shape

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
SHAPES = (
    Shape("N", 4, 3),
    Shape("N", 1, 1),
    Shape("N", "T", 3),
    Shape("N", "T", 3, longest=9),
    Shape("N", 3),
    Shape("N", 2, 3, 3),
    Shape("N", 4, 3, dtype="int64"),
)
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "input_size": st.sampled_from([3, 3, 2]),
    "num_layers": st.integers(1, 3),
    "bias": st.booleans(),
    "dropout": st.sampled_from([0.0, 0.5]),
    "bidirectional": st.booleans(),
}
OWN: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "RNN": {"nonlinearity": st.sampled_from(["tanh", "relu"])},
    "LSTM": {"proj_size": st.integers(0, 4)},
    "GRU": {},
}
ACCEPTED: dict[str, list[bool]] = {name: [] for name in OWN}


@pytest.mark.parametrize("name", OWN)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_layer_agrees_with_torch(name: str, data: st.DataObject) -> None:
    required = {"type": st.just(name), "hidden_size": st.integers(1, 4)}
    options: dict[str, Any] = data.draw(st.fixed_dictionaries(required, optional=COMMON | OWN[name]))
    shape = data.draw(st.sampled_from(SHAPES))
    try:
        layer = declared(options)
    except ValidationError:
        alone = options.get("dropout") and options.get("num_layers", 1) == 1  # torch warns that it says nothing
        assert alone or options.get("proj_size", 0) >= options["hidden_size"]
        return
    accepted = assert_agrees(layer, shape)
    ACCEPTED[name].append(accepted)
    if not accepted and shape.rank != 2:  # torch would read (N, C) as one sequence without a batch
        size = options.get("input_size", 3)
        assert torch_refuses(getattr(nn, name)(size, 2, batch_first=True), shape)


@pytest.mark.parametrize("name", OWN)
def test_a_fair_share_was_accepted(name: str) -> None:
    assert sum(ACCEPTED[name]) >= len(ACCEPTED[name]) / 4


def lstm(**options: object) -> Layer:
    return declared({"type": "LSTM", "hidden_size": 3, **options})


def test_an_lstm_gives_outputs_states_and_cells() -> None:
    layer = lstm(num_layers=2, bidirectional=True, proj_size=2)
    states, cells = Shape(4, "N", 2), Shape(4, "N", 3)
    assert ruled(layer, Shape("N", "T", 5, longest=7)) == (Shape("N", "T", 4), (states, cells))


def test_the_outputs_keep_the_longest_length() -> None:
    given = LSTM(type="LSTM", hidden_size=3).infer((Shape("N", "T", 5, longest=7),))
    assert isinstance(given, tuple)
    assert isinstance(given[0], Shape)
    assert given[0].longest == 7


def test_multiply_adds_are_the_weights_at_each_step() -> None:
    assert lstm().multiply_adds(Shape("N", 7, 5)) == 7 * 4 * 3 * (5 + 3)
    assert lstm().multiply_adds(Shape("N", "T", 5, longest=6)) == 6 * 4 * 3 * (5 + 3)
    assert lstm().multiply_adds(Shape("N", "T", 5)) == 4 * 3 * (5 + 3)


@pytest.mark.parametrize(
    ("shape", "message", "remedy", "option"),
    [
        (
            Shape("N", 5),
            "LSTM needs sequences (N, length, features)",
            "bring the rows into that form above it",
            "",
        ),
        (
            Shape("N", 4, 5),
            "LSTM expects 3 features",
            "remove input_size (it follows from the layer above), or write 5",
            "input_size",
        ),
    ],
    ids=str,
)
def test_a_refusal_says_what_to_write(shape: Shape, message: str, remedy: str, option: str) -> None:
    with pytest.raises(ShapeError) as refusal:
        lstm(input_size=3).infer((shape,))
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (message, remedy, option)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 0.5}, "dropout says nothing in a single layer"),
        ({"proj_size": 3}, "proj_size must be smaller than hidden_size"),
        ({"num_layers": 1001}, "less than or equal to 1000"),
        ({"batch_first": True}, "Extra inputs are not permitted"),
    ],
)
def test_an_option_that_says_nothing_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        lstm(**options)
