"""Spec: what counts for its identity, and what does not."""

from __future__ import annotations

import json

import pytest

from conftest import linear
from wrong import images
from zoo.source import Source
from zoo.spec import Spec, parse


def parsed(document: dict[str, object]) -> Spec:
    return parse(Source("spec.json", "", document))


def test_a_document_read_again_is_the_same_spec() -> None:
    spec = parsed(
        linear(model__layers=[{"type": "BatchNorm1d", "momentum": None}, {"type": "Linear", "out_features": 1}])
    )
    assert parsed(json.loads(json.dumps(spec.document()))) == spec


@pytest.mark.parametrize(
    "change",
    [{"summary": "else"}, {"export": {"min_accuracy_drop": 2}}, {"data__root": "there"}, {"data__download": True}],
    ids=str,
)
def test_words_and_whereabouts_do_not_change_the_hash(change: dict[str, object]) -> None:
    assert parsed(images(**change)).sha256() == parsed(images()).sha256()


@pytest.mark.parametrize(
    "change", [{"train__seed": 1}, {"train__epochs": 2}, {"data__transforms": []}, {"name": "other"}], ids=str
)
def test_what_the_model_is_changes_the_hash(change: dict[str, object]) -> None:
    assert parsed(images(**change)).sha256() != parsed(images()).sha256()


def test_a_default_written_out_does_not_change_the_hash() -> None:
    assert parsed(linear(train__shuffle=True)).sha256() == parsed(linear()).sha256()


@pytest.mark.parametrize("fill", [{}, {"fill": 0}, {"fill": 0.0}], ids=str)
def test_a_spec_read_again_has_its_hash_however_a_whole_number_is_written(fill: dict[str, float]) -> None:
    crop = {"type": "RandomCrop", "size": 6, "padding": 1, **fill}
    spec = parsed(linear(data={"type": "FakeImages", "image_size": [1, 8, 8], "augmentation": [crop]}))
    assert parsed(json.loads(json.dumps(spec.document()))).sha256() == spec.sha256()
