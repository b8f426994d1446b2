from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest
from google.protobuf.message import DecodeError
from numpy.testing import assert_array_equal

from exporters import onnx as exporter
from exporters import storage
from exporters.bundle import publish
from exporters.destination import Destination
from exporters.request import OnnxForm
from exporters.subject import Subject
from faults import contents, plant
from zoo.errors import ProofFailed

if TYPE_CHECKING:
    from specimens import MakeSubject

pytest_plugins = ["specimens"]

SMALL = OnnxForm(one_file=2000)  # bytes; two GiB would prove the same


@pytest.fixture
def wide(fresh: MakeSubject) -> Subject:
    """A model with one tensor large enough to leave the file."""
    return fresh([{"type": "Linear", "out_features": 128}, {"type": "ReLU"}, {"type": "Linear", "out_features": 1}])


def test_weights_too_large_for_one_file_stand_beside_it_and_are_proven(wide: Subject, tmp_path: Path) -> None:
    made = publish(wide, ["onnx"], Destination(tmp_path / "export"), SMALL)

    assert (tmp_path / "export" / "model.onnx.data").stat().st_size >= 4 * 128 * 4
    model = storage.outline(tmp_path / "export" / "model.onnx")
    assert storage.locations(model) == {"model.onnx.data"}
    assert "model.onnx.data" in [record.name for record in made.files]
    assert made.proofs[0].verdict == "equal"
    assert made.proofs[0].weights == 4


def test_a_weight_changed_beside_the_file_is_refused_and_nothing_is_published(
    wide: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(subject: Subject, path: Path) -> None:
        honest(subject, path, SMALL)
        data = storage.beside(path)
        data.write_bytes(data.read_bytes()[:-1] + b"\x00")

    honest = exporter.export
    plant(monkeypatch, "onnx", export)

    with pytest.raises(ProofFailed, match="bit for bit"):
        publish(wide, ["onnx"], Destination(tmp_path / "export"), SMALL)

    assert not (tmp_path / "export").exists()


def test_weights_beside_a_file_that_could_hold_them_are_refused(wide: Subject, tmp_path: Path) -> None:
    exporter.export(wide, tmp_path / "model.onnx", SMALL)

    with pytest.raises(ProofFailed, match="the file keeps weights in another file than it should"):
        exporter.verify_static(wide, tmp_path / "model.onnx")


def test_a_file_that_holds_more_than_one_file_may_is_refused(wide: Subject, tmp_path: Path) -> None:
    exporter.export(wide, tmp_path / "model.onnx")

    with pytest.raises(ProofFailed, match="the file keeps weights in another file than it should"):
        exporter.verify_static(wide, tmp_path / "model.onnx", SMALL)


def test_writing_two_files_twice_gives_the_same_bytes(wide: Subject, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        exporter.export(wide, tmp_path / name / "model.onnx", SMALL)

    first = contents(tmp_path / "first")
    assert first == contents(tmp_path / "second")
    assert first.keys() == {"model.onnx", "model.onnx.data"}


def test_the_weight_of_a_model_is_that_of_its_tensors(wide: Subject, tmp_path: Path) -> None:
    exporter.export(wide, tmp_path / "model.onnx")

    assert storage.weight(onnx.load_model(tmp_path / "model.onnx")) >= 4 * (4 * 128 + 128 + 128 + 1)


def test_a_model_written_a_tensor_at_a_time_has_the_bytes_of_the_whole(wide: Subject, tmp_path: Path) -> None:
    exporter.export(wide, tmp_path / "model.onnx")
    model = onnx.load_model(tmp_path / "model.onnx")
    model.graph.value_info.add().name = "behind the tensors"

    storage.write(model, tmp_path / "again.onnx")

    assert (tmp_path / "again.onnx").read_bytes() == model.SerializeToString(deterministic=True)


def test_the_weight_is_the_same_in_one_file_and_in_two(wide: Subject, tmp_path: Path) -> None:
    for name, form in (("one.onnx", OnnxForm()), ("two.onnx", SMALL)):
        exporter.export(wide, tmp_path / name, form)

    one, two = (storage.weight(storage.outline(tmp_path / name)) for name in ("one.onnx", "two.onnx"))
    assert one == two > SMALL.one_file


@pytest.mark.parametrize("form", [OnnxForm(), SMALL], ids=["in it", "beside it"])
def test_an_outline_leaves_the_weights_of_a_file_on_disk(wide: Subject, tmp_path: Path, form: OnnxForm) -> None:
    path = tmp_path / "model.onnx"
    exporter.export(wide, path, form)

    model, loaded = storage.outline(path), onnx.load_model(path)

    assert storage.weight(loaded) - model.graph.ByteSize() > storage.SMALLEST
    for left, tensor in zip(model.graph.initializer, loaded.graph.initializer, strict=True):
        assert left.name == tensor.name
        assert_array_equal(storage.array(left, tmp_path), onnx.numpy_helper.to_array(tensor, str(tmp_path)))
    for one in (model, loaded):
        del one.graph.initializer[:]
    assert model == loaded


@pytest.mark.parametrize("spoil", ["empty", "cut", "garbled", "another shape", "another type"])
def test_a_file_that_is_none_has_no_outline(wide: Subject, tmp_path: Path, spoil: str) -> None:
    path = tmp_path / "model.onnx"
    exporter.export(wide, path)
    model, content = onnx.load_model(path), path.read_bytes()
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    if spoil == "another shape":
        weight.dims[0] -= 1
    if spoil == "another type":
        weight.data_type = 99
    spoilt = {"empty": b"", "cut": content[: len(content) // 2], "garbled": b"\xff" + content[1:]}
    path.write_bytes(spoilt.get(spoil, model.SerializeToString()))

    with pytest.raises((DecodeError, onnx.checker.ValidationError)):
        storage.outline(path)
    with pytest.raises(ProofFailed, match="not valid ONNX"):
        exporter.verify_static(wide, path)
