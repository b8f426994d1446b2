from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import pytest

from exporters import request, targets
from exporters.bundle import publish
from exporters.destination import Destination
from exporters.opsets import IR_OF
from exporters.subject import Subject
from zoo.errors import UsageError

if TYPE_CHECKING:
    from specimens import MakeSubject

pytest_plugins = ["specimens"]

# Any: the options as click gives them.
NOTHING: dict[str, Any] = {
    "onnx": False,
    "torchscript": False,
    "pt2": False,
    "opset": None,
    "target": (),
    "precision": None,
    "quantize": None,
}


def ask(**options: object) -> request.ExportRequest:
    return request.read(NOTHING | options)


def test_nothing_asked_for_is_onnx_of_opset_20() -> None:
    asked = ask()

    assert (asked.formats, asked.onnx.opset, asked.onnx.ir) == (("onnx",), 20, 10)


def test_formats_are_made_in_one_order() -> None:
    assert ask(pt2=True, onnx=True).formats == ("onnx", "pt2")


@pytest.mark.parametrize(
    ("target", "opset", "ir"),
    [
        ("onnxruntime>=1.13", 17, 8),
        ("onnxruntime>=1.14", 18, 8),
        ("onnxruntime>=1.15", 18, 8),
        ("onnxruntime>=1.16.3", 19, 9),
        ("onnxruntime>=1.17", 20, 9),
        ("onnxruntime>=1.18", 20, 10),
        ("onnxruntime", 20, 10),
        ("triton", 20, 10),
        ("web", 20, 10),
        ("web,onnxruntime>=1.14,triton", 18, 8),
    ],
)
def test_a_target_chooses_the_newest_opset_and_ir_that_it_loads_up_to_20(target: str, opset: int, ir: int) -> None:
    form = ask(target=(target,)).onnx

    assert (form.opset, form.ir) == (opset, ir)


def test_an_opset_within_a_target_is_taken() -> None:
    assert ask(target=("onnxruntime>=1.23",), opset=23).onnx.ir == 11
    assert ask(target=("onnxruntime>=1.17",), opset=18).onnx.opset == 18


WRONG: dict[str, tuple[dict[str, object], str, str]] = {
    "contradiction": (
        {"opset": 21, "target": ("web,onnxruntime>=1.17",)},
        "--opset 21 and --target onnxruntime>=1.17 contradict each other: it loads opset 20 at most",
        "leave --opset out: a target chooses it",
    ),
    "near": ({"target": ("onnxruntme",)}, "no such target: onnxruntme", 'did you mean "onnxruntime"?'),
    "far": ({"target": ("x",)}, "no such target: x", "write one of: onnxruntime, openvino, triton, web"),
    "operator": (
        {"target": ("onnxruntime<1.17",)},
        "no such target: onnxruntime<1.17",
        "write for example: --target 'onnxruntime>=1.17'",
    ),
    "version": (
        {"target": ("web>=1.17",)},
        "no such target: web>=1.17",
        "write for example: --target 'onnxruntime>=1.17'",
    ),
    "too old": (
        {"target": ("onnxruntime>=1.9",)},
        "onnxruntime>=1.9: versions before 1.13 load no opset that zoo writes",
        "write onnxruntime>=1.13",
    ),
    "newer than here": (
        {"target": ("onnxruntime>=9.1",)},
        f"onnxruntime>=9.1 cannot be proven with onnxruntime {importlib.metadata.version('onnxruntime')}",
        "pip install 'onnxruntime>=9.1'",
    ),
    "no ONNX": (
        {"torchscript": True, "opset": 18},
        "--opset is about the ONNX file, which is not asked for",
        "add --onnx",
    ),
    "a target without ONNX": (
        {"pt2": True, "target": ("web",)},
        "--target is about the ONNX file, which is not asked for",
        "add --onnx",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused_with_a_remedy(name: str) -> None:
    options, message, remedy = WRONG[name]

    with pytest.raises(UsageError) as refused:
        ask(**options)

    assert (refused.value.message, refused.value.remedy) == (message, remedy)


def test_openvino_is_refused_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(UsageError, match="openvino is not installed here, so the file cannot be proven there"):
        ask(target=("openvino",))


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
def test_a_file_for_openvino_is_run_there(fresh: MakeSubject, tmp_path: Path) -> None:
    subject = fresh([{"type": "Linear", "out_features": 8}, {"type": "GELU"}, {"type": "Linear", "out_features": 1}])

    made = publish(subject, ["onnx"], Destination(tmp_path / "export"), ask(target=("openvino",)).onnx)

    assert [run.runtime for run in made.proofs[0].executions] == ["onnxruntime", "onnxruntime", "openvino"]
    assert made.proofs[0].verdict == "equal"


@pytest.mark.usefixtures("in_this_process")
def test_the_certificate_says_what_is_shown_of_each_target(subject: Subject, tmp_path: Path) -> None:
    made = publish(subject, ["onnx"], Destination(tmp_path / "export"), ask(target=("onnxruntime>=1.17", "web")).onnx)

    here = importlib.metadata.version("onnxruntime")
    assert {target.name: target.shown for target in made.proofs[0].targets} == {
        "onnxruntime>=1.17": f"opset and IR are within what onnxruntime 1.17 loads; run with onnxruntime {here}",
        "web": f"opset and IR are within what onnxruntime 1.18 loads; run with onnxruntime {here}",
    }
    assert onnx.load_model(tmp_path / "export" / "model.onnx").ir_version == 9


def test_the_table_of_onnxruntimes_grows_with_their_versions() -> None:
    for (before, opset, ir), (since, newer, at_least) in zip(
        targets.ONNXRUNTIMES, targets.ONNXRUNTIMES[1:], strict=False
    ):
        assert (before, opset) < (since, newer)
        assert ir <= at_least
    assert {opset for _, opset, _ in targets.ONNXRUNTIMES} == IR_OF.keys()


def test_lower_precisions_are_asked_for_beside_float32() -> None:
    assert ask().onnx.reduced == ask(precision="fp32").onnx.reduced == ()
    assert ask(precision="fp16", quantize="int8").onnx.reduced == ("fp16", "int8")


def test_a_lower_precision_without_onnx_is_refused() -> None:
    with pytest.raises(UsageError, match="--quantize is about the ONNX file, which is not asked for"):
        ask(torchscript=True, quantize="int8")
