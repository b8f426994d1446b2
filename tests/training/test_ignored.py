"""Targets that the loss leaves out (ignore_index) are counted by no metric and stand in no confusion matrix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from conftest import Document, linear
from ejecting import assert_trains_alike
from zoo.build import load_rows
from zoo.check import CheckedSpec, check_file
from zoo.destination import Destination
from zoo.errors import DataError, SpecError
from zoo.progress import TrainingProgress
from zoo.report.evaluation import read_evaluation
from zoo.run import Run
from zoo.trainer import train_run
from zoo.training.feed import feed_of

Write = Callable[..., str]
METRICS: list[Document] = [
    {"type": "Accuracy"},
    {"type": "Accuracy", "top_k": 2},
    {"type": "Precision"},
    {"type": "Recall", "average": "micro"},
    {"type": "F1Score", "average": "weighted"},
    {"type": "Perplexity"},
]
MODELS: dict[str, list[Document]] = {
    "pixels": [{"type": "Conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}],
    "rows": [{"type": "Flatten"}, {"type": "Linear", "out_features": 3}],
}


def masks(kind: str, ignored: int, **changes: object) -> Document:
    """A spec of classes 0, 1 and 2 in a file where every third target or so is another number."""
    draw = np.random.default_rng(0)
    sizes = (40, 4, 5) if kind == "pixels" else (40,)
    targets = draw.integers(0, 3, sizes)
    targets[draw.random(sizes) < 0.3] = ignored
    np.savez("masks.npz", inputs=draw.random((40, 2, 4, 5)), targets=targets)
    return linear(
        data={"type": "ArrayFile", "file": "masks.npz", "classes": 3, "validation": 0.25},
        model__layers=MODELS[kind],
        loss={"type": "CrossEntropyLoss", "ignore_index": ignored},
        metrics=METRICS,
        **changes,
    )


def trained(checked: CheckedSpec) -> Run:
    return train_run(checked, "cpu", Destination(), TrainingProgress())


def answered(run: Run, split: str = "validation") -> tuple[torch.Tensor, torch.Tensor]:
    """The logits (targets, classes) and the class numbers of all targets of a split that count."""
    rows = load_rows(run.checked, "validation" if split == "validation" else "test")
    with torch.no_grad():
        output = run.load_model().eval()(rows.inputs).movedim(1, -1).flatten(0, -2)
    targets = rows.targets.flatten()
    ignored = run.checked.ignored
    assert ignored is not None
    counted = targets != ignored
    assert 0 < int(counted.sum()) < len(targets)
    return output[counted].double(), targets[counted]


@pytest.mark.parametrize("ignored", [255, -100, 1])
@pytest.mark.parametrize("kind", MODELS)
def test_metrics_are_those_of_the_targets_that_count(write: Write, kind: str, ignored: int) -> None:
    run = trained(check_file(write(masks(kind, ignored))))
    output, targets = answered(run)
    called = output.argmax(1)
    found = [int(((called == k) & (targets == k)).sum()) for k in range(3)]
    calls, there = ([int((numbers == k).sum()) for k in range(3)] for numbers in (called, targets))
    occurs = [k for k in range(3) if calls[k] + there[k]]
    expected = {
        "loss": float(nn.functional.cross_entropy(output, targets)),
        "accuracy": sum(found) / len(targets),
        "accuracy_top2": float((output.topk(2).indices == targets[:, None]).any(1).double().mean()),
        "precision": sum(found[k] / max(1, calls[k]) for k in occurs) / len(occurs),
        "recall_micro": sum(found) / len(targets),
        "f1_score_weighted": sum(there[k] * 2 * found[k] / (calls[k] + there[k]) for k in occurs) / len(targets),
        "perplexity": float(nn.functional.cross_entropy(output, targets).exp()),
    }
    last = run.rows()[-1]
    assert {name: last[f"validation_{name}"] for name in expected} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ignored", [255, 1])
def test_the_confusion_matrix_has_the_targets_that_count(write: Write, ignored: int) -> None:
    run = trained(check_file(write(masks("pixels", ignored))))
    output, targets = answered(run, "test")
    found = read_evaluation(run.evaluation_file)
    assert found is not None
    assert found.confusion is not None
    assert (found.confusion.total, found.confusion.right) == (len(targets), int((output.argmax(1) == targets).sum()))


@pytest.mark.parametrize("ignored", [255, -100, 1])
@pytest.mark.parametrize("kind", MODELS)
def test_the_ejected_file_measures_and_trains_alike(
    here: Path, capfd: pytest.CaptureFixture[str], kind: str, ignored: int
) -> None:
    assert_trains_alike(masks(kind, ignored), capfd)


@pytest.mark.parametrize("ignored", [255, -100])
@pytest.mark.parametrize("changes", [{"loss__weight": "balanced"}, {"train__sampler": "balanced"}], ids=str)
def test_balance_is_of_the_classes_alone(
    here: Path, capfd: pytest.CaptureFixture[str], ignored: int, changes: dict[str, str]
) -> None:
    assert_trains_alike(masks("rows", ignored, **changes), capfd)
    checked = check_file("spec.json")
    rows = load_rows(checked, "train")
    weights = feed_of(checked, rows).weights
    if "train__sampler" in changes:
        assert weights is not None
        assert torch.equal(weights == 0, rows.targets == ignored)


def test_a_file_that_streams_may_have_them_too(write: Write) -> None:
    document = masks("pixels", 255)
    with np.load("masks.npz") as arrays:
        np.savez("masks.npz", **dict(arrays))
    held = trained(check_file(write(document)))
    document["data"] |= {"memory": 0, "workers": 0}
    streamed = trained(check_file(write(document)))
    assert streamed.weights_file.read_bytes() == held.weights_file.read_bytes()
    assert streamed.rows()[-1]["validation_accuracy"] == held.rows()[-1]["validation_accuracy"]


def test_a_number_that_the_loss_does_not_ignore_is_no_class(write: Write) -> None:
    document = masks("pixels", 255)
    document["loss"]["ignore_index"] = 254
    with pytest.raises(DataError) as refusal:
        trained(check_file(write(document)))
    assert refusal.value.message.endswith("has the class 255, but there are 3 classes")
    assert refusal.value.remedy.endswith('for targets that do not count, "ignore_index": 255 in the loss')


def test_classes_are_not_counted_by_the_number_that_is_ignored(write: Write) -> None:
    document = masks("rows", 255)
    del document["data"]["classes"]
    with pytest.raises(SpecError, match=r"how many classes targets of masks\.npz has is not known"):
        check_file(write(document))
