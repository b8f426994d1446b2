"""Contradictions: what goes together is taken, up to the very edge; what does not is in the corpus of wrong specs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from conftest import Document, linear
from wrong import conv, dense, images, rows, told
from zoo.check import check
from zoo.checked import CheckedSpec
from zoo.contradictions import batch_fault, scheduler_fault
from zoo.errors import DataError
from zoo.source import Source
from zoo.trainer import _open_splits


def checked(document: Document) -> CheckedSpec:
    return check(Source("spec.json", "", json.loads(json.dumps(document))))


NORM = [{"type": "BatchNorm1d"}, dense(1)]


def sgd(*groups: Document) -> Document:
    return {"type": "SGD", "groups": list(groups)}


TWO = (dense(3, id="a"), dense(1, id="b"))
FINE: dict[str, Document] = {
    "drop_last with one whole step": linear(train__batch_size=20, train__drop_last=True),
    "a batch larger than the data": linear(train__batch_size=64),
    "a last step of two under BatchNorm1d": linear(model__layers=NORM, data__samples=22),
    "a last step of one that is dropped": linear(model__layers=NORM, data__samples=21, train__drop_last=True),
    "a step at the last epoch but one": linear(scheduler={"type": "StepLR", "step_size": 1}),
    "a plateau of a validation split": linear(
        data__validation=0.25, train__epochs=20, scheduler={"type": "ReduceLROnPlateau"}
    ),
    "a plateau of what is to rise": images(
        data__validation=0.25,
        train__epochs=20,
        scheduler={"type": "ReduceLROnPlateau", "metric": "accuracy", "mode": "max"},
    ),
    "averages of their own": images(
        metrics=[{"type": "F1Score"}, {"type": "F1Score", "average": "micro"}],
    ),
    "a last step of one under a frozen BatchNorm1d": linear(
        model__layers=[{"type": "BatchNorm1d", "id": "norm"}, dense(1)], data__samples=21, freeze=["norm.*"]
    ),
    "a last step of one under a frozen body of torchvision": images(
        data={
            "type": "FakeImages",
            "size": 21,
            "image_size": [3, 32, 32],
            "num_classes": 3,
            "transforms": [{"type": "ToDtype", "dtype": "float32", "scale": True}],
        },
        model={"type": "torchvision", "name": "resnet18", "classes": "classes"},
        train={"epochs": 1, "batch_size": 4},
        freeze=["*", "!fc.*"],
    ),
    "mixed targets for CrossEntropyLoss": images(data__augmentation=[{"type": "MixUp"}]),
    "all but one tensor frozen": rows(*TWO, freeze=["*", "!b.bias"]),
    "a pattern whose exception fits": rows(*TWO, freeze=["a.*", "!a.bias"]),
    "a group of what is left": rows(*TWO, optimizer=sgd({"match": "a.*", "lr": 1}, {"match": "*", "lr": 2})),
    "a group beside what is frozen": rows(*TWO, freeze=["a.*"], optimizer=sgd({"match": "b.*", "lr": 1})),
    "an initializer over a part of another": rows(
        *TWO, init=[{"type": "zeros_", "match": "*"}, {"type": "ones_", "match": "a.*"}]
    ),
    "an initializer by itself": rows(*TWO, init={"type": "kaiming_normal_", "match": "*.weight"}),
    "a class weight for each class": images(loss={"type": "CrossEntropyLoss", "weight": [1.0] * 10}),
    "a size that follows, written": rows({"type": "Linear", "in_features": 2, "out_features": 1}),
}


@pytest.mark.parametrize("name", FINE)
def test_what_goes_together_is_taken(name: str) -> None:
    assert checked(FINE[name]).layers


@pytest.mark.parametrize(
    ("changes", "rows_left", "fault"),
    [
        ({}, 20, ""),
        ({}, 1, ""),
        ({"train__drop_last": True}, 3, "drop_last leaves no step: 3 rows are fewer than 4"),
        ({"train__drop_last": True}, 4, ""),
        ({}, 0, "the training split has no rows"),
        ({"train__drop_last": True}, -1, "the training split has no rows"),  # fewer than the other splits take
        ({"train__drop_last": True}, 0, "the training split has no rows"),
        ({"model__layers": NORM}, 8, ""),
        ({"model__layers": NORM, "train": {"steps": 2, "batch_size": 4}}, 9, ""),
        ({"model__layers": NORM}, 9, "9 rows in steps of 4 leave a last step of 1, but a layer trains on 2 or more"),
        ({"model__layers": NORM}, 1, "1 rows in steps of 4 leave a last step of 1, but a layer trains on 2 or more"),
    ],
)
def test_an_epoch_is_judged_by_its_last_step(changes: dict[str, Any], rows_left: int, fault: str) -> None:
    found = batch_fault(checked(linear(**changes)), rows_left)
    assert (found[0] if found else "") == fault


def test_every_contradiction_is_told_at_once() -> None:
    document = linear(
        freeze=["none.*"],
        init=[{"type": "zeros_", "match": "neither.*"}],
        scheduler={"type": "StepLR", "step_size": 9},
        train__drop_last=True,
        train__batch_size=50,
    )
    assert [path for path, _, _ in told(document)] == [
        "train.batch_size",
        "scheduler.step_size",
        "freeze.0",
        "init.0.match",
    ]


def test_too_many_patterns_are_refused_and_not_tried() -> None:
    many = {"type": "Repeat", "times": 2000, "layers": [dense(2)]}
    ((path, message, remedy),) = told(rows(many, dense(1), freeze=["*a" * 100] * 100))
    assert (path, remedy) == ("freeze", "write fewer patterns, with more stars")
    assert message == "100 patterns for 4,002 tensors are too many"


def arrays(folder: Path, inputs: list[int], targets: Any, *layers: Document, **data: object) -> Document:
    """A spec over a file of zeros of these sizes."""
    save_file({"inputs": torch.zeros(inputs), "targets": targets}, folder / "rows.safetensors")
    source = {"type": "ArrayFile", "file": str(folder / "rows.safetensors"), "test": 0.2, **data}
    return images(data=source, model__layers=list(layers), metrics=[])


def classes_of(*sizes: int) -> Any:
    return torch.zeros(sizes, dtype=torch.int64)


def test_the_classes_stand_where_the_targets_leave_them(tmp_path: Path) -> None:
    document = arrays(tmp_path, [10, 7, 3], classes_of(10, 7), dense(3), classes=3)
    assert str(checked(document).output) == "(N, 7, 3)"
    document["model"]["layers"] = [dense(7)]
    assert told(document) == [
        (
            "model.layers.0.out_features",
            "the model gives (N, 7, 7), but ArrayFile has 3 classes",
            'write "out_features": "classes" in the last Linear',
        )
    ]


@pytest.mark.parametrize("augmentation", ["RandomHorizontalFlip", "MixUp"])
def test_augmentation_may_not_part_images_from_labels_of_their_pixels(tmp_path: Path, augmentation: str) -> None:
    several = [{"type": augmentation}]
    document = arrays(tmp_path, [10, 1, 4, 4], classes_of(10, 4, 4), conv(3, 1), classes=3, augmentation=several)
    assert told(document) == [
        (
            "data.augmentation",
            "the augmentation would change images and leave their targets (N, 4, 4) of int64 as they are",
            "remove augmentation",
        )
    ]


def test_augmentation_leaves_a_single_number_true(tmp_path: Path) -> None:
    document = arrays(
        tmp_path,
        [10, 1, 4, 4],
        torch.zeros(10),
        {"type": "Flatten"},
        dense(1),
        augmentation=[{"type": "RandomHorizontalFlip"}],
    )
    assert checked({**document, "loss": {"type": "MSELoss"}}).example.target.row == (1,)


def text(*layers: Document) -> Document:
    """A spec of these layers over characters."""
    source = {"type": "TextFile", "file": "absent.txt", "tokens": "character", "vocabulary": "abcdef", "context": 4}
    return images(data=source, model__layers=list(layers))


def table(num_embeddings: int | str) -> Document:
    return {"type": "Embedding", "num_embeddings": num_embeddings, "embedding_dim": 2}


@pytest.mark.parametrize("size", ["vocabulary", 6, 64])
def test_a_model_may_know_more_tokens_than_the_data(size: int | str) -> None:
    assert checked(text(table(size), dense(size))).example.vocabulary == 6


def test_a_model_knows_every_token_of_the_data() -> None:
    assert told(text(table(5), dense(4))) == [
        (
            "model.layers.1.out_features",
            "the model gives (N, T, 4), but TextFile has a vocabulary of 6",
            'write "out_features": "vocabulary" in the last Linear',
        ),
        (
            "model.layers.0.num_embeddings",
            "Embedding knows 5 tokens, but TextFile has a vocabulary of 6",
            'write "num_embeddings": "vocabulary"',
        ),
    ]


def test_a_scheduler_is_judged_by_the_rows_once_they_are_known() -> None:
    spec = linear(scheduler={"type": "StepLR", "step_size": 9, "interval": "step"})
    found = scheduler_fault(checked(spec), 12)
    assert found is not None
    assert str(found.message) == "StepLR needs 10 steps to do what it says, but it has 6 steps"
    assert scheduler_fault(checked(spec), None) is None


def test_training_refuses_a_scheduler_for_which_the_rows_are_too_few() -> None:
    spec = checked(linear(scheduler={"type": "StepLR", "step_size": 9, "interval": "step"}))
    unknown = replace(
        spec, spec=spec.spec.model_copy(update={"train": spec.spec.train.model_copy(update={"epochs": 1})})
    )
    with pytest.raises(DataError, match="StepLR needs 10 steps to do what it says, but it has 5 steps"):
        _open_splits(unknown, torch.device("cpu"))
