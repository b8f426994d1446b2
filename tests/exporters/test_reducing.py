from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from exporters import proof, reducing
from exporters.bundle import publish
from exporters.converting import half
from exporters.destination import Destination
from exporters.latency import Haste, benchmark
from exporters.outputs import Output
from exporters.raw import with_raw_rows
from exporters.reduced import Loss, ReducedProof, lost, unfounded
from exporters.request import OnnxForm
from exporters.rounding import rounded
from faults import contents
from zoo.errors import ExportError, ProofFailed
from zoo.shapes import Shape

if TYPE_CHECKING:
    from conftest import Document
    from specimens import MakeSubject
    from zoo.check import CheckedSpec
    from zoo.data import Rows, Split

pytest_plugins = ["specimens"]

BOTH = OnnxForm(reduced=("fp16", "int8"))
HALF = OnnxForm(reduced=("fp16",))
CNN: list[Document] = [
    {"type": "Conv2d", "out_channels": 4, "kernel_size": 3},
    {"type": "BatchNorm2d"},
    {"type": "ReLU"},
    {"type": "Flatten"},
    {"type": "Linear", "out_features": "classes"},
]
LINEAR: list[Document] = [
    {"type": "Linear", "out_features": 8},
    {"type": "ReLU"},
    {"type": "Linear", "out_features": 1},
]
GENEROUS: Document = {"export": {"min_accuracy_drop": 100}}


@pytest.fixture(autouse=True)
def _here(in_this_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reducing, "ask", vars(proof)["ask"])


def test_both_precisions_stand_beside_the_proven_file_with_what_they_lose(images: MakeSubject, tmp_path: Path) -> None:
    subject = images(CNN, **GENEROUS)
    for name in ("first", "second"):
        made = publish(subject, ["onnx"], Destination(tmp_path / name), BOTH)

    files = contents(tmp_path / "first")
    again = contents(tmp_path / "second")
    names = ("model.onnx", "model.fp16.onnx", "model.int8.onnx")
    assert [files[name] for name in names] == [again[name] for name in names]
    assert {"model.fp16.onnx", "model.int8.onnx"} <= {record.name for record in made.files}
    assert [(found.precision, found.fault) for found in made.reduced] == [("fp16", ""), ("int8", "")]
    assert [loss.name for found in made.reduced for loss in found.losses] == ["accuracy", "accuracy"]
    assert all(0 < found.error <= found.allowed for found in made.reduced)
    assert [found.calibration_rows > 0 for found in made.reduced] == [False, True]
    card = (tmp_path / "first" / "README.md").read_text(encoding="utf-8")
    fp16, int8 = (found.share for found in made.reduced)
    assert fp16 == len(files["model.fp16.onnx"] or b"") / len(files["model.onnx"] or b"")
    assert f"| model.int8.onnx | {100 * int8:.0f} % | accuracy |" in card
    assert f"Nothing is gained: model.int8.onnx has {int8:.2f} times the bytes of model.onnx." in card
    beside = benchmark(str(tmp_path / "first"), Haste(batches=(2,), seconds=0.0))
    assert [found.program.partition(", ")[2] for found in beside.measured] == ["", "fp16", "int8"]


@pytest.mark.parametrize(("precision", "kind"), [("fp16", TensorProto.FLOAT16), ("int8", TensorProto.INT8)])
def test_the_weights_have_the_precision_and_the_ends_are_those_of_float32(
    images: MakeSubject, tmp_path: Path, precision: str, kind: int
) -> None:
    subject = images(CNN, **GENEROUS)
    publish(subject, ["onnx"], Destination(tmp_path / "export"), BOTH)

    model = onnx.load_model(tmp_path / "export" / f"model.{precision}.onnx")
    exact = onnx.load_model(tmp_path / "export" / "model.onnx")
    assert list(model.graph.input) == list(exact.graph.input)
    assert list(model.graph.output) == list(exact.graph.output)
    assert list(model.metadata_props) == list(exact.metadata_props)
    assert max(model.graph.initializer, key=lambda tensor: math.prod(tensor.dims)).data_type == kind


