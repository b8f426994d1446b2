"""Placing: the names of layers, what feeds them, whose weights they use, and who may overwrite whose output."""

from __future__ import annotations

import json

import pytest

from conftest import Document
from wrong import dense, rows, told
from zoo.build import build_model
from zoo.check import check
from zoo.checked import CheckedSpec
from zoo.placed import THE_INPUT
from zoo.placing import shown
from zoo.shapes import Shape
from zoo.source import Source

RELU_OVER = {"type": "ReLU", "inplace": True}
DROPOUT_OVER = {"type": "Dropout", "inplace": True}


def checked(document: Document) -> CheckedSpec:
    return check(Source("spec.json", "", json.loads(json.dumps(document))))


def steps(*layers: Document) -> list[tuple[str, tuple[int, ...]]]:
    return [(placed.name, placed.inputs) for placed in checked(rows(*layers)).layers]


def test_each_layer_is_fed_by_the_one_above() -> None:
    assert steps(dense(3), {"type": "ReLU"}, dense(1)) == [("0", (THE_INPUT,)), ("1", (0,)), ("2", (1,))]


def test_a_layer_is_fed_by_those_it_names() -> None:
    layers = [dense(3, id="a"), dense(3, **{"from": "input"}), {"type": "Add", "from": ["a"]}, dense(1, id="head")]
    assert steps(*layers) == [("a", (THE_INPUT,)), ("1", (THE_INPUT,)), ("2", (1, 0)), ("head", (2,))]


def test_inner_layers_are_named_below_their_composite() -> None:
    inner = {"type": "Residual", "id": "block", "layers": [dense(2), {"type": "ReLU"}], "shortcut": [dense(2)]}
    named = [name for name, _ in steps({"type": "Repeat", "times": 2, "layers": [inner]}, dense(1))]
    one = ["0.{}.block.0", "0.{}.block.1", "0.{}.block.shortcut.0", "0.{}.block"]
    assert named == [name.format(time) for time in range(2) for name in one] + ["1"]


def test_a_repeated_layer_names_its_own_time() -> None:
    inner = [dense(2, id="a"), dense(2), {"type": "Add", "from": ["a"]}]
    found = steps({"type": "Repeat", "times": 2, "layers": inner}, dense(1))
    assert [inputs for _, inputs in found] == [(THE_INPUT,), (0,), (1, 0), (2,), (3,), (4, 3), (5,)]


def test_an_inner_layer_may_name_one_outside() -> None:
    found = steps(dense(2, id="a"), {"type": "Residual", "layers": [dense(2), {"type": "Add", "from": "a"}]}, dense(1))
    assert [inputs for _, inputs in found] == [(THE_INPUT,), (0,), (1, 0), (2, 0), (3,)]


def test_an_inner_id_goes_before_the_same_one_outside() -> None:
    inner = [dense(2, id="a"), dense(2), {"type": "Add", "from": "a"}]
    found = steps(dense(2, id="a"), {"type": "Repeat", "times": 1, "layers": inner}, dense(1))
    assert found[3] == ("1.0.2", (2, 1))


def test_a_tied_layer_learns_its_bias_alone() -> None:
    found = checked(rows(dense(2, id="a"), dense(2, tie="a"), dense(1)))
    assert [list(placed.learned) for placed in found.layers] == [
        ["a.weight", "a.bias"],
        ["1.bias"],
        ["2.weight", "2.bias"],
    ]


def test_a_tied_weight_is_one_tensor() -> None:
    model = build_model(checked(rows(dense(2, id="a"), dense(2, tie="a"), dense(1))))
    assert model.get_parameter("a.weight") is model.get_parameter("1.weight")


def test_several_tensors_are_shown_in_brackets() -> None:
    assert (
        shown((Shape("N", 8), (Shape(1, "N", 4), Shape("N", dtype="int64")))) == "[(N, 8), [(1, N, 4), (N,) of int64]]"
    )


A = dense(2, id="a")
READERS = {
    "read before": ([A, dense(2), {"type": "ReLU", "inplace": True, "from": "a"}], False),
    "read after": ([A, RELU_OVER, {"type": "Add", "from": ["a"]}], False),
    "read by a view, and then": (
        [A, {"type": "Unsqueeze", "dim": 1}, RELU_OVER, {"type": "Squeeze", "dim": 1}, {"type": "Add", "from": ["a"]}],
        False,
    ),
    "read by nobody else": ([A, RELU_OVER, dense(2)], True),
    "twice in place": ([A, {"type": "Hardtanh", "inplace": True}, RELU_OVER], True),
    "the first keeps what the second overwrites": ([A, {"type": "ELU", "inplace": True}, RELU_OVER], False),
    "the second keeps what nobody overwrites": ([A, DROPOUT_OVER, RELU_OVER], True),
    "a copy lies between": ([A, {"type": "Tanh"}, dense(2), RELU_OVER], True),
}


@pytest.mark.parametrize("name", READERS)
def test_in_place_is_refused_where_others_read(name: str) -> None:
    layers, fine = READERS[name]
    document = rows(*layers, dense(1))
    messages = [] if fine else [message for _, message, _ in told(document)]
    assert checked(document) if fine else any("overwrites" in message for message in messages)
