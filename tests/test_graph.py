"""The graph: what branches and joins computes what the same module written by hand computes, and travels as far."""

from __future__ import annotations

import copy
import io
import json
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from conftest import Document
from wrong import images, told
from zoo.build import build_model
from zoo.check import check
from zoo.source import Source

FAKE = {
    "type": "FakeImages",
    "size": 8,
    "image_size": [3, 8, 8],
    "num_classes": 3,
    "transforms": [{"type": "ToDtype", "dtype": "float32"}],
}


def conv(channels: int, **options: object) -> Document:
    return {"type": "Conv2d", "out_channels": channels, "kernel_size": 3, "padding": 1, **options}


LAYERS: list[Document] = [
    conv(4, id="stem"),
    {"type": "Residual", "id": "block", "layers": [conv(6, id="conv"), {"type": "ReLU"}], "shortcut": [conv(6)]},
    {"type": "Parallel", "branches": [[conv(2)], [conv(3, id="wide"), {"type": "ReLU"}], []], "id": "fork"},
    {"type": "Repeat", "times": 2, "id": "twice", "layers": [{"type": "Residual", "layers": [conv(11, id="c")]}]},
    {"type": "Concat", "from": ["stem"]},
    {"type": "AdaptiveAvgPool2d", "output_size": 1},
    {"type": "Flatten"},
    {"type": "Linear", "out_features": "classes", "id": "head"},
]


class Hand(nn.Module):
    """The same, as a person writes it with torch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.long, self.short = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.narrow, self.wide = nn.Conv2d(6, 2, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1)
        self.first, self.second = nn.Conv2d(11, 11, 3, padding=1), nn.Conv2d(11, 11, 3, padding=1)
        self.head = nn.Linear(15, 3)

    def forward(self, x: Tensor) -> Tensor:
        stem = self.stem(x)
        x = torch.relu(self.long(stem)) + self.short(stem)
        x = torch.cat([self.narrow(x), torch.relu(self.wide(x)), x], 1)
        x = self.first(x) + x
        x = self.second(x) + x
        x = torch.cat([x, stem], 1)
        made: Tensor = self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return made


NAMES = {
    "stem": "stem",
    "block.conv": "long",
    "block.shortcut.0": "short",
    "fork.0.0": "narrow",
    "fork.1.wide": "wide",
    "twice.0.0.c": "first",
    "twice.1.0.c": "second",
    "head": "head",
}


@pytest.fixture
def model() -> nn.Module:
    document = images(data=FAKE, model={"layers": LAYERS}, train__batch_size=4)
    torch.manual_seed(0)
    return build_model(check(Source("spec.json", "", json.loads(json.dumps(document)))))


@pytest.fixture
def rows() -> Tensor:
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def by_hand(model: nn.Module) -> Hand:
    """The hand-written module with the model's weights."""
    renamed = {}
    for name, tensor in model.state_dict().items():
        owner, _, key = name.rpartition(".")
        renamed[f"{NAMES[owner]}.{key}"] = tensor.clone()
    hand = Hand()
    hand.load_state_dict(renamed)
    return hand


def test_the_state_dict_has_the_names_of_the_spec(model: nn.Module) -> None:
    assert list(model.state_dict()) == [f"{name}.{key}" for name in NAMES for key in ("weight", "bias")]


def test_the_weights_are_drawn_in_the_order_of_the_spec(model: nn.Module) -> None:
    torch.manual_seed(0)
    assert all(torch.equal(own, other) for own, other in zip(model.parameters(), Hand().parameters(), strict=True))


def test_outputs_and_gradients_are_those_of_the_module_written_by_hand(model: nn.Module, rows: Tensor) -> None:
    hand = by_hand(model)
    given, theirs = rows.clone().requires_grad_(), rows.clone().requires_grad_()
    found, expected = model(given), hand(theirs)
    assert torch.equal(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    assert given.grad is not None
    assert theirs.grad is not None
    assert torch.equal(given.grad, theirs.grad)
    for name, parameter in model.named_parameters():
        owner, _, key = name.rpartition(".")
        gradient, other = parameter.grad, hand.get_parameter(f"{NAMES[owner]}.{key}").grad
        assert gradient is not None
        assert other is not None
        assert torch.equal(gradient, other), name


def test_it_is_a_graph_of_plain_torch(model: nn.Module) -> None:
    assert isinstance(model, fx.GraphModule)
    assert not [type(part) for part in model.modules() if type(part).__module__.startswith("zoo")]
    assert "zoo" not in model.code


def test_a_copy_computes_the_same_with_weights_of_its_own(model: nn.Module, rows: Tensor) -> None:
    copied = copy.deepcopy(model)
    assert torch.equal(copied(rows), model(rows))
    with torch.no_grad():
        next(copied.parameters()).zero_()
    assert not torch.equal(copied(rows), model(rows))


def test_the_state_is_saved_and_loaded_without_pickled_code(model: nn.Module, rows: Tensor) -> None:
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other = copy.deepcopy(model)
    for parameter in other.parameters():
        parameter.data.zero_()
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other(rows), model(rows))


def test_training_and_evaluation_reach_every_part(model: nn.Module) -> None:
    assert not any(part.training for part in model.eval().modules())
    assert all(part.training for part in model.train().modules())


def test_a_trace_computes_the_same_for_any_batch(model: nn.Module, rows: Tensor) -> None:
    jit: Any = torch.jit  # Any: it has no types
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch would rather have torch.export
        traced = jit.trace(model.eval(), rows[:2])
    assert torch.equal(traced(rows), model(rows))


def test_an_exported_program_computes_the_same_for_any_batch(model: nn.Module, rows: Tensor) -> None:
    program = torch.export.export(model.eval(), (rows[:2],), dynamic_shapes=({0: torch.export.Dim("N")},))
    assert torch.equal(program.module()(rows), model(rows))


def test_a_name_that_another_layer_would_hide_is_refused() -> None:
    inner = {"type": "Residual", "id": "block", "layers": [conv(3, id="shortcut")]}
    problems = told(images(data=FAKE, model={"layers": [inner, *LAYERS]}))
    assert ("model.layers.0.layers.0.id", 'the id "shortcut" is a name that torch keeps for itself') in [
        p[:2] for p in problems
    ]
