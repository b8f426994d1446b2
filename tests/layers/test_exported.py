"""Every layer of the language by itself: exported, and proven at batches of one and of three rows, in every format."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from agreement import batch_of
from cases import CASES, Case, Document, module_of, placed
from conftest import linear
from exporters import golden
from exporters.proof import Evidence, prove
from exporters.subject import Subject
from zoo.check import CheckedSpec, check_file
from zoo.errors import ExportError, ProofFailed
from zoo.layers import LAYERS

if TYPE_CHECKING:
    from exporters.certificate import Format

pytest_plugins = ["specimens"]
pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]

LOOPS = "torch.export writes its loop over the sequence out for the length it is shown"
REFUSED: dict[tuple[str, str], dict[Format, tuple[str, str]]] = {
    ("RNN", ""): {
        "onnx": ("it fixes the sequence of the rows it is traced with", LOOPS),
        "pt2": ("your code specialized it to be a constant", LOOPS),
    },
    ("LSTM", "proj_size"): {
        "onnx": ("torch's ONNX exporter writes proj_size down wrongly", "the graph that it writes is not valid"),
        "pt2": ("your code specialized it to be a constant", LOOPS),
    },
    ("CrossMapLRN2d", ""): {
        "torchscript": ("Could not export Python function call", "torch's own layer is a function in Python"),
    },
}
"""By layer and option: what the exporters refuse, in which words, and why."""
TOKENS = 5


def kinds(value: object) -> Iterator[str]:
    """The types that a JSON value names."""
    if isinstance(value, dict):
        yield from (str(value["type"]),) if "type" in value else ()
        yield from (name for part in value.values() for name in kinds(part))
    elif isinstance(value, list | tuple):
        yield from (name for part in value for name in kinds(part))


def split() -> tuple[list[Case], list[Case]]:
    """The cases that have a layer that no case before has, and the others: layers with other options."""
    seen: set[str] = set()
    first: list[Case] = []
    others: list[Case] = []
    for case in CASES:
        names = set(kinds(case.layers))
        (others if names <= seen else first).append(case)
        seen |= names
    return first, others


FIRST, OTHERS = split()


def finite(case: Case) -> Case:
    """The case with a softmax behind a mask, whose own answer is infinite."""
    masked: Document = {"type": "Softmax", "dim": -1}
    return case._replace(layers=(*case.layers, masked)) if case.layers[-1]["type"] == "CausalMask" else case


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> CheckedSpec:
    spec = tmp_path_factory.mktemp("spec") / "spec.json"
    spec.write_text(json.dumps(linear(metrics=[])), encoding="utf-8")
    return check_file(str(spec))


@pytest.fixture(autouse=True)
def _few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "BATCHES", (1, 3, 3))  # rows; sequences are whole, of one step, and whole


def subject_of(case: Case, base: CheckedSpec) -> Subject:
    """The layers of a case on noise."""
    steps = placed(finite(case))
    whole = case.input.dtype != "float32"
    example = dataclasses.replace(base.example, vocabulary=TOKENS if whole else None)
    checked = dataclasses.replace(base, input=case.input, layers=steps, example=example)
    sizes = case.input.concrete(8)
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(0, TOKENS, sizes, generator=generator) if whole else batch_of(case.input, 8, sizes[1])
    return Subject(module_of(steps), checked, rows, torch.zeros(8, 1), "trained", {})


def expected(case: Case) -> dict[Format, tuple[str, str]]:
    """What is refused of this case."""
    for (kind, option), formats in REFUSED.items():
        if case.layers[0]["type"] == kind and (not option or option in case.layers[0]):
            return formats
    return {}


def hold(case: Case, base: CheckedSpec, folder: Path, formats: tuple[Format, ...]) -> None:
    """Hold that the case is proven in these formats, or refused in the exporter's own words."""
    subject = subject_of(case, base)
    evidence = Evidence(subject, golden.make(subject.module, subject.rows, subject.sequence, 0, subject.values), folder)
    refused = expected(case)
    for name in formats:
        if name in refused:
            with pytest.raises(ExportError) as told:
                prove(name, evidence)
            assert refused[name][0] in told.value.message
            assert not isinstance(told.value, ProofFailed)
        else:
            proof = prove(name, evidence)
            assert (proof.verdict, proof.reason) == ("equal", ""), name


def test_every_layer_of_the_language_is_among_them() -> None:
    assert {name for case in FIRST for name in kinds(case.layers)} >= set(LAYERS.names)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("case", FIRST, ids=str)
def test_every_layer_alone_is_exported_and_proven(case: Case, base: CheckedSpec, tmp_path: Path) -> None:
    hold(case, base, tmp_path, ("onnx", "torchscript", "pt2"))


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("case", OTHERS, ids=str)
def test_every_layer_is_proven_in_onnx_with_its_options(case: Case, base: CheckedSpec, tmp_path: Path) -> None:
    hold(case, base, tmp_path, ("onnx",))
