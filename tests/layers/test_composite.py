"""Composites: each is the steps that it stands for, and computes what torch computes when a person writes them out."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from conftest import Document
from wrong import dense, rows
from zoo.build import build_model
from zoo.check import check
from zoo.layers import LAYERS
from zoo.source import Source

GIVEN = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))


def model_of(*layers: Document) -> nn.Module:
    torch.manual_seed(0)
    return build_model(check(Source("spec.json", "", json.loads(json.dumps(rows(*layers, dense(1)))))))


def linear_of(model: nn.Module, name: str) -> nn.Linear:
    found = model.get_submodule(name)
    assert isinstance(found, nn.Linear)
    return found


def head(model: nn.Module, value: Tensor) -> Tensor:
    made: Tensor = linear_of(model, "1")(value)
    return made


def test_a_residual_adds_its_input() -> None:
    model = model_of({"type": "Residual", "layers": [dense(2)]})
    assert torch.equal(model(GIVEN), head(model, linear_of(model, "0.0")(GIVEN) + GIVEN))


def test_a_residual_adds_what_its_shortcut_gives() -> None:
    model = model_of({"type": "Residual", "layers": [dense(5)], "shortcut": [dense(5)]})
    long, short = linear_of(model, "0.0"), linear_of(model, "0.shortcut.0")
    assert torch.equal(model(GIVEN), head(model, long(GIVEN) + short(GIVEN)))


@pytest.mark.parametrize("dim", [1, -1])
def test_a_parallel_concatenates_its_branches(dim: int) -> None:
    model = model_of({"type": "Parallel", "branches": [[dense(2)], [], [dense(4)]], "dim": dim})
    parts = [linear_of(model, "0.0.0")(GIVEN), GIVEN, linear_of(model, "0.2.0")(GIVEN)]
    assert torch.equal(model(GIVEN), head(model, torch.cat(parts, 1)))


@pytest.mark.parametrize(("join", "joined"), [("add", torch.add), ("multiply", torch.mul)])
def test_a_parallel_adds_or_multiplies_its_branches(join: str, joined: Callable[[Tensor, Tensor], Tensor]) -> None:
    model = model_of({"type": "Parallel", "branches": [[dense(2)], []], "join": join})
    assert torch.equal(model(GIVEN), head(model, joined(linear_of(model, "0.0.0")(GIVEN), GIVEN)))


def test_a_repeat_has_weights_of_its_own_each_time() -> None:
    model = model_of({"type": "Repeat", "times": 3, "layers": [dense(2)]})
    value = GIVEN
    for time in range(3):
        value = linear_of(model, f"0.{time}.0")(value)
    assert torch.equal(model(GIVEN), head(model, value))
    assert not torch.equal(linear_of(model, "0.0.0").weight, linear_of(model, "0.1.0").weight)


def test_a_composite_takes_the_layer_it_names() -> None:
    inner = {"type": "Residual", "layers": [dense(2)], "from": "a"}
    model = model_of(
        dense(2, id="a"), dense(2), {"type": "Add", "from": "a", "id": "sum"}, inner, {"type": "Add", "from": "sum"}
    )
    a = linear_of(model, "a")(GIVEN)
    both = linear_of(model, "1")(a) + a
    taken = linear_of(model, "3.0")(a) + a
    assert torch.equal(model(GIVEN), linear_of(model, "5")(taken + both))


def test_a_parallel_may_hold_no_layer_at_all() -> None:
    model = model_of({"type": "Parallel", "branches": [[], []], "join": "add"})
    assert torch.equal(model(GIVEN), head(model, GIVEN + GIVEN))


@pytest.mark.parametrize(
    ("document", "kinds"),
    [
        ({"type": "Residual", "layers": ()}, ["too_short"]),
        ({"type": "Residual", "layers": ({"type": "ReLU"},), "shortcut": ()}, ["too_short"]),
        ({"type": "Parallel", "branches": ((),)}, ["too_short"]),
        ({"type": "Parallel", "branches": ((), ()), "join": "add", "dim": 1}, ["value_error"]),
        ({"type": "Repeat", "times": 0, "layers": ({"type": "ReLU"},)}, ["greater_than_equal"]),
        ({"type": "Repeat", "times": 10_001, "layers": ({"type": "ReLU"},)}, ["less_than_equal"]),
        ({"type": "Repeat", "layers": ({"type": "ReLU"},)}, ["missing"]),
    ],
)
def test_a_composite_of_nothing_is_refused(document: Document, kinds: list[str]) -> None:
    with pytest.raises(ValidationError) as refused:
        LAYERS.validate(document)
    assert [found["type"] for found in refused.value.errors()] == kinds
