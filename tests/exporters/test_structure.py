"""Fresh weights that prove nothing: the very file is proven with drawn weights in it, and refused where it is wrong."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest
import torch
from torch import nn

from conftest import Document
from exporters import certificate, probing, questions, structure
from exporters import onnx as exporter
from exporters.bundle import publish
from exporters.destination import Destination
from exporters.subject import Subject
from exporters.tolerance import reaction
from exporters.verification import verify
from faults import FORMATS, contents, plant, plant_fault
from zoo.errors import ProofFailed

if TYPE_CHECKING:
    from exporters.certificate import Format
    from specimens import MakeSubject

pytest_plugins = ["specimens"]

LAYERS: list[Document] = [
    {"type": "Conv2d", "out_channels": 3, "kernel_size": 3},
    {"type": "BatchNorm2d"},
    {"type": "GELU"},
    {"type": "Flatten"},
    {"type": "Linear", "out_features": "classes"},
]


class Gate(nn.Module):
    """Lets through as much again of what is large."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + nn.functional.silu(2 * x)


@pytest.fixture
def constant(images: MakeSubject) -> Subject:
    """A classifier whose head is still of zeros, as that of a fresh ViT."""
    subject = images(LAYERS)
    subject.module.state_dict()["4.weight"].zero_()
    return subject


@pytest.mark.usefixtures("in_this_process")
def test_fresh_weights_that_say_nothing_are_proven_by_drawn_ones(constant: Subject, tmp_path: Path) -> None:
    made = publish(constant, FORMATS, Destination(tmp_path / "export"))

    for proof in made.proofs:
        assert proof.verdict == "equal"
        assert proof.drawn is not None
        assert proof.drawn.reason == "the output hardly reacts to the input (0); any file would pass"
        assert proof.drawn.executions[0].whole.reaction > 0.02
        assert proof.executions[0].whole.verdict == "inconclusive"


@pytest.mark.usefixtures("in_this_process")
def test_the_published_file_has_the_fresh_weights(constant: Subject, tmp_path: Path) -> None:
    publish(constant, FORMATS, Destination(tmp_path / "export"))

    assert exporter.verify_weights(constant, tmp_path / "export" / "model.onnx") > 0
    stored = torch.export.load(str(tmp_path / "export" / "model.pt2")).state_dict
    assert all(torch.equal(tensor, stored[name]) for name, tensor in constant.module.state_dict().items())


@pytest.mark.usefixtures("in_this_process")
def test_a_bundle_of_fresh_weights_is_verified_and_refused_where_they_are_called_trained(
    constant: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "LARGEST", 1)  # bytes; what is left out cannot be held against its numbers
    folder = tmp_path / "export"
    made = publish(constant, ["onnx"], Destination(folder)).document()

    honest = verify(folder)
    made["origin"] = "trained"
    for execution in made["proofs"][0]["executions"]:
        execution["comparisons"][0]["reaction"] = 1e-3
    forged = certificate.sealed(certificate.Certificate.model_validate_json(json.dumps(made)))
    (folder / "certificate.json").write_text(certificate.text(forged), encoding="utf-8")
    refused = [check for check in verify(folder).checks if check.state == "failed"]

    assert honest.passed, honest
    assert "drawn weights" in str(honest)
    assert [check.name for check in refused] == ["model.onnx: run"]
    assert refused[0].detail.startswith("model.onnx is inconclusive: the output hardly reacts to the input (0)")


def tanh_in_place_of_erf(module: nn.Sequential) -> None:
    module[2] = nn.GELU(approximate="tanh")


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("name", FORMATS)
def test_a_fault_behind_a_head_of_zeros_is_refused(
    constant: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Format
) -> None:
    plant_fault(monkeypatch, name, tanh_in_place_of_erf)
    before = contents(tmp_path)

    with pytest.raises(ProofFailed):
        publish(constant, [name], Destination(tmp_path / "export"))
    assert contents(tmp_path) == before


