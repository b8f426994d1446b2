from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest

from exporters import onnx as exporter
from exporters.bundle import publish
from exporters.destination import Destination
from exporters.opsets import IR_OF, lower
from exporters.request import OnnxForm, form
from zoo.errors import ExportError, ProofFailed

if TYPE_CHECKING:
    from specimens import MakeSubject, Published

pytest_plugins = ["specimens"]

GPT = [
    {"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 8},
    {"type": "PositionalEmbedding"},
    {"type": "Residual", "layers": [{"type": "LayerNorm"}, {"type": "CausalSelfAttention", "num_heads": 2}]},
    {"type": "GELU"},
    {"type": "Linear", "out_features": "vocabulary"},
]
CNN = [
    {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    {"type": "BatchNorm2d"},
    {"type": "GELU"},
    {"type": "Upsample", "scale_factor": 2, "mode": "bilinear"},
    {"type": "AdaptiveAvgPool2d", "output_size": 4},
    {"type": "Flatten"},
    {"type": "Linear", "out_features": "classes"},
]


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("kind", "opset"),
    [
        ("rows", 17),
        ("rows", 19),
        ("rows", 21),
        ("images", 17),
        ("images", 18),
        ("images", 22),
        ("tokens", 17),
        ("tokens", 23),
    ],
)
def test_a_file_has_the_opset_that_was_asked_for_and_is_proven(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, opset: int
) -> None:
    make: MakeSubject = request.getfixturevalue("fresh" if kind == "rows" else kind)
    rows = [
        {"type": "Linear", "out_features": 8},
        {"type": "LayerNorm"},
        {"type": "GELU"},
        {"type": "Linear", "out_features": 1},
    ]
    subject = make({"rows": rows, "images": CNN, "tokens": GPT}[kind])

    made = publish(subject, ["onnx"], Destination(tmp_path / "export"), form(opset))

    model = onnx.load_model(tmp_path / "export" / "model.onnx")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert model.ir_version == IR_OF[opset] == made.proofs[0].ir
    assert (made.proofs[0].opset, made.proofs[0].verdict) == (opset, "equal")


@pytest.mark.parametrize("opset", [17, 23])
def test_exporting_an_opset_twice_gives_the_same_bytes(tokens: MakeSubject, tmp_path: Path, opset: int) -> None:
    subject = tokens(GPT)
    for name in ("first.onnx", "second.onnx"):
        exporter.export(subject, tmp_path / name, form(opset))

    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


def test_an_operator_that_opset_17_does_not_have_is_refused_by_its_name_and_its_layer(
    fresh: MakeSubject, tmp_path: Path
) -> None:
    subject = fresh(
        [{"type": "Linear", "out_features": 8}, {"type": "Mish", "id": "gate"}, {"type": "Linear", "out_features": 1}]
    )

    with pytest.raises(ExportError) as refused:
        exporter.export(subject, tmp_path / "model.onnx", form(17))

    assert refused.value.message == 'layer "gate" is written with Mish, which needs opset 18; opset 17 was asked for'
    assert refused.value.remedy == "write --opset 18 or higher, or a newer --target if that chose 17"
    assert list(tmp_path.glob("*.onnx")) == []


def _of_opset_18(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    graph = onnx.helper.make_graph(list(nodes), "g", [], [])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)


REFUSED = {
    "Resize needs opset 18 for antialias": onnx.helper.make_node("Resize", ["x"], ["y"], antialias=1),
    "Resize needs opset 18 for axes": onnx.helper.make_node("Resize", ["x"], ["y"], axes=[2]),
    "Pad needs opset 18 for axes": onnx.helper.make_node("Pad", ["x", "pads", "", "axes"], ["y"]),
    "ReduceMax needs opset 18 for axes that are computed": onnx.helper.make_node("ReduceMax", ["x", "axes"], ["y"]),
    "ScatterND needs opset 18 for reduction max and min": onnx.helper.make_node(
        "ScatterND", ["x", "i", "u"], ["y"], reduction="max"
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_an_option_that_opset_17_does_not_have_is_refused_by_its_name(message: str) -> None:
    with pytest.raises(ExportError) as refused:
        lower(_of_opset_18(REFUSED[message]))

    assert refused.value.message == f"{message}; opset 17 was asked for"


def test_a_file_of_another_opset_or_ir_than_asked_for_is_refused(published: Published) -> None:
    path = published.folder / "model.onnx"

    with pytest.raises(ProofFailed, match="not opset 21 alone"):
        exporter.verify_static(published.subject, path, form(21))
    with pytest.raises(ProofFailed, match="IR version 10, not 9"):
        exporter.verify_static(published.subject, path, OnnxForm(20, 9))