def test_preprocessing_and_decision_stay_as_they_are_in_a_raw_file(images: MakeSubject, tmp_path: Path) -> None:
    subject = with_raw_rows(images(CNN, **GENEROUS))

    made = publish(subject, ["onnx"], Destination(tmp_path / "export"), BOTH)

    assert [(found.precision, found.fault, found.calibration_rows) for found in made.reduced] == [
        ("fp16", "", 0),
        ("int8", "", 80),
    ]
    model = onnx.load_model(tmp_path / "export" / "model.int8.onnx")
    makers = {name: node for node in model.graph.node for name in node.output}
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    (scaled,) = (node for node in model.graph.node if "_preprocessing.0.factor" in node.input)
    assert {makers[name].op_type for name in scaled.input if name in makers} == {"Cast"}
    chosen, shares = makers["class"], makers["probabilities"]
    assert (chosen.op_type, shares.op_type) == ("ArgMax", "Softmax")
    assert list(chosen.input) == list(shares.input) == ["logits"]


def test_a_raw_file_whose_decision_does_not_follow_is_refused(
    images: MakeSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(source: Path) -> onnx.ModelProto:
        model = half(source)
        (chosen,) = (node for node in model.graph.node if node.op_type == "ArgMax")
        chosen.op_type = "ArgMin"
        return model

    monkeypatch.setattr(reducing, "half", changed)

    with pytest.raises(ProofFailed, match=r"model\.fp16\.onnx: class does not follow from logits"):
        publish(with_raw_rows(images(CNN, **GENEROUS)), ["onnx"], Destination(tmp_path / "export"), HALF)


def test_an_error_is_over_all_batches_and_infinite_where_it_is_none() -> None:
    own = [np.array([[3.0]]), np.array([[4.0], [0.0]])]

    assert lost(own, [batch + 0.5 for batch in own]) == pytest.approx(0.5 / math.sqrt(25 / 3))
    assert lost(own, own[::-1]) == math.inf
    assert lost(own, [own[0], own[1] * math.nan]) == math.inf
    assert lost([own[0] * 0], [own[0]]) == math.inf


def test_what_does_not_follow_from_the_scores_is_named() -> None:
    rows = Shape("N", 2)
    outputs = (Output("logits", rows), Output("probabilities", rows), Output("class", Shape("N", dtype="int64"), 1))
    scores = np.array([[0.0, 1.0]], np.float32)
    shares, place = np.array([[0.26894143, 0.7310586]], np.float32), np.array([1])

    assert unfounded("fp16", outputs, [(scores, shares, place)]) == ""
    assert unfounded("fp16", outputs, [(scores, shares, 1 - place)]) == "class"
    assert unfounded("fp16", outputs, [(scores, shares + 0.01, place)]) == "probabilities"
    assert unfounded("fp16", outputs[:1], [(scores,)]) == ""


def test_int8_is_calibrated_on_training_rows(
    images: MakeSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Split] = []
    honest = vars(reducing)["some_rows"]

    def some_rows(checked: CheckedSpec, split: Split) -> Rows:
        read.append(split)
        found: Rows = honest(checked, split)
        return found

    monkeypatch.setattr(reducing, "some_rows", some_rows)

    publish(images(CNN, **GENEROUS), ["onnx"], Destination(tmp_path / "export"), OnnxForm(reduced=("int8",)))

    assert read == ["train"]


def test_a_file_that_loses_more_than_the_spec_allows_is_refused_and_nothing_is_published(
    fresh: MakeSubject, tmp_path: Path
) -> None:
    subject = fresh(LINEAR, export={"min_accuracy_drop": 0}, metrics=[{"type": "R2Score"}])
    with torch.no_grad():  # the model is right but for what the file loses
        subject.targets.copy_(subject.module(subject.rows))

    with pytest.raises(ProofFailed) as refused:
        publish(subject, ["onnx"], Destination(tmp_path / "export"), HALF)

    assert refused.value.message.startswith("model.fp16.onnx loses too much: r2_score is 1 in float32 and ")
    assert refused.value.message.endswith("points worse; export.min_accuracy_drop allows 0")
    assert not (tmp_path / "export").exists()


def test_a_weight_beyond_half_precision_is_refused(fresh: MakeSubject, tmp_path: Path) -> None:
    subject = fresh(LINEAR, **GENEROUS)
    subject.module.get_parameter("2.weight").data[0, 0] = 1e6
    subject.module.get_parameter("0.bias").data[0] = 5.0

    with pytest.raises(
        ProofFailed, match=r"model\.fp16\.onnx loses too much: fp16 cannot hold the numbers of this model"
    ):
        publish(subject, ["onnx"], Destination(tmp_path / "export"), HALF)


def test_a_weight_changed_on_the_way_is_refused_by_the_error(
    fresh: MakeSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(source: Path) -> onnx.ModelProto:
        model = half(source)
        weight = next(tensor for tensor in model.graph.initializer if tensor.name == "2.weight")
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1.1, weight.name))
        return model

    monkeypatch.setattr(reducing, "half", changed)

    with pytest.raises(ProofFailed, match="its rms error is"):
        publish(fresh(LINEAR, **GENEROUS), ["onnx"], Destination(tmp_path / "export"), HALF)


