from __future__ import annotations

import dataclasses
import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import Document, no_file_above
from exporters import bundle, certificate, decisions, golden, probing
from exporters.bundle import publish
from exporters.certificate import Format
from exporters.destination import Destination
from exporters.subject import Subject, find_subject
from exporters.verification import verify
from faults import FAULTS, FORMATS, BakedBatch, contents, one_weight_off, plant, plant_bytes, plant_fault
from zoo.errors import ExportError, OutputError, ProofFailed, UsageError

if TYPE_CHECKING:
    from faults import Fault
    from specimens import Elsewhere, MakeSubject, Published

pytest_plugins = ["specimens"]


def test_an_honest_export_holds_the_files_the_golden_data_the_certificate_and_the_card(published: Published) -> None:
    assert {name for name, content in contents(published.folder).items() if content is not None} == {
        "golden.npz",
        "model.onnx",
        "model.pt2",
        "model.torchscript",
        "test_data_set_0/input_0.pb",
        "test_data_set_0/output_0.pb",
        "certificate.json",
        "README.md",
    }


def test_beside_a_published_bundle_nothing_stays(published: Published) -> None:
    assert [path.name for path in published.folder.parent.iterdir() if path.is_dir()] == ["export"]


def test_every_proof_of_a_published_bundle_says_equal(published: Published) -> None:
    assert [(proof.format, proof.verdict, proof.reason) for proof in published.certificate.proofs] == [
        ("onnx", "equal", ""),
        ("torchscript", "equal", ""),
        ("pt2", "equal", ""),
    ]


def test_torchscript_in_its_own_process_gives_torchs_numbers_bit_for_bit(published: Published) -> None:
    assert [execution.bit_equal for execution in published.certificate.proofs[1].executions] == [True]


ROWS: list[Document] = [
    {"type": "BatchNorm1d", "eps": 0.01},
    {"type": "Dropout", "inplace": True},
    {"type": "GELU", "approximate": "tanh"},
    {"type": "LayerNorm", "elementwise_affine": False},
    {"type": "LeakyReLU", "inplace": True},
    {"type": "Linear", "out_features": 3, "bias": False},
]
"""Layers of rows; test_layers.py traces every layer of the language."""


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("layer", ROWS, ids=json.dumps)
def test_an_honest_export_of_each_layer_is_proven(fresh: MakeSubject, tmp_path: Path, layer: Document) -> None:
    subject = fresh([{"type": "Linear", "out_features": 8}, layer, {"type": "Linear", "out_features": 1}])

    made = publish(subject, FORMATS, Destination(tmp_path / "export"))

    assert [proof.verdict for proof in made.proofs] == ["equal", "equal", "equal"]


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("layer", ["Identity", "Flatten", "ReLU"])
def test_an_honest_export_of_a_layer_without_weights_alone_is_proven(
    fresh: MakeSubject, tmp_path: Path, layer: str
) -> None:
    subject = fresh([{"type": layer}], data__weights=[2.0])

    made = publish(subject, FORMATS, Destination(tmp_path / "export"))

    assert [proof.verdict for proof in made.proofs] == ["equal", "equal", "equal"]


