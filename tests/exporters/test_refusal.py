"""What a refused export leaves: the probe that its file answered wrongly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from exporters import bundle, decisions
from exporters import onnx as exporter
from exporters.bundle import publish
from exporters.certificate import Execution, FormatProof
from exporters.decided import Decisions, Flip
from exporters.destination import Destination
from exporters.judging import judge
from exporters.proof import Evidence, asked_of
from exporters.refusal import Witness
from exporters.runtimes import Answers
from zoo.errors import ProofFailed

if TYPE_CHECKING:
    from exporters.subject import Subject
    from specimens import MakeSubject

pytest_plugins = ["specimens"]
pytestmark = pytest.mark.usefixtures("in_this_process")

LINEAR: list[dict[str, Any]] = [{"type": "Linear", "out_features": 1}]


@pytest.fixture
def subject(fresh: MakeSubject) -> Subject:
    """A linear model with drawn weights."""
    return fresh(LINEAR)


def plant(monkeypatch: pytest.MonkeyPatch, bias: float, skip: bool = False) -> None:
    """Let the exporter add to the file's answer; where asked, behind the proofs that need no runtime."""
    honest = exporter.export

    def export(subject: Subject, path: Path, *rest: Any) -> None:
        honest(subject, path, *rest)
        model = onnx.load_model(path)
        output = model.graph.output[0].name
        for node in model.graph.node:
            node.output[:] = ["before" if name == output else name for name in node.output]
        model.graph.initializer.append(numpy_helper.from_array(np.array(bias, np.float32), "planted"))
        model.graph.node.append(onnx.helper.make_node("Add", ["before", "planted"], [output]))
        onnx.save_model(model, path)

    monkeypatch.setattr(exporter, "export", export)
    if skip:
        monkeypatch.setattr("exporters.replaying.float64_error", lambda *given: 0.0)


def refused(subject: Subject, out: Path, formats: tuple[Any, ...] = ("onnx",)) -> ProofFailed:
    with pytest.raises(ProofFailed) as found:
        publish(subject, formats, Destination(out))
    assert not out.exists()
    return found.value


def told(out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What refusal.json says, and the arrays beside it."""
    folder = out.with_name(f"{out.name}.refused")
    assert {path.name for path in folder.iterdir()} == {"refusal.json", "probe.npz"}
    with np.load(folder / "probe.npz", allow_pickle=False) as arrays:
        return json.loads((folder / "refusal.json").read_text(encoding="utf-8")), dict(arrays)


@pytest.mark.parametrize("skip", [False, True])
def test_the_failing_probe_is_kept_with_the_truth_and_both_answers(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skip: bool
) -> None:
    plant(monkeypatch, 0.25, skip)

    error = refused(subject, tmp_path / "export")

    record, arrays = told(tmp_path / "export")
    assert error.remedy == (
        f"nothing was published; please report the spec; {tmp_path / 'export.refused'} holds the failing probe"
    )
    assert record["message"] == error.message
    assert (record["file"], record["name"], record["origin"]) == ("model.onnx", "line", "untrained")
    assert record["run_by"].startswith("onnxruntime 1." if skip else "the graph in float64")
    assert set(arrays) == set(record["arrays"]) == {"input", "truth.prediction", "torch.prediction", "file.prediction"}
    assert np.allclose(arrays["truth.prediction"], arrays["torch.prediction"], atol=1e-4)
    assert np.allclose(arrays["file.prediction"] - arrays["torch.prediction"], 0.25, atol=1e-4)
    assert len(arrays["input"]) == len(arrays["truth.prediction"])


def test_a_second_refusal_replaces_the_first_and_a_success_removes_it(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bias in (0.25, 0.5):
        with monkeypatch.context() as patch:
            plant(patch, bias, skip=True)
            refused(subject, tmp_path / "export")
        _, arrays = told(tmp_path / "export")
        assert np.allclose(arrays["file.prediction"] - arrays["torch.prediction"], bias, atol=1e-4)

    publish(subject, ["onnx"], Destination(tmp_path / "export"))

    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("export")) == ["export"]


def test_what_is_no_refusal_is_left_alone(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "export.refused"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine", encoding="utf-8")
    with monkeypatch.context() as patch:
        plant(patch, 0.25, skip=True)
        error = refused(subject, tmp_path / "export")

    publish(subject, ["onnx"], Destination(tmp_path / "export"))

    assert error.remedy.endswith(f"{mine} holds something else, so no probe is kept")
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


def test_a_refusal_before_any_probe_keeps_its_reason_alone(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, evidence: Evidence) -> FormatProof:
        raise ProofFailed("it is broken", "nothing was published")

    monkeypatch.setattr(bundle, "prove", fail)

    error = refused(subject, tmp_path / "export")

    folder = tmp_path / "export.refused"
    assert error.remedy == f"nothing was published; {folder} holds the reason"
    assert [path.name for path in folder.iterdir()] == ["refusal.json"]
    assert json.loads((folder / "refusal.json").read_text(encoding="utf-8"))["question"] is None


def test_a_row_whose_class_is_changed_is_the_probe(
    images: MakeSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = images([{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}])
    flip = Flip(row=5, torch=0, file=1, gap=0.5)
    judged = Decisions(rows=80, allowed=1e-6, flips=(flip,), scores=())
    monkeypatch.setattr(decisions, "decide", lambda *given: judged)

    refused(subject, tmp_path / "export")

    record, arrays = told(tmp_path / "export")
    assert record["question"] == "held-out row 5"
    assert np.array_equal(arrays["input"], subject.rows[5:6].numpy())
    assert np.allclose(arrays["file.logits"], arrays["truth.logits"], atol=1e-5)


def test_the_bits_that_differ_are_the_probe_of_torchscript(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exporters import torchscript

    honest = torchscript.export

    def export(given: Subject, path: Path) -> None:
        module = given.module
        before = module.get_parameter("0.bias").detach().clone()
        module.get_parameter("0.bias").data += 1e-6
        honest(given, path)
        module.get_parameter("0.bias").data = before

    monkeypatch.setattr(torchscript, "export", export)
    monkeypatch.setattr(torchscript, "verify_weights", lambda *given: 2)

    refused(subject, tmp_path / "export", ("torchscript",))

    record, arrays = told(tmp_path / "export")
    assert record["run_by"].startswith("torch.jit ")
    assert not np.array_equal(arrays["file.prediction"], arrays["torch.prediction"])


def test_a_refused_question_is_the_probe_before_one_with_other_last_bits(subject: Subject) -> None:
    asked, witness = asked_of(subject, ("onnx",)), Witness()

    def judged(mode: str, factor: float) -> tuple[Answers, Execution]:
        found = Answers(tuple((question.own * np.float32(factor),) for question in asked.questions), "1")
        return found, judge(subject.outputs, asked, found, "onnxruntime", mode)

    close, far = judged("optimised", 1 + 2**-23), judged("unoptimised", 1.25)
    assert not close[1].bit_equal
    assert (close[1].whole.verdict, far[1].whole.verdict) == ("equal", "different")
    for found, execution in (close, far):
        witness.hear(asked, found, execution)

    assert witness.probe is not None
    assert witness.probe.run_by == "onnxruntime 1, unoptimised"
