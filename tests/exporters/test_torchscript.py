from __future__ import annotations

import dataclasses
import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from conftest import no_file_above
from exporters import torchscript, weights
from zoo.errors import ExportError, ProofFailed

if TYPE_CHECKING:
    from exporters.subject import Subject
    from specimens import Elsewhere, Published

pytest_plugins = ["specimens"]

# torch.jit.load is deprecated; LibTorch and Triton, which load the file, are not.
deprecated = pytest.mark.filterwarnings("ignore:.*torch.jit.load.* is (not supported|deprecated)")


def load(path: Path, extra: dict[str, str] | None = None) -> torch.jit.ScriptModule:
    module: torch.jit.ScriptModule = torch.jit.load(path, _extra_files=extra)  # type: ignore[no-untyped-call]  # torch
    return module


def records(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


@deprecated
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 64])
def test_torch_loads_the_file_and_computes_what_the_module_does_bit_for_bit(published: Published, rows: int) -> None:
    loaded = load(published.folder / "model.torchscript")
    batch = published.subject.rows[:rows]

    with torch.no_grad():
        assert torch.equal(loaded(batch), published.subject.module(batch))


@deprecated
def test_the_loaded_module_is_in_evaluation_mode(published: Published) -> None:
    loaded = load(published.folder / "model.torchscript")

    assert not any(part.training for part in loaded.modules())


@deprecated
def test_the_loaded_module_has_the_weights_under_their_names(published: Published) -> None:
    loaded = load(published.folder / "model.torchscript").state_dict()
    own = published.subject.module.state_dict()

    assert list(loaded) == list(own)
    assert all(torch.equal(tensor, own[name]) for name, tensor in loaded.items())


@deprecated
def test_the_file_says_its_spec_its_classes_and_its_preprocessing(image_subject: Subject, tmp_path: Path) -> None:
    torchscript.export(image_subject, tmp_path / "model.torchscript")

    extra = {"zoo.json": ""}
    load(tmp_path / "model.torchscript", extra)
    assert json.loads(extra["zoo.json"]) == image_subject.metadata()


def test_the_records_with_source_paths_and_with_the_traced_rows_are_not_in_the_file(published: Published) -> None:
    found = records(published.folder / "model.torchscript")

    assert [name for name in found if "debug_pkl" in name or "traced_inputs" in name] == []
    assert "model/data.pkl" in found
    assert "model/extra/zoo.json" in found


def test_torch_itself_would_write_such_records(subject: Subject, tmp_path: Path) -> None:
    with pytest.warns((FutureWarning, DeprecationWarning)):
        traced = torch.jit.trace(subject.module, (subject.example,))  # type: ignore[no-untyped-call]  # torch
    traced.save(str(tmp_path / "plain.torchscript"))

    found = records(tmp_path / "plain.torchscript")
    assert [name for name in found if name.endswith(".debug_pkl")]
    assert [name for name in found if "traced_inputs" in name]


def test_no_record_stands_twice(published: Published) -> None:
    found = records(published.folder / "model.torchscript")

    assert len(found) == len(set(found))


def test_exporting_in_two_processes_and_folders_gives_the_same_bytes(elsewhere: tuple[Elsewhere, Elsewhere]) -> None:
    first, second = ((made.folder / "model.torchscript").read_bytes() for made in elsewhere)

    assert first == second


class Undecided(nn.Module):
    """Gives something that is no tensor, which torch.jit.trace refuses."""

    def forward(self, x: torch.Tensor) -> str:
        return "perhaps"


def test_a_model_that_torch_cannot_trace_is_refused_in_one_line_with_a_remedy(subject: Subject, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as refused:
        torchscript.export(dataclasses.replace(subject, module=Undecided().eval()), tmp_path / "model.torchscript")

    assert not isinstance(refused.value, ProofFailed)
    assert re.fullmatch("torch cannot trace this model: .{20,}", refused.value.message)
    assert refused.value.remedy == "export with --onnx"
    assert list(tmp_path.iterdir()) == []


def test_what_the_copy_meets_is_not_told_as_a_model_that_torch_cannot_trace(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path, path: Path) -> None:
        raise RuntimeError("the archive is damaged")

    monkeypatch.setattr(torchscript, "_copy_without_machine", fail)
    with pytest.raises(RuntimeError, match="the archive is damaged"):
        torchscript.export(subject, tmp_path / "model.torchscript")

    assert list(tmp_path.iterdir()) == []


def test_a_limit_that_the_file_keeps_within_does_not_refuse_it(subject: Subject, tmp_path: Path) -> None:
    with no_file_above(subject.weights + weights.ROOM):
        torchscript.export(subject, tmp_path / "model.torchscript")

    assert [path.name for path in tmp_path.iterdir()] == ["model.torchscript"]
