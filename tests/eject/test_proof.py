"""The proof of ejected files: a file that makes something else than zoo is refused, in numbers and by operators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Document, linear
from zoo.check import check_file
from zoo.checked import CheckedSpec
from zoo.eject import proof, source
from zoo.errors import ExportError

LAYERS: list[Document] = [
    {"type": "Linear", "out_features": 8, "id": "stem"},
    {"type": "BatchNorm1d"},
    {"type": "Residual", "layers": [{"type": "LayerNorm"}, {"type": "GELU"}]},
    {"type": "Dropout", "p": 0.25},
    {"type": "Linear", "out_features": 1},
]
FAULTS = {
    "another activation": ("nn.GELU()", "nn.ReLU()"),
    "another eps": ("nn.LayerNorm(8)", "nn.LayerNorm(8, eps=1e-06)"),
    "another name": ("stem", "stern"),
    "another size": ("nn.Linear(2, 8)", "nn.Linear(2, 8, bias=False)"),
    "another start": ("nn.init.ones_", "nn.init.zeros_"),
    "another operator": ("_2_1 + _1", "_2_1 - _1"),
    "another frozen tensor": ('"stem.*"', '"stem.weight"'),
    "another measurement": (".item() * len(targets)", ".item()"),
}


@pytest.mark.parametrize("large", [0, 10**9], ids=["by operators", "in numbers"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_makes_something_else_is_refused(
    fault: str, large: int, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = linear(model__layers=LAYERS)
    document |= {"freeze": ["stem.*"], "init": {"type": "ones_", "match": "4.weight"}}
    monkeypatch.setattr(proof, "LARGE", large)
    checked = check_file(write(document))
    text = source(checked)
    right, wrong = FAULTS[fault]
    assert right in text
    with pytest.raises(ExportError):
        proof.prove(checked, text.replace(right, wrong))


def sequences(here: Path, write: Callable[..., str]) -> CheckedSpec:
    """A model of sequences that are longer than those of its data."""
    (here / "text.txt").write_text("to be or not to be, that is the question. " * 20, encoding="utf-8")
    data = {"type": "TextFile", "file": "text.txt", "tokens": "character", "context": 8}
    layers: list[Document] = [
        {"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 4},
        {"type": "PositionalEmbedding", "num_positions": 16},
        {"type": "Linear", "out_features": "vocabulary"},
    ]
    document = linear(model__layers=layers, metrics=[]) | {"data": data, "loss": {"type": "CrossEntropyLoss"}}
    return check_file(write(document))


def test_what_is_measured_of_sequences_is_compared(here: Path, write: Callable[..., str]) -> None:
    checked = sequences(here, write)
    text = source(checked)
    right, wrong = ".item() * targets.numel()", ".item()"
    assert right in text
    with pytest.raises(ExportError, match="would measure"):
        proof.prove(checked, text.replace(right, wrong))


def test_a_training_to_other_last_bits_is_not_ejected(write: Callable[..., str]) -> None:
    with pytest.raises(ExportError, match="other last bits"):
        source(check_file(write(linear(train__exact=False))))


def test_what_is_measured_of_one_class_is_compared(write: Callable[..., str]) -> None:
    document = linear(model__layers=[{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}], metrics=[])
    convert = {"type": "ToDtype", "dtype": "float32", "scale": True}
    data = {"type": "FakeImages", "size": 8, "image_size": [1, 2, 2], "num_classes": 1, "transforms": [convert]}
    checked = check_file(write(document | {"data": data, "loss": {"type": "CrossEntropyLoss"}}))
    assert "nn.CrossEntropyLoss" in source(checked)


def test_measurements_that_cannot_be_compared_are_refused(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*given: object) -> None:
        raise ValueError("odd targets")

    monkeypatch.setattr(proof, "evaluate", refuses)
    with pytest.raises(ExportError, match="MSELoss takes no rows made up here: odd targets"):
        source(check_file(write(linear(model__layers=LAYERS))))
