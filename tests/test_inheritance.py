"""Inheritance: what a spec does not say itself is that of the spec it extends; and each value keeps its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Document, linear
from zoo.check import check_file
from zoo.errors import SpecError, UsageError
from zoo.inheritance import LONGEST_CHAIN, read_spec

Write = Callable[..., str]


@pytest.fixture
def base(write: Write) -> Document:
    """A spec beside the one that extends it."""
    document = linear(train={"epochs": 2, "batch_size": 4, "shuffle": False})
    write(document, "base.json")
    return document


def extended(write: Write, own: Document, name: str = "spec.json") -> Document:
    return read_spec(write({"extends": "base.json"} | own, name)).value


def test_what_is_not_said_is_that_of_the_base(base: Document, write: Write) -> None:
    assert extended(write, {"name": "other"}) == base | {"name": "other"}


def test_objects_are_merged_key_by_key(base: Document, write: Write) -> None:
    assert extended(write, {"train": {"epochs": 9}})["train"] == {"epochs": 9, "batch_size": 4, "shuffle": False}


def test_an_object_of_another_type_replaces_the_whole(base: Document, write: Write) -> None:
    assert extended(write, {"optimizer": {"type": "Adam"}})["optimizer"] == {"type": "Adam"}


def test_an_object_of_the_same_type_is_merged(base: Document, write: Write) -> None:
    found = extended(write, {"optimizer": {"type": "SGD", "momentum": 0.9}})["optimizer"]
    assert found == {"type": "SGD", "lr": 0.01, "momentum": 0.9}


def test_a_list_replaces_the_whole(base: Document, write: Write) -> None:
    assert extended(write, {"metrics": []})["metrics"] == []


def test_a_base_may_extend_another(base: Document, write: Write) -> None:
    write({"extends": "base.json", "name": "middle", "train": {"epochs": 5}}, "middle.json")
    found = read_spec(write({"extends": "middle.json", "train": {"batch_size": 7}})).value
    assert (found["name"], found["train"]) == ("middle", {"epochs": 5, "batch_size": 7, "shuffle": False})


def test_a_base_lies_beside_the_spec_that_names_it(base: Document, write: Write, here: Path) -> None:
    (here / "inner").mkdir()
    (here / "inner" / "spec.json").write_text('{"extends": "../base.json", "name": "inner"}', encoding="utf-8")
    assert read_spec("inner/spec.json").value == base | {"name": "inner"}


def test_a_base_may_be_a_name_of_the_zoo(write: Write) -> None:
    found = check_file(write({"extends": "linear3", "name": "mine"}))
    assert (found.spec.name, found.spec.loss) == ("mine", check_file("linear3").spec.loss)


def test_overrides_come_last(base: Document, write: Write) -> None:
    found = read_spec(write({"extends": "base.json", "train": {"epochs": 5}}), ["train.epochs=6", "train.seed=3"]).value
    assert found["train"] == {"epochs": 6, "batch_size": 4, "shuffle": False, "seed": 3}


def places(path: str, overrides: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    """The file of each problem, the text it points at, and the message."""
    with pytest.raises(SpecError) as refused:
        check_file(path, overrides)
    return [(problem.place.origin, problem.place.text.strip(), problem.message) for problem in refused.value.problems]


def test_a_problem_is_placed_in_the_file_that_says_it(write: Write) -> None:
    write(linear(train__epochs=-1, name="BASE"), "base.json")
    path = write({"extends": "base.json", "name": "own", "train": {"batch_size": -2}})
    assert sorted(places(path)) == [
        ("base.json", '"epochs": -1,', "train.epochs is -1"),
        ("spec.json", '"batch_size": -2', "train.batch_size is -2"),
    ]


def test_a_problem_of_an_override_over_a_base_is_placed_at_it(base: Document, write: Write) -> None:
    path = write({"extends": "base.json", "name": "own"})
    assert places(path, ("train.epochs=0",)) == [("--set train.epochs=0", "", "train.epochs is 0")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.json", "extends: no such spec: absent.json"),
        (7, "extends is no string"),
        ("", "extends is no string"),
        (["base.json"], "extends is no string"),
        ("spec.json", "the spec extends itself through spec.json"),
    ],
)
def test_a_base_that_cannot_be_is_refused_at_its_place(name: object, message: str, write: Write) -> None:
    ((origin, text, told),) = places(write({"extends": name, "name": "own"}))
    assert (origin, text, told) == (
        "spec.json",
        f'"extends": {json.dumps(name)},' if name != ["base.json"] else '"extends": [',
        message,
    )


def test_specs_that_extend_each_other_are_refused(write: Write) -> None:
    write({"extends": "b.json"}, "a.json")
    write({"extends": "a.json"}, "b.json")
    assert places("a.json") == [("b.json", '"extends": "a.json"', "the spec extends itself through a.json")]


def test_a_chain_without_end_is_refused(write: Write) -> None:
    for index in range(LONGEST_CHAIN + 5):
        write({"extends": f"s{index + 1}.json"}, f"s{index}.json")
    ((origin, _, message),) = places("s0.json")
    assert (origin, message.partition(" through ")[0]) == (f"s{LONGEST_CHAIN - 1}.json", "the spec extends itself")


@pytest.mark.parametrize("text", ['{"name": }', "SECRET=1", '["SECRET"]', '"SECRET"', '{"SECRET": 1, "SECRET": 2}', ""])
def test_a_base_that_is_no_spec_is_told_in_its_own_file_and_not_shown(text: str, write: Write) -> None:
    write(text, "base.json")
    with pytest.raises(SpecError) as refused:
        check_file(write({"extends": "base.json"}))
    (problem, *_) = refused.value.problems
    assert (problem.place.origin, problem.place.line, problem.place.text) == ("base.json", 1, "")
    assert "│" not in str(problem)
    assert text.startswith("{") or "SECRET" not in str(problem)


@pytest.mark.parametrize("name", ["/proc/self/environ", "secret.txt", "secret", ".json"])
def test_a_base_is_a_json_file(name: str, write: Write, here: Path) -> None:
    for file in ("secret.txt", "secret", ".json"):
        write("SECRET=1", file)
    if not (here / name).is_file():
        pytest.skip(f"needs {name}")
    ((origin, _, message),) = places(write({"extends": name, "name": "own"}))
    assert (origin, message) == ("spec.json", f"extends: {name} is no .json file")


def test_a_template_of_the_base_may_be_used(write: Write) -> None:
    unit = {"layers": [{"type": "Linear", "out_features": "$width"}]}
    write(linear() | {"blocks": {"unit": unit}}, "base.json")
    layers = [{"type": "Block", "name": "unit", "width": 5}, {"type": "Block", "name": "unit", "width": 1}]
    found = check_file(write({"extends": "base.json", "name": "own", "model": {"layers": layers}}))
    assert [placed.output.row for placed in found.layers] == [(5,), (1,)]


def test_what_a_spec_extends_is_not_set_from_outside(write: Callable[..., str]) -> None:
    with pytest.raises(UsageError, match="says itself what it extends"):
        read_spec(write(linear()), ["extends=linear3"])