@pytest.mark.usefixtures("in_this_process")
def test_an_honest_export_of_an_image_model_is_proven(image_subject: Subject, tmp_path: Path) -> None:
    made = publish(image_subject, FORMATS, Destination(tmp_path / "export"))

    assert [proof.verdict for proof in made.proofs] == ["equal", "equal", "equal"]


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # torch traces dropout left on three times, and differs
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_planted_in_the_module_is_refused_and_nothing_is_published(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Format, fault: Fault
) -> None:
    plant_fault(monkeypatch, name, fault)

    with pytest.raises(ProofFailed) as refused:
        publish(subject, [name], Destination(tmp_path / "export"))

    ways = (
        "ONNX: the file declares ",
        " is not the model's, bit for bit",
        "the float64 replay does not know training_mode",
        "is not the model: in float64",
        " is different: ",
    )
    assert any(way in refused.value.message for way in ways)
    assert refused.value.remedy.startswith("nothing was published; please report the spec; ")
    assert refused.value.exit_status == 1
    assert contents(tmp_path) == {}


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("onnx", "ONNX: the file declares {'features': [3, 4]}, but the spec says features: ['batch', 4]"),
        ("torchscript", "shape '[3, 4]' is invalid for input"),
    ],
)
def test_a_batch_baked_into_the_file_is_refused_and_nothing_is_published(
    fresh: MakeSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Format, message: str
) -> None:
    plant_fault(monkeypatch, name, BakedBatch)

    with pytest.raises(ProofFailed) as refused:
        publish(fresh([{"type": "Linear", "out_features": 1}]), [name], Destination(tmp_path / "export"))

    assert message in refused.value.message
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.99])
def test_a_truncated_file_is_refused_and_nothing_is_published(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Format, share: float
) -> None:
    whole = (published.folder / f"model.{name}").read_bytes()
    plant_bytes(monkeypatch, name, whole[: int(len(whole) * share)])

    with pytest.raises(ProofFailed):
        publish(published.subject, [name], Destination(tmp_path / "export"))

    assert contents(tmp_path) == {}