def test_a_model_that_the_tool_cannot_convert_is_refused_with_its_reason(
    fresh: MakeSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path) -> onnx.ModelProto:
        raise ValueError("no such thing")

    monkeypatch.setattr(reducing, "half", fail)

    with pytest.raises(ExportError, match="onnxruntime cannot convert this model to fp16: no such thing"):
        publish(fresh(LINEAR), ["onnx"], Destination(tmp_path / "export"), HALF)


@pytest.mark.parametrize(
    ("better", "fp32", "file", "drop"),
    [
        ("max", 0.98, 0.975, 0.5),
        ("max", 0.9, 0.95, -5.0),
        ("min", 2.0, 2.01, 0.5),
        ("min", 2.0, 1.0, 0.0),
        ("min", 0.0, 0.1, math.inf),
    ],
)
def test_a_drop_is_in_points_of_a_share_and_in_percent_of_an_error(
    better: str, fp32: float, file: float, drop: float
) -> None:
    loss = Loss.model_validate({"name": "metric", "fp32": fp32, "file": file, "better": better})

    assert loss.drop == pytest.approx(drop)


def test_an_error_that_is_no_number_is_a_fault() -> None:
    numbers = {
        "precision": "fp16",
        "file": "f",
        "rows": 1,
        "calibration_rows": 0,
        "floor": 0.5,
        "losses": (),
        "flips": 0,
        "share": 0.5,
    }

    assert ReducedProof.model_validate(numbers | {"error": 0.01, "allowed": 0.02}).fault == ""
    assert ReducedProof.model_validate(numbers | {"error": 0.03, "allowed": 0.02}).fault.startswith(
        "its rms error is 0.03"
    )
    assert ReducedProof.model_validate(numbers | {"error": 0.1, "allowed": 0.2}).fault == (
        "it may be off by 0.2 of its outputs, and 0.0625 is the most in fp16"
    )


def test_rounding_to_half_rounds_weights_inputs_and_answers_of_a_copy() -> None:
    linear = nn.Linear(3, 3, bias=False)
    module = nn.Sequential(linear, nn.ReLU())
    before = linear.weight.detach().clone()
    x = torch.rand(2, 3)

    found = rounded(module, "fp16")(x)

    exact = torch.relu((x.half().float() @ before.half().float().T).half().float())
    assert torch.equal(found, exact)
    assert torch.equal(linear.weight, before)


def test_rounding_to_integers_puts_each_channel_on_a_grid_of_its_own() -> None:
    module = nn.Sequential(nn.Linear(2, 2, bias=False))
    module.get_parameter("0.weight").data = torch.tensor([[127.0, 3.4], [1.27, 0.034]])

    assert torch.allclose(rounded(module, "int8").get_parameter("0.weight"), torch.tensor([[127.0, 3.0], [1.27, 0.03]]))