@pytest.mark.usefixtures("in_this_process")
def test_a_constant_in_the_place_of_a_weight_is_refused(
    constant: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = exporter.export

    def export(subject: Subject, path: Path) -> None:
        honest(subject, path)
        model = onnx.load_from_string(path.read_bytes())
        folded = next(tensor for tensor in model.graph.initializer if tensor.name == "4.weight")
        folded.name = "folded"
        for node in model.graph.node:
            node.input[:] = ["folded" if name == "4.weight" else name for name in node.input]
        path.write_bytes(model.SerializeToString(deterministic=True))

    plant(monkeypatch, "onnx", export)

    with pytest.raises(ProofFailed):
        publish(constant, ["onnx"], Destination(tmp_path / "export"))


@pytest.mark.usefixtures("in_this_process")
def test_trained_weights_that_say_nothing_stay_inconclusive(constant: Subject, tmp_path: Path) -> None:
    trained = dataclasses.replace(constant, origin="trained")

    with pytest.raises(ProofFailed, match=r"model\.onnx is inconclusive: the output hardly reacts to the input"):
        publish(trained, ["onnx"], Destination(tmp_path / "export"))


def almost_constant(subject: Subject, size: float = 1e-5) -> Subject:
    """The model as a trained one whose answers differ from row to row in their last digits only."""
    module = copy.deepcopy(subject.module)
    with torch.no_grad():
        module.get_parameter("4.weight").normal_(0, size, generator=torch.Generator().manual_seed(0))
        module.get_parameter("4.bias").add_(1)
    return dataclasses.replace(subject, module=module, origin="trained")


@pytest.mark.usefixtures("in_this_process")
def test_trained_weights_that_say_little_are_proven_with_drawn_ones(constant: Subject, tmp_path: Path) -> None:
    made = publish(almost_constant(constant), ["onnx"], Destination(tmp_path / "export"))

    (proof,) = made.proofs
    assert proof.drawn is not None
    assert proof.drawn.reason.startswith("the output hardly reacts to the input")
    assert proof.decisions is not None
    assert verify(tmp_path / "export").passed


@pytest.mark.usefixtures("in_this_process")
def test_trained_weights_whose_answers_float32_hardly_tells_apart_are_not_published(
    constant: Subject, tmp_path: Path
) -> None:
    with pytest.raises(ProofFailed, match=r"model\.onnx is inconclusive: the output hardly reacts to the input"):
        publish(almost_constant(constant, 1e-8), ["onnx"], Destination(tmp_path / "export"))


@pytest.mark.usefixtures("in_this_process")
def test_a_fault_behind_a_head_that_says_little_is_refused(
    constant: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_fault(monkeypatch, "onnx", tanh_in_place_of_erf)

    with pytest.raises(ProofFailed):
        publish(almost_constant(constant), ["onnx"], Destination(tmp_path / "export"))


def test_probes_are_answered_with_about_as_much_as_rows_by_drawn_weights() -> None:
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), Gate()) for _ in range(40)]
    rows = torch.rand(32, 8)
    probes = probing.probe_rows(rows, 0)
    assert probes is not None

    found = structure.drawn(nn.Sequential(*blocks), rows)

    with torch.no_grad():
        usual, far = (float(found.eval()(given).abs().max()) for given in (rows, probes))
    assert far < 30 * usual


def test_what_is_drawn_leaves_the_module_alone_and_no_constant_but_what_is_not_learned(constant: Subject) -> None:
    before = {name: tensor.clone() for name, tensor in constant.module.state_dict().items()}

    found = structure.drawn(constant.module, constant.rows)

    assert all(torch.equal(tensor, before[name]) for name, tensor in constant.module.state_dict().items())
    assert all(tensor.std() > 0 for tensor in found.parameters())
    norm = found.get_submodule("1")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.momentum == 0.1
    assert not norm.training
    probes = probing.probe_rows(constant.rows, 0)
    assert probes is not None
    seen = found.get_submodule("0")(torch.cat([constant.rows[: structure.ROWS], probes]))
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)).detach())


@pytest.fixture
def deaf() -> nn.Sequential:
    """Convolutions without normalisation whose small weights leave little of what they are given."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Conv2d(2, 2, 3, padding=1), nn.ReLU()]
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.mul_(0.1 if tensor.dim() > 1 else 0)
    return module


@pytest.mark.parametrize(("enough", "least", "most"), [(0, 0.0, 0.02), (structure.ENOUGH, 0.1, 10.0)])
def test_drawn_weights_react_where_nothing_is_normalised(
    deaf: nn.Sequential, enough: int, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(structure, "ENOUGH", enough)
    rows = torch.rand(8, 2, 6, 6, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        answers = structure.drawn(deaf, rows)(rows).double()

    assert least <= reaction([answers.numpy()]) <= most


def test_what_reacts_by_itself_is_not_spread(images: MakeSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = images(LAYERS)
    plain = structure.drawn(subject.module, subject.rows).state_dict()
    monkeypatch.setattr(structure, "ENOUGH", 0)

    again = structure.drawn(subject.module, subject.rows).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in plain.items())