@pytest.mark.usefixtures("in_this_process")
def test_a_fault_in_one_format_withholds_the_others_too(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_fault(monkeypatch, "torchscript", one_weight_off)

    with pytest.raises(ProofFailed) as refused:
        publish(subject, FORMATS, Destination(tmp_path / "export"))

    message = "0.weight in model.torchscript is not the model's, bit for bit"
    assert refused.value.message == message
    assert contents(tmp_path) == {}


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("name", FORMATS)
def test_a_model_whose_output_is_constant_is_inconclusive_and_not_published(
    fresh: MakeSubject, tmp_path: Path, name: Format
) -> None:
    subject = dataclasses.replace(fresh([{"type": "Linear", "out_features": 1}]), origin="trained")
    subject.module.state_dict()["0.weight"].zero_()

    with pytest.raises(ProofFailed) as refused:
        publish(subject, [name], Destination(tmp_path / "export"))

    assert refused.value.message == (
        f"model.{name} is inconclusive: the output hardly reacts to the input (0); any file would pass"
    )
    assert refused.value.remedy.startswith(
        "nothing was published; train the model longer, or prove it on data that moves its outputs; "
    )
    assert not (tmp_path / "export").exists()


@pytest.mark.usefixtures("in_this_process")
def test_a_model_that_gives_nan_is_inconclusive_and_not_published(fresh: MakeSubject, tmp_path: Path) -> None:
    subject = fresh([{"type": "Linear", "out_features": 1}])
    subject.module.state_dict()["0.weight"].fill_(float("nan"))

    with pytest.raises(ProofFailed, match=r"model\.onnx is inconclusive: the model's own output is not finite"):
        publish(subject, ["onnx"], Destination(tmp_path / "export"))

    assert not (tmp_path / "export").exists()


def unproven(subject: Subject, path: Path) -> None:
    raise ProofFailed("planted", "nothing was published")


def unable(subject: Subject, path: Path) -> None:
    raise ExportError("planted", "export with --torchscript")


def interrupted(subject: Subject, path: Path) -> None:
    path.write_bytes(b"half of it")
    raise KeyboardInterrupt


def disk_full(subject: Subject, path: Path) -> None:
    path.write_bytes(b"half of it")
    raise OSError(errno.ENOSPC, "No space left on device")


FAILURES: list[tuple[Callable[[Subject, Path], None], type[BaseException]]] = [
    (unproven, ProofFailed),
    (unable, ExportError),
    (interrupted, KeyboardInterrupt),
    (disk_full, OutputError),
]


@pytest.mark.parametrize(("export", "error"), FAILURES)
def test_after_any_failure_nothing_stays_beside_the_destination(
    subject: Subject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    export: Callable[[Subject, Path], None],
    error: type[BaseException],
) -> None:
    plant(monkeypatch, "onnx", export)

    with pytest.raises(error):
        publish(subject, ["onnx"], Destination(tmp_path / "export"))

    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", ["torchscript", "pt2"])
def test_a_disk_that_is_full_for_torchs_writer_is_told_and_leaves_nothing(
    subject: Subject, tmp_path: Path, name: Format
) -> None:
    with no_file_above(3000), pytest.raises(OutputError, match="File too large"):
        publish(subject, [name], Destination(tmp_path / "export"))

    assert not [*tmp_path.iterdir()]


@pytest.fixture
def old(published: Published, tmp_path: Path) -> Path:
    """An export of last week, with a file in it that a new one would not write."""
    folder = tmp_path / "export"
    shutil.copytree(published.folder, folder)
    (folder / "notes.txt").write_text("of last week", encoding="utf-8")
    return folder


@pytest.mark.parametrize(("export", "error"), FAILURES)
def test_after_any_failure_an_old_export_is_there_as_it_was(
    subject: Subject,
    old: Path,
    monkeypatch: pytest.MonkeyPatch,
    export: Callable[[Subject, Path], None],
    error: type[BaseException],
) -> None:
    before = contents(old.parent)
    plant(monkeypatch, "onnx", export)

    with pytest.raises(error):
        publish(subject, ["onnx"], Destination(old, overwrite=True))

    assert contents(old.parent) == before


@pytest.mark.usefixtures("in_this_process")
def test_an_old_export_survives_when_the_new_one_cannot_take_its_place(
    subject: Subject, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(old.parent)
    rename = Path.rename

    def forbid(self: Path, target: str | Path) -> Path:
        if self.name == "new":
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", forbid)

    with pytest.raises(OutputError):
        publish(subject, ["onnx"], Destination(old, overwrite=True))

    assert contents(old.parent) == before


@pytest.mark.usefixtures("in_this_process")
def test_overwrite_replaces_an_old_export_whole(subject: Subject, old: Path) -> None:
    made = publish(subject, ["onnx"], Destination(old, overwrite=True))

    assert certificate.read(old) == made
    assert not (old / "notes.txt").exists()
    assert not (old / "model.torchscript").exists()
    assert [path.name for path in old.parent.iterdir()] == ["export"]


@pytest.mark.usefixtures("in_this_process")
def test_an_empty_folder_is_free(subject: Subject, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()

    publish(subject, ["onnx"], Destination(folder))

    assert (folder / "certificate.json").is_file()


@pytest.mark.usefixtures("in_this_process")
def test_folders_above_the_destination_are_made(subject: Subject, tmp_path: Path) -> None:
    publish(subject, ["onnx"], Destination(tmp_path / "some" / "where" / "export"))

    assert (tmp_path / "some" / "where" / "export" / "certificate.json").is_file()


def test_an_export_that_is_there_is_replaced_only_when_asked(subject: Subject, old: Path) -> None:
    before = contents(old)

    with pytest.raises(UsageError) as refused:
        publish(subject, ["onnx"], Destination(old))

    assert refused.value.message == f"{old} holds an export"
    assert refused.value.remedy == "give another --out, or --overwrite to replace it"
    assert contents(old) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_something_else_is_never_replaced(subject: Subject, tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")

    with pytest.raises(UsageError) as refused:
        publish(subject, ["onnx"], Destination(tmp_path, overwrite))

    assert refused.value.message == f"{tmp_path} holds something else than an export"
    assert refused.value.remedy == "give a new or empty --out"
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_no_destination(subject: Subject, tmp_path: Path, overwrite: bool) -> None:
    file = tmp_path / "export"
    file.write_text("not a folder", encoding="utf-8")

    with pytest.raises(UsageError) as refused:
        publish(subject, ["onnx"], Destination(file, overwrite))

    assert (refused.value.message, refused.value.remedy) == (
        f"{file} is a file, not a directory",
        "give another --out",
    )
    assert contents(tmp_path) == {"export": b"not a folder"}


@pytest.mark.parametrize("below", ["export", "some/where/export"])
def test_a_destination_below_a_file_cannot_be_written(
    subject: Subject, tmp_path: Path, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setattr(bundle, "asked_of", None)  # no question is asked before
    folder = tmp_path / "file" / below

    with pytest.raises(OutputError) as refused:
        publish(subject, ["onnx"], Destination(folder))

    assert refused.value.message.startswith(f"cannot write {folder}: ")
    assert contents(tmp_path) == {"file": b"not a folder"}


def telling(folder: Path, names: tuple[str, ...]) -> list[str]:
    """The files of a bundle that hold one of the names, each with that name."""
    return [
        f"{file}: {name}"
        for file, content in contents(folder).items()
        for name in names
        if content is not None and name.encode() in content
    ]


@pytest.mark.parametrize("index", [0, 1])
def test_no_byte_of_a_bundle_tells_of_the_machine(elsewhere: tuple[Elsewhere, Elsewhere], index: int) -> None:
    assert telling(elsewhere[index].folder, elsewhere[index].names) == []


def test_a_name_of_the_machine_in_any_file_would_be_found(
    elsewhere: tuple[Elsewhere, Elsewhere], tmp_path: Path
) -> None:
    talkative = shutil.copytree(elsewhere[0].folder, tmp_path / "export")
    for file in talkative.rglob("*.pb"):
        file.write_bytes(file.read_bytes() + b"/home/rosalind-f/model.py")

    found = telling(talkative, elsewhere[0].names)
    assert sorted(found) == ["test_data_set_0/input_0.pb: rosalind-f", "test_data_set_0/output_0.pb: rosalind-f"]


def test_the_certificate_alone_differs_between_two_machines(elsewhere: tuple[Elsewhere, Elsewhere]) -> None:
    first, second = (contents(made.folder) for made in elsewhere)

    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} <= {"certificate.json"}


@pytest.mark.usefixtures("in_this_process")
def test_no_byte_of_a_bundle_tells_where_the_data_lies(image_subject: Subject, digits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"

    publish(image_subject, FORMATS, Destination(folder))

    assert telling(folder, (str(digits),)) == []


@pytest.mark.usefixtures("in_this_process")
def test_a_model_has_the_same_bytes_wherever_its_data_lies(image_spec: Path, digits: Path, tmp_path: Path) -> None:
    models = []
    for root in (digits, shutil.copytree(digits, tmp_path / "moved")):
        folder = tmp_path / f"export-{root.name}"
        found = find_subject(str(image_spec), (f"data.root={root}",), untrained=True)
        publish(found, ["onnx"], Destination(folder))
        models.append((folder / "model.onnx").read_bytes())

    assert models[0] == models[1]


@pytest.mark.usefixtures("in_this_process")
def test_the_bundle_of_an_expensive_model_says_how_little_was_asked_and_verifies(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "WORK", 0)
    monkeypatch.setattr(decisions, "WORK", 0)

    made = publish(subject, ["onnx"], Destination(tmp_path / "export"))

    assert made.batches == (1, 2, 3, 4)
    assert made.proofs[0].decisions is not None
    assert made.proofs[0].decisions.rows == 3
    assert [question.rows for question in made.golden.questions if question.rows] == [probing.BANDS]
    assert verify(tmp_path / "export").passed


@pytest.mark.usefixtures("in_this_process")
def test_a_flip_of_an_expensive_model_says_which_held_out_row_it_is(
    image_subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "WORK", 0)
    monkeypatch.setattr(decisions, "WORK", 0)
    asked = golden.make(image_subject.module, image_subject.rows, work=1)
    answers = [[-question.own] for question in asked.questions]

    judged = decisions.decide(image_subject, asked, answers, 0.0)

    assert [flip.row for flip in judged.flips] == list(asked.published.places) == [3, 4, 5]
