"""The checker checked: faults between a module and its file, in models of six kinds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest
from torch import nn

from conftest import Document
from exporters import golden, proof, reducing
from exporters import onnx as exporter
from exporters.proof import Evidence, prove
from exporters.reduced import Precision
from faults import plant_bytes
from mutations import MUTATIONS
from zoo.errors import ProofFailed
from zoo.export import Export

if TYPE_CHECKING:
    from specimens import Draw

pytest_plugins = ["specimens"]

CONVERT = {"type": "ToDtype", "dtype": "float32", "scale": True}
CLASSES: Document = {"loss": {"type": "CrossEntropyLoss"}, "metrics": [{"type": "Accuracy"}]}
IMAGES: Document = {
    "data": {"type": "FakeImages", "size": 80, "image_size": [2, 8, 8], "num_classes": 3, "transforms": [CONVERT]},
    **CLASSES,
}
ROWS: Document = {"data__weights": [1.3, -2.9, 3.7, 0.5], "data__samples": 80}
HEAD: list[Document] = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
ATTENTION: list[Document] = [
    {"type": "Residual", "layers": [{"type": "LayerNorm"}, {"type": "MultiheadAttention", "num_heads": 2}]},
    {
        "type": "Residual",
        "layers": [
            {"type": "LayerNorm"},
            {"type": "Linear", "out_features": 16},
            {"type": "GELU"},
            {"type": "Linear", "out_features": 8},
        ],
    },
]


def convolution(channels: int) -> Document:
    return {"type": "Conv2d", "out_channels": channels, "kernel_size": 3, "padding": 1}


MODELS: dict[str, tuple[list[Document], Document]] = {
    "an MLP": (
        [
            {"type": "Linear", "out_features": 8},
            {"type": "GELU"},
            {"type": "LayerNorm"},
            {"type": "Linear", "out_features": 8},
            {"type": "ReLU"},
            {"type": "Dropout", "p": 0.1},
            {"type": "Linear", "out_features": 1},
        ],
        ROWS,
    ),
    "a CNN with BatchNorm": (
        [
            convolution(4),
            {"type": "BatchNorm2d"},
            {"type": "ReLU"},
            {"type": "MaxPool2d", "kernel_size": 2},
            convolution(4),
            {"type": "BatchNorm2d"},
            {"type": "ReLU"},
            *HEAD,
        ],
        IMAGES,
    ),
    "a U-Net": (
        [
            {**convolution(4), "id": "high"},
            {"type": "ReLU"},
            {"type": "MaxPool2d", "kernel_size": 2},
            convolution(4),
            {"type": "BatchNorm2d"},
            {"type": "Upsample", "scale_factor": 2, "mode": "bilinear"},
            {"type": "Concat", "from": "high"},
            convolution(2),
            *HEAD,
        ],
        IMAGES,
    ),
    "an LSTM": (
        [
            {"type": "Reshape", "shape": [8, 16]},
            {"type": "LSTM", "hidden_size": 5, "bidirectional": True},
            {"type": "Select", "index": 0},
            {"type": "Mean", "dim": 1},
            *HEAD,
        ],
        IMAGES,
    ),
    "a ViT": (
        [
            {"type": "PatchEmbedding", "patch_size": 4, "embed_dim": 8},
            {"type": "ClassToken"},
            {"type": "PositionalEmbedding"},
            *ATTENTION,
            {"type": "Mean", "dim": 1},
            *HEAD[1:],
        ],
        IMAGES,
    ),
    "a GPT": (
        [
            {"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 8, "id": "tokens"},
            {"type": "PositionalEmbedding", "id": "positions"},
            {"type": "Residual", "layers": [{"type": "LayerNorm"}, {"type": "CausalSelfAttention", "num_heads": 2}]},
            ATTENTION[1],
            {"type": "Linear", "out_features": "vocabulary", "bias": False, "tie": "tokens"},
        ],
        CLASSES,
    ),
}


def parts(kind: str, folder: Path) -> tuple[list[Document], Document]:
    """The layers of a kind of model, and what else its spec says; the text it reads is written into the folder."""
    layers, changes = MODELS[kind]
    if kind != "a GPT":
        return layers, changes
    text = folder / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog " * 200, encoding="utf-8")
    return layers, changes | {"data": {"type": "TextFile", "file": str(text), "tokens": "character", "context": 6}}


@dataclass(frozen=True)
class Exported:
    """A model with its questions and its honest file."""

    evidence: Evidence
    content: bytes


EXPENSIVE = "a CNN, asked as an expensive model"


@pytest.fixture(scope="module", params=[*MODELS, EXPENSIVE])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, draw: Draw) -> Exported:
    """Each kind of model, exported once."""
    folder = tmp_path_factory.mktemp("exported")
    layers, changes = parts("a CNN with BatchNorm" if request.param == EXPENSIVE else request.param, folder)
    subject = draw(folder, layers, **changes)
    work = golden.WORK if request.param == EXPENSIVE else 0
    answers = golden.make(subject.module, subject.rows, subject.sequence, work, subject.values)
    path = folder / "model.onnx"
    exporter.export(subject, path)
    return Exported(Evidence(subject, answers, folder), path.read_bytes())


def verdict(exported: Exported, content: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the proof says of a file."""
    plant_bytes(monkeypatch, "onnx", content)
    try:
        return prove("onnx", exported.evidence).verdict
    except ProofFailed:
        return "refused"


@pytest.mark.usefixtures("in_this_process")
def test_the_honest_file_is_proven(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_bytes(monkeypatch, "onnx", exported.content)

    proof = prove("onnx", exported.evidence)
    assert (proof.verdict, proof.reason) == ("equal", "")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.usefixtures("in_this_process")
def test_lower_precision_is_proven_or_refused_with_a_reason(
    exported: Exported, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, kept = exported.evidence.subject, Export(min_accuracy_drop=100)
    spec = subject.checked.spec.model_copy(update={"export": kept})
    subject = replace(subject, checked=replace(subject.checked, spec=spec))
    path = exported.evidence.folder / "model.onnx"
    path.write_bytes(exported.content)
    breaks = precision == "fp16" and any(isinstance(part, nn.MultiheadAttention) for part in subject.module.modules())
    if not breaks:
        monkeypatch.setattr(reducing, "ask", vars(proof)["ask"])

    evidence = replace(exported.evidence, subject=subject)
    if breaks:  # while it loads the file: https://github.com/microsoft/onnxruntime/issues/28392
        with pytest.raises(ProofFailed, match=r"onnxruntime cannot run model\.fp16\.onnx: it is ended by SIGSEGV"):
            reducing.reduce(precision, evidence, path)
        return
    found = reducing.reduce(precision, evidence, path)
    assert 0 < found.error < found.allowed


@pytest.mark.usefixtures("in_this_process")
def test_every_fault_in_a_file_is_refused(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set(exported.evidence.subject.module.state_dict())
    planted, passed = 0, []
    for mutation in MUTATIONS:
        model = onnx.load_from_string(exported.content)
        if not mutation(model, names):
            continue
        planted += 1
        if verdict(exported, model.SerializeToString(), monkeypatch) == "equal":
            passed.append(mutation.__name__)

    assert passed == []
    assert planted >= 25


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(exported: Exported, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    content = exported.content[: int(len(exported.content) * share)]

    assert verdict(exported, content, monkeypatch) == "refused"


def test_every_mutation_finds_a_model_that_it_changes() -> None:
    assert len(MUTATIONS) >= 35
