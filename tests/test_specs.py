"""Every spec of the zoo: well-formed, and as good as its tutorial."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from conftest import REPOSITORY, Outcome
from judging import judging
from zoo import catalog
from zoo.build import bare_model, parameter_counts
from zoo.check import check_file
from zoo.schema import json_schema

Zoo = Callable[..., Outcome]
SPECS = catalog.names()
SCHEMA = json.loads((REPOSITORY / "specs" / "zoo.schema.json").read_text())
VALIDATOR = judging(SCHEMA)


def test_the_zoo_is_not_empty() -> None:
    assert {"linear1", "linear3", "mnist_mlp", "fashion_mlp"} <= set(SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_is_named_as_its_file_and_says_what_it_does(name: str) -> None:
    spec = check_file(name).spec
    assert spec.name == name
    assert spec.summary


@pytest.mark.parametrize("name", SPECS)
def test_the_schema_accepts_a_spec(name: str) -> None:
    document = json.loads((REPOSITORY / "specs" / f"{name}.json").read_text())
    VALIDATOR.validate(document)


def test_the_committed_schema_is_current() -> None:
    assert json_schema() == SCHEMA, "renew it: zoo schema > specs/zoo.schema.json"


def test_the_schema_refuses_an_unknown_option() -> None:
    document = json.loads((REPOSITORY / "specs" / "linear3.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(document | {"epochs": 3})


@pytest.mark.parametrize("name", SPECS)
def test_the_shapes_and_counts_of_a_spec_are_those_of_its_module(name: str) -> None:
    import torch

    checked = check_file(name)
    with torch.device("meta"), torch.no_grad():  # sizes without numbers
        model = bare_model(checked)  # without the weights that a known architecture would download
        given = torch.zeros(checked.input.concrete(2, 5), dtype=getattr(torch, checked.input.dtype))
        assert tuple(model(given).shape) == checked.output.concrete(2, 5)
    counted = sum(parameter_counts(checked).values())
    assert counted == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", ["linear1", "linear3"])
def test_a_linear_spec_recovers_what_made_its_data(name: str, zoo: Zoo, here: Path) -> None:
    done = zoo("train", REPOSITORY / "specs" / f"{name}.json", "--json")
    assert done.status == 0, done.err
    recovered = json.loads(done.out)["recovered"]
    assert len(recovered) == int(name[-1]) + 1
    for pair in recovered:
        allowed = 1e-2 if pair["name"].startswith("bias") else 1e-3
        assert abs(pair["learned"] - pair["true"]) < allowed, pair


def test_three_outputs_for_a_single_target_are_refused_as_the_accident_they_are(zoo: Zoo) -> None:
    done = zoo("check", "linear3", "--set", "model.layers.0.out_features=3")
    assert done.status == 2
    assert "MSELoss compares (N, 3) of the model with targets (N, 1)" in done.out


@pytest.mark.long
def test_digits_are_recognised_as_well_as_in_the_tutorial(zoo: Zoo, here: Path, real_data: Path) -> None:
    done = zoo("train", REPOSITORY / "specs" / "mnist_mlp.json", "--set", f"data.root={real_data}", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["metrics"]["test_accuracy"] >= 0.923


@pytest.mark.long
def test_articles_are_measured_after_every_epoch_and_learned(zoo: Zoo, here: Path, real_data: Path) -> None:
    done = zoo("train", REPOSITORY / "specs" / "fashion_mlp.json", "--set", f"data.root={real_data}")
    assert done.status == 0, done.err
    lines = [line for line in done.err.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 10
    assert all("test_accuracy" in line and "test_loss" in line for line in lines)
    rows = [json.loads(line) for line in Path("runs/fashion_mlp/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["test_accuracy"] > 0.69
    assert [row["test_loss"] for row in rows] == sorted((row["test_loss"] for row in rows), reverse=True)
