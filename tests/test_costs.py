"""Costs: what the shapes say a model takes is what torch really takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import Document, Outcome, linear
from zoo.build import build_model
from zoo.check import check_file
from zoo.checked import CheckedSpec
from zoo.costs import costs, state_tensors

Write = Callable[..., str]
Zoo = Callable[..., Outcome]

LAYERS = [
    {"type": "Linear", "out_features": 8, "id": "wide"},
    {"type": "BatchNorm1d"},
    {"type": "Residual", "layers": [{"type": "Linear", "out_features": 8, "bias": False}, {"type": "ReLU"}]},
    {"type": "Linear", "out_features": 1},
]


def checked_of(write: Write, **changes: object) -> CheckedSpec:
    return check_file(write(linear(model__layers=LAYERS, **changes)))


def test_parameters_are_those_of_the_module(here: Path, write: Write) -> None:
    checked = checked_of(write)
    found = costs(checked)
    module = build_model(checked)
    assert found.parameters == sum(parameter.numel() for parameter in module.parameters()) == 113
    assert [layer.parameters for layer in found.layers] == [24, 16, 64, 0, 0, 9]


def test_multiply_adds_are_of_one_row(here: Path, write: Write) -> None:
    assert costs(checked_of(write)).multiply_adds == 2 * 8 + 8 * 8 + 8 * 1


def test_activations_are_the_outputs_of_all_steps_at_the_batch_size(here: Path, write: Write) -> None:
    checked = checked_of(write, train__batch_size=4)
    memory = costs(checked).memory
    assert memory.activations == 4 * 4 * (8 + 8 + 8 + 8 + 8 + 1)
    assert (memory.weights, memory.gradients) == (4 * 113, 4 * 113)


def test_a_frozen_weight_has_no_gradient_and_no_state(here: Path, write: Write) -> None:
    document = linear(model__layers=LAYERS, optimizer={"type": "Adam"})
    document["freeze"] = ["wide.*"]
    found = costs(check_file(write(document)))
    assert (found.parameters, found.trainable) == (113, 113 - 24)
    assert found.memory.weights == 4 * 113
    assert found.memory.gradients == 4 * 89
    assert found.memory.optimizer == 8 * 89


OPTIMIZERS: tuple[Document, ...] = (
    {"type": "SGD"},
    {"type": "SGD", "momentum": 0.9},
    {"type": "Adam"},
    {"type": "Adam", "amsgrad": True},
    {"type": "AdamW"},
    {"type": "Adadelta"},
    {"type": "Adagrad"},
    {"type": "Adamax"},
    {"type": "ASGD"},
    {"type": "NAdam"},
    {"type": "RAdam"},
    {"type": "RMSprop"},
    {"type": "RMSprop", "centered": True, "momentum": 0.5},
    {"type": "Rprop"},
)


@pytest.mark.parametrize("document", OPTIMIZERS, ids=str)
def test_the_state_counted_is_the_state_that_torch_keeps(document: Document, here: Path, write: Write) -> None:
    checked = checked_of(write, optimizer=document)
    parameter = nn.Parameter(torch.randn(5, 3))
    optimizer = checked.spec.optimizer.build([("weight", parameter)])
    parameter.grad = torch.randn(5, 3)
    optimizer.step()
    kept = [tensor for tensor in optimizer.state[parameter].values() if getattr(tensor, "shape", ()) == (5, 3)]
    assert state_tensors(checked.spec.optimizer) == len(kept)


def test_a_state_of_another_size_is_not_guessed(here: Path, write: Write) -> None:
    memory = costs(checked_of(write, optimizer={"type": "Adafactor"})).memory
    assert memory.optimizer is None
    assert memory.total is None


def test_the_table_ends_with_the_totals(here: Path, write: Write, zoo: Zoo) -> None:
    lines = zoo("show", write(linear(model__layers=LAYERS))).out.splitlines()
    (total,) = (line for line in lines if "total" in line and "113" in line)
    assert total.split() == ["total", "113", "88"]
    assert any(line.split()[:1] == ["activations,"] for line in lines)


def test_the_record_is_the_table_for_machines(here: Path, write: Write, zoo: Zoo) -> None:
    record = json.loads(zoo("show", write(linear(model__layers=LAYERS)), "--json").out)
    assert record["layers"][0]["shape"] == ["N", 8]
    assert record["parameters"] == sum(layer["parameters"] for layer in record["layers"]) == 113
    assert record["memory"]["total"] == sum(
        record["memory"][part] for part in ("weights", "gradients", "optimizer", "activations")
    )
