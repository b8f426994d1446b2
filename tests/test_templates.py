"""Templates: Blocks become the layers they stand for, and what is put in keeps its place in the text."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from conftest import Document, linear
from wrong import blocks, dense, rows
from zoo.check import check, check_file
from zoo.errors import SpecError
from zoo.source import Source
from zoo.templates import expand, parameters

BLOCK = {"type": "Block", "name": "unit"}
UNIT: Document = {"unit": {"defaults": {"bias": False}, "layers": [dense("$width", bias="$bias"), {"type": "ReLU"}]}}


def source_of(document: Document, indent: int | None = 1) -> Source:
    text = json.dumps(document, indent=indent)
    return Source("spec.json", text, json.loads(text))


def layers_of(document: Document) -> list[Document]:
    found: list[Document] = expand(source_of(document)).value["model"]["layers"]
    return found


def test_a_document_without_blocks_stays_as_it_is() -> None:
    document = rows(dense(1))
    assert expand(source_of(document)).value == document


def test_a_block_becomes_its_layers_with_its_parameters() -> None:
    (block, _) = layers_of(blocks(UNIT, BLOCK | {"width": 3, "bias": True}, dense(1)))
    assert block == BLOCK | {"layers": [dense(3, bias=True), {"type": "ReLU"}]}


def test_a_parameter_that_is_not_given_has_its_default() -> None:
    (block, _) = layers_of(blocks(UNIT, BLOCK | {"width": 3}, dense(1)))
    assert block["layers"][0] == dense(3, bias=False)


def test_the_templates_are_gone_afterwards() -> None:
    assert "blocks" not in expand(source_of(blocks(UNIT, BLOCK | {"width": 3}, dense(1)))).value


def test_an_id_and_an_input_stay_with_the_block() -> None:
    document = blocks(UNIT, dense(2, id="a"), BLOCK | {"width": 3, "id": "b", "from": "a"}, dense(1))
    assert {key: layers_of(document)[1][key] for key in ("id", "from")} == {"id": "b", "from": "a"}


@pytest.mark.parametrize("value", [3, None, True, [1, 2], {"type": "ReLU"}, "x"])
def test_a_parameter_is_any_value(value: object) -> None:
    document = blocks({"unit": {"layers": [{"type": "Linear", "out_features": "$width"}]}}, BLOCK | {"width": value})
    assert layers_of(document)[0]["layers"][0]["out_features"] == value


def test_a_template_may_hold_another_and_pass_its_parameters_on() -> None:
    twice = {"layers": [BLOCK | {"width": "$wide"}, BLOCK | {"width": 4}]}
    (block, _) = layers_of(blocks(UNIT | {"twice": twice}, {"type": "Block", "name": "twice", "wide": 7}, dense(1)))
    assert [inner["layers"][0]["out_features"] for inner in block["layers"]] == [7, 4]


def test_blocks_stand_inside_other_layers() -> None:
    document = blocks(UNIT, {"type": "Repeat", "times": 2, "layers": [BLOCK | {"width": 2}]}, dense(1))
    assert [placed.name for placed in check(source_of(document)).layers] == [
        "0.0.0.0",
        "0.0.0.1",
        "0.1.0.0",
        "0.1.0.1",
        "1",
    ]


def test_an_expanded_document_is_taken_and_stays_as_it_is() -> None:
    expanded = expand(source_of(blocks(UNIT, BLOCK | {"width": 3}, dense(1))))
    again = source_of(expanded.value)
    assert expand(again).value == expanded.value
    assert len(check(again).layers) == 3


def lines_of(document: Document) -> list[tuple[str, str]]:
    """The text that each problem of a document points at, and what is said."""
    with pytest.raises(SpecError) as refused:
        check(source_of(document))
    return [(problem.place.text.strip(), problem.message) for problem in refused.value.problems]


def test_a_problem_of_a_parameter_points_at_the_block() -> None:
    ((text, message),) = lines_of(blocks(UNIT, BLOCK | {"width": -7}, dense(1)))
    assert (text, message.partition(" is ")[2]) == ('"width": -7', "-7")


def test_a_problem_of_a_default_points_at_the_template() -> None:
    templates = {"unit": {"defaults": {"bias": 3}, "layers": [dense(2, bias="$bias")]}}
    ((text, message),) = lines_of(blocks(templates, BLOCK, dense(1)))
    assert (text, message.partition(" is ")[2]) == ('"bias": "$bias"', "3")


def test_a_problem_of_a_templates_layer_points_at_it_and_is_told_once() -> None:
    templates = {"unit": {"layers": [{"type": "Linear", "out_features": 2, "in_features": 9}]}}
    ((text, message),) = lines_of(blocks(templates, BLOCK, BLOCK, dense(1)))
    assert (text, message) == ('"in_features": 9', "Linear expects 9 features, but the data gives (N, 2)")


def test_a_problem_inside_a_template_inside_another_points_at_the_innermost_value() -> None:
    twice = {"layers": [BLOCK | {"width": "$wide"}]}
    ((text, _),) = lines_of(blocks(UNIT | {"twice": twice}, {"type": "Block", "name": "twice", "wide": "x7"}, dense(1)))
    assert text == '"wide": "x7"'


def test_the_parameters_of_a_template_are_the_strings_with_a_dollar() -> None:
    assert parameters([dense("$a", note="b$"), {"x": ["$c", {"y": "$a"}]}]) == {"a", "c"}


def test_a_wrong_template_does_not_hide_what_is_wrong_elsewhere(write: Callable[..., str]) -> None:
    layers = [{"type": "Block", "name": "unt"}, {"type": "Linear", "out_features": 1, "bais": True}]
    templates = {"unit": {"layers": [{"type": "ReLU"}]}}
    with pytest.raises(SpecError) as refused:
        check_file(write(linear(blocks=templates, model__layers=layers, train__epochs=0)))
    assert [problem.message for problem in refused.value.problems] == [
        'there is no template "unt"',
        'no Block uses the template "unit"',
        'Linear has no option "bais"',
        "train.epochs is 0",
    ]
