"""Contradictions: what goes together is taken, up to the very edge; what does not is in the corpus of wrong specs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conftest import Document, linear
from wrong import dense, images, rows, told
from zoo.check import check
from zoo.checked import CheckedSpec
from zoo.contradictions import batch_fault
from zoo.source import Source


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
        ({"model__layers": NORM}, 8, ""),
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
