"""Reconstruction: the target is what the model is given, whatever happens to it on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from conftest import Document, Outcome, linear
from zoo.build import load_rows
from zoo.check import CheckedSpec, check, check_file
from zoo.destination import Destination
from zoo.errors import SpecError
from zoo.progress import TrainingProgress
from zoo.run import Run
from zoo.shapes import Shape
from zoo.source import Source
from zoo.trainer import train_run

TO_FLOAT = {"type": "ToDtype", "dtype": "float32", "scale": True}
IMAGES: Document = {"type": "FakeImages", "size": 40, "image_size": [1, 4, 4], "transforms": [TO_FLOAT]}
FLIPPED: Document = IMAGES | {"augmentation": [{"type": "RandomHorizontalFlip"}]}
ARRAYS: Document = {"type": "ArrayFile", "file": "rows.npz"}
TABLE: Document = {"type": "TableFile", "file": "rows.csv", "standardize": True}
SQUEEZED: list[Document] = [
    {"type": "Flatten"},
    {"type": "Linear", "out_features": 3},
    {"type": "Linear", "out_features": 16},
    {"type": "Unflatten", "dim": 1, "unflattened_size": [1, 4, 4]},
]
GIVEN_BACK: list[Document] = [{"type": "LayerScale", "dim": 1, "value": 1.0}]


def autoencoder(data: Document, layers: list[Document], **changes: Any) -> Document:
    return linear(data=data | {"reconstruct": True}, model={"layers": layers}, **changes)


def spec(document: Document) -> CheckedSpec:
    return check(Source("spec.json", "", document))


@pytest.fixture
def files(here: Path) -> Path:
    """Rows in each kind of file, without targets."""
    rows = np.random.default_rng(0).standard_normal((20, 3)).astype("float32")
    np.savez(here / "rows.npz", inputs=rows)
    (here / "rows.csv").write_text(
        "a,b,colour\n" + "".join(f"{a},{b},{'red' if c > 0 else 'blue'}\n" for a, b, c in rows)
    )
    return here


def train(document: Document, write: Callable[..., str], out: str = "run") -> Run:
    torch.set_num_threads(1)
    return train_run(check_file(write(document)), "cpu", Destination(Path(out)), TrainingProgress())


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_an_autoencoder_is_the_plain_loop_over_pairs_of_rows(kind: str, here: Path, write: Callable[..., str]) -> None:
    optimizer = {"type": kind, "lr": 0.01}
    run = train(autoencoder(IMAGES, SQUEEZED, optimizer=optimizer, train__epochs=3), write)
    rows = load_rows(run.checked, "train").inputs
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.Linear(3, 16), nn.Unflatten(1, (1, 4, 4)))
    learned = getattr(torch.optim, kind)(model.parameters(), lr=0.01)
    loader = DataLoader(
        TensorDataset(rows, rows), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(0)
    )
    for _ in range(3):
        for inputs, targets in loader:
            learned.zero_grad()
            nn.MSELoss()(model(inputs), targets).backward()
            learned.step()
    kept = run.weights()
    assert all(torch.equal(kept[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    "data",
    [IMAGES, FLIPPED, ARRAYS, ARRAYS | {"memory": 0}, TABLE],
    ids=["images", "augmented", "arrays", "streamed", "table"],
)
def test_a_model_that_gives_its_input_back_has_no_loss(data: Document, files: Path, write: Callable[..., str]) -> None:
    run = train(autoencoder(data | {"validation": 0.2}, GIVEN_BACK), write)
    assert [row[f"{split}_loss"] for row in run.rows() for split in ("train", "validation", "test")] == [0.0] * 6


def test_the_target_is_the_transformed_input_and_there_are_no_classes() -> None:
    found = spec(autoencoder(IMAGES, SQUEEZED)).example
    assert (found.target, found.classes) == (Shape("N", 1, 4, 4), ())


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (autoencoder(IMAGES, SQUEEZED, metrics=[{"type": "Accuracy"}]), "Accuracy judges logits"),
        (autoencoder(IMAGES, SQUEEZED, loss={"type": "CrossEntropyLoss"}), "CrossEntropyLoss needs"),
        (autoencoder(IMAGES, SQUEEZED[:2]), "MSELoss compares (N, 3) of the model with targets (N, 1, 4, 4)"),
        (autoencoder(IMAGES, SQUEEZED, train__sampler="balanced"), "needs one class for each row"),
        (autoencoder(IMAGES | {"num_classes": 3}, SQUEEZED), "num_classes says nothing where the target is the input"),
        (autoencoder(IMAGES | {"masks": True}, SQUEEZED), "masks says nothing"),
        (autoencoder(ARRAYS | {"targets": "answers"}, GIVEN_BACK), "targets says nothing"),
        (autoencoder(ARRAYS | {"classes": 2}, GIVEN_BACK), "classes says nothing"),
        (autoencoder(TABLE | {"target": "a"}, GIVEN_BACK), "target says nothing"),
        (linear(data=TABLE), "what is learned does not stand here"),
        (autoencoder(IMAGES, [*SQUEEZED[:1], {"type": "Linear", "out_features": "classes"}]), '"classes"'),
        (autoencoder(IMAGES | {"augmentation": [{"type": "MixUp"}]}, SQUEEZED), "MixUp"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_speaks_of_classes_or_other_targets_is_refused(document: Document, said: str, files: Path) -> None:
    with pytest.raises(SpecError) as refused:
        spec(document)
    assert said in str(refused.value)


def test_an_autoencoder_is_predicted_evaluated_and_exported(
    files: Path, write: Callable[..., str], zoo: Callable[..., Outcome]
) -> None:
    write(autoencoder(ARRAYS, GIVEN_BACK), "spec.json")
    assert zoo("train", "spec.json").status == 0
    assert json.loads(zoo("evaluate", "line", "--json").out)["metrics"]["test_mean_absolute_error"] == 0.0
    assert json.loads(zoo("predict", "line", "1,2,3", "--json").out)[0]["prediction"] == [1.0, 2.0, 3.0]
    assert zoo("export", "line", "--onnx", "--raw").status == 0
