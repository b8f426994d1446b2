"""Evaluation: means over all rows, whatever the batches, and nothing of the model changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from zoo.data import Rows
from zoo.losses.classification import CrossEntropyLoss
from zoo.losses.regression import MSELoss
from zoo.metrics import Metric
from zoo.metrics.classification import Accuracy
from zoo.metrics.regression import MeanAbsoluteError
from zoo.training import evaluation
from zoo.training.evaluation import evaluate, evaluating, predict, recovered
from zoo.training.objective import Objective


def objective(loss: nn.Module, *metrics: Metric) -> Objective:
    return Objective(loss, lambda output, target: (output, target), True, metrics)


@pytest.fixture
def rows() -> Rows:
    generator = torch.Generator().manual_seed(0)
    return Rows(torch.randn(25, 3, generator=generator), torch.randn(25, 1, generator=generator))


@pytest.mark.parametrize("batch", [1, 7, 25, 100])
def test_means_do_not_depend_on_the_batch(rows: Rows, batch: int) -> None:
    model = nn.Linear(3, 1)
    found = evaluate(
        model, replace(objective(nn.MSELoss(), MeanAbsoluteError(type="MeanAbsoluteError")), rows=batch), rows
    )
    with torch.no_grad():
        error = model(rows.inputs) - rows.targets
    assert found == pytest.approx(
        {"loss": float(error.square().mean()), "mean_absolute_error": float(error.abs().mean())}, rel=1e-5
    )


@pytest.mark.parametrize("options", [{"weight": (1.0, 5.0, 0.5)}, {"ignore_index": 1}, {}])
@pytest.mark.parametrize("batch", [1, 4, 100])
def test_a_weighted_loss_does_not_depend_on_the_batch(options: dict[str, Any], batch: int) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = Rows(torch.randn(25, 3, generator=generator), torch.arange(25) // 9)  # class by class, as in folders
    loss = CrossEntropyLoss(type="CrossEntropyLoss", **options)
    placed = replace(objective(loss.build()), mass=loss.mass, rows=batch)
    expected = loss.build()(rows.inputs, rows.targets)
    assert evaluate(nn.Identity(), placed, rows)["loss"] == pytest.approx(float(expected), rel=1e-6)


def test_accuracy_is_the_share_of_right_rows() -> None:
    rows = Rows(torch.eye(4), torch.tensor([0, 1, 2, 0]))
    loss = CrossEntropyLoss(type="CrossEntropyLoss").build()
    assert evaluate(nn.Identity(), objective(loss, Accuracy(type="Accuracy")), rows)["accuracy"] == 0.75


def test_the_modes_of_every_module_come_back() -> None:
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3))
    model[1].eval()
    with evaluating(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert [module.training for module in model.modules()] == [True, True, False]


def test_evaluation_moves_no_statistics(rows: Rows) -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    before = [tensor.clone() for tensor in model.state_dict().values()]
    evaluate(model, objective(MSELoss(type="MSELoss").build()), rows)
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))


def test_predictions_are_in_the_order_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MOST_ROWS", 2)
    assert predict(nn.Identity(), torch.arange(5.0)[:, None]).flatten().tolist() == [0, 1, 2, 3, 4]


def test_learned_parameters_stand_beside_the_true_ones() -> None:
    model = nn.Sequential(nn.Linear(2, 1))
    model.load_state_dict({"0.weight": torch.tensor([[1.0, 2.0]]), "0.bias": torch.tensor([3.0])})
    found = recovered(model, {"weight": (1.5, 2.5), "bias": (0.0,)})
    assert [(pair.name, pair.true, pair.learned) for pair in found] == [
        ("weight[0]", 1.5, 1.0),
        ("weight[1]", 2.5, 2.0),
        ("bias[0]", 0.0, 3.0),
    ]


@pytest.mark.parametrize("model", [nn.Sequential(nn.Linear(3, 1)), nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 1))])
def test_nothing_is_recovered_by_another_architecture(model: nn.Module) -> None:
    assert recovered(model, {"weight": (1.5, 2.5), "bias": (0.0,)}) == []


def test_no_weight_is_read_where_the_truth_is_not_known() -> None:
    assert recovered(nn.Linear(3, 1, device="meta"), {}) == []  # what has no numbers can only be counted
