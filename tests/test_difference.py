"""Differences: two specs are held against each other by what they mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Document, Outcome, linear
from zoo.difference import Difference, compare_files

Write = Callable[..., str]
Zoo = Callable[..., Outcome]

DEEP: list[Document] = [
    {"type": "Linear", "out_features": 8},
    {"type": "ReLU"},
    {"type": "Linear", "out_features": 8},
    {"type": "Tanh"},
    {"type": "Linear", "out_features": 1},
]


@pytest.fixture
def compared(here: Path, write: Write) -> Callable[..., Difference]:
    """Compare two documents."""

    def compare(first: Document | str, second: Document | str) -> Difference:
        return compare_files(write(first, "first.json"), write(second, "second.json"))

    return compare


def changes(found: Difference) -> list[tuple[str, Any, Any]]:
    return [(change.name, change.first, change.second) for change in found.changes]


def test_defaults_order_and_prose_do_not_count(compared: Callable[..., Difference]) -> None:
    plain = linear()
    said = {key: plain[key] for key in reversed(plain)} | {"summary": "other words", "$schema": "elsewhere.json"}
    said["optimizer"] = {"momentum": 0, "lr": 1e-2, "type": "SGD"}
    found = compared(plain, said)
    assert found.same
    assert found.verdict() == "the same model"


def test_an_input_size_that_follows_does_not_count(compared: Callable[..., Difference]) -> None:
    written = linear(model__layers=[{"type": "Linear", "in_features": 2, "out_features": 1}])
    assert compared(linear(), written).same


def test_a_named_size_is_the_number_it_stands_for(here: Path) -> None:
    text = (Path(compare_files.__code__.co_filename).parent.parent / "specs" / "mnist_mlp.json").read_text()
    (here / "first.json").write_text(text)
    (here / "second.json").write_text(text.replace('"classes"', "10"))
    assert compare_files("first.json", "second.json").same


def test_each_difference_has_its_path_and_both_values(compared: Callable[..., Difference]) -> None:
    assert changes(compared(linear(), linear(train__epochs=9, optimizer__lr=0.5))) == [
        ("optimizer.lr", 0.01, 0.5),
        ("train.epochs", 2, 9),
    ]


def test_an_inserted_layer_is_one_difference(compared: Callable[..., Difference]) -> None:
    longer = [*DEEP[:2], {"type": "Dropout", "p": 0.25}, *DEEP[2:]]
    found = compared(linear(model__layers=DEEP), linear(model__layers=longer))
    assert [(change.name, change.record().get("first")) for change in found.changes] == [("model.layers.2", None)]
    assert found.changes[0].second["p"] == 0.25


def test_an_option_of_a_moved_layer_names_both_places(compared: Callable[..., Difference]) -> None:
    longer = [{"type": "Tanh"}, *DEEP[:4], {"type": "Linear", "out_features": 1, "bias": False}]
    found = compared(linear(model__layers=DEEP), linear(model__layers=longer))
    assert [change.name for change in found.changes] == ["model.layers.0", "model.layers.4.bias → model.layers.5.bias"]


def test_lists_inside_composites_are_aligned_too(compared: Callable[..., Difference]) -> None:
    first = [{"type": "Residual", "layers": [{"type": "Linear", "out_features": 2}]}, DEEP[-1]]
    second = [{"type": "Residual", "layers": [{"type": "ReLU"}, {"type": "Linear", "out_features": 2}]}, DEEP[-1]]
    found = compared(linear(model__layers=first), linear(model__layers=second))
    assert [change.name for change in found.changes] == ["model.layers.0.layers.0"]


@pytest.mark.parametrize(("first", "second"), [(True, 1), (False, 0)])
def test_a_boolean_is_no_number(first: object, second: object) -> None:
    from zoo.difference import _same

    assert not _same(first, second, ({}, {}))
    assert _same(1, 1.0, ({}, {}))


def test_data_that_lies_elsewhere_is_the_same_model(here: Path, zoo: Zoo) -> None:
    text = (Path(compare_files.__code__.co_filename).parent.parent / "specs" / "mnist_mlp.json").read_text()
    (here / "first.json").write_text(text)
    (here / "second.json").write_text(text.replace('"root": "data"', '"root": "elsewhere"'))
    done = zoo("diff", "first.json", "second.json")
    assert done.status == 0
    assert done.out.splitlines()[-1] == "the same model, but its data lies elsewhere"
    assert "data.root" in done.out


def test_the_folder_of_a_run_stands_for_its_spec(here: Path, write: Write, zoo: Zoo) -> None:
    name = write(linear())
    zoo("train", name)
    assert zoo("diff", name, "runs/line").out == "the same model\n"


def test_the_command_leaves_with_1_where_they_differ(here: Path, zoo: Zoo) -> None:
    done = zoo("diff", "linear1", "linear3")
    assert done.status == 1
    assert done.out.splitlines()[-1] == "4 differences"
    assert zoo("diff", "linear1", "nowhere").status == 2


def test_the_record_leaves_out_what_is_absent(here: Path, write: Write, zoo: Zoo) -> None:
    first = write(linear(model__layers=DEEP), "first.json")
    second = write(linear(model__layers=DEEP[2:]), "second.json")
    record = json.loads(zoo("diff", first, second, "--json").out)
    assert record["same"] is False
    assert record["whereabouts"] == []
    assert all("second" not in change for change in record["changes"])
