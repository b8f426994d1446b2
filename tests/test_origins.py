"""Origins: each value of a resolved spec says truly where it came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Outcome, linear
from zoo.check import check_file
from zoo.origins import Origin, dotted, implied, origins

Write = Callable[..., str]
Zoo = Callable[..., Outcome]


def found_in(reference: str, *overrides: str) -> dict[str, Origin]:
    return {dotted(origin.path): origin for origin in origins(check_file(reference, overrides))}


def test_a_written_value_names_its_line(here: Path, write: Write) -> None:
    name = write(linear())
    lines = (here / name).read_text().splitlines()
    found = found_in(name)
    number = next(index for index, line in enumerate(lines, 1) if '"lr"' in line)
    assert found["optimizer.lr"].origin == f"spec.json:{number}"
    assert found["optimizer.lr"].value == 0.01


def test_a_value_that_nobody_wrote_is_a_default(here: Path, write: Write) -> None:
    found = found_in(write(linear()))
    assert (found["optimizer.momentum"].value, found["optimizer.momentum"].origin) == (0.0, "default")
    assert found["train.seed"].origin == "default"


def test_the_direction_of_a_metric_is_inferred(here: Path, write: Write) -> None:
    train = {"epochs": 2, "batch_size": 4, "early_stopping": {"metric": "r2_score"}}
    spec = linear(data__validation=0.2) | {"metrics": [{"type": "R2Score"}], "train": train}
    found = found_in(write(spec))["train.early_stopping.mode"]
    assert (found.value, found.origin) == ("max", "inferred from the metric")


def test_an_override_is_named(here: Path, write: Write) -> None:
    found = found_in(write(linear()), "train.epochs=7")
    assert (found["train.epochs"].value, found["train.epochs"].origin) == (7, "--set train.epochs=7")


def test_input_sizes_and_named_sizes_are_inferred() -> None:
    found = [(dotted(origin.path), origin.value, origin.origin) for origin in origins(check_file("mnist_mlp"))]
    assert ("model.layers.1.in_features", 784, "inferred from the input") in found
    assert ("model.layers.5.out_features", 10, 'inferred from "classes"') in found


def test_a_written_input_size_is_not_said_to_be_inferred(here: Path, write: Write) -> None:
    layers = [{"type": "Linear", "in_features": 2, "out_features": 1}]
    found = [
        origin for origin in origins(check_file(write(linear(model__layers=layers)))) if "in_features" in origin.path
    ]
    assert [origin.origin.partition(":")[0] for origin in found] == ["spec.json"]


def test_a_repeat_that_infers_several_sizes_tells_each(here: Path, write: Write) -> None:
    layers = [{"type": "Repeat", "times": 3, "layers": [{"type": "Linear", "out_features": 1}]}]
    found = [o for o in origins(check_file(write(linear(model__layers=layers)))) if o.path[-1] == "in_features"]
    assert [(o.value, o.origin) for o in found] == [
        (2, "inferred from the input, in 0.0.0"),
        (1, "inferred from the input, in 0.1.0, 0.2.0"),
    ]


def test_a_value_of_a_parent_names_the_parent(here: Path, write: Write) -> None:
    write(linear(), "parent.json")
    found = found_in(write('{"extends": "parent.json",\n "train": {"epochs": 5}}'))
    assert found["train.epochs"].origin == "spec.json:2"
    assert found["optimizer.lr"].origin.startswith("parent.json:")


def test_every_value_of_the_resolved_spec_is_there_once(here: Path, write: Write) -> None:
    checked = check_file(write(linear()))
    paths = [origin.path for origin in origins(checked) if not origin.origin.startswith("inferred")]
    assert len(set(paths)) == len(paths)
    for path in paths:
        value: Any = checked.spec.document()
        for key in path:
            value = value[key]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ({"type": "Linear", "out_features": 1}, {"in_features": 2}),
        ({"type": "BatchNorm1d"}, {"num_features": 2}),
        ({"type": "ReLU"}, {}),
        ({"type": "Flatten"}, {}),
    ],
)
def test_what_follows_from_the_input_is_what_the_rule_fixes(
    here: Path, write: Write, layer: dict[str, object], expected: dict[str, int]
) -> None:
    layers = [layer, {"type": "Linear", "out_features": 1}]
    assert implied(check_file(write(linear(model__layers=layers))).layers[0]) == expected


def test_the_command_prints_a_table_or_a_record(here: Path, write: Write, zoo: Zoo) -> None:
    name = write(linear())
    assert any(
        line.split() == ["train.seed", "0", "default"] for line in zoo("show", name, "--resolved").out.splitlines()
    )
    records = json.loads(zoo("show", name, "--resolved", "--json").out)
    assert {"path": "train.seed", "value": 0, "origin": "default"} in records
