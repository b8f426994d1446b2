from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from conftest import REPOSITORY, Outcome
from exporters import certificate, verification
from exporters.certificate import Certificate
from exporters.verification import Verification, verify
from zoo.errors import UsageError

if TYPE_CHECKING:
    from specimens import Published

pytest_plugins = ["specimens"]

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
sys.argv = ["zoo", "verify", {bundle!r}]
import cli
cli.main()
"""


@pytest.fixture
def bundle(published: Published, tmp_path: Path) -> Path:
    """A copy of the bundle, to be changed."""
    return Path(shutil.copytree(published.folder, tmp_path / "bundle"))


def failures(found: Verification) -> list[tuple[str, str]]:
    assert found.passed == (not any(check.state == "failed" for check in found.checks))
    return [(check.name, check.detail) for check in found.checks if check.state == "failed"]


def forge(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a certificate and seal it anew, with the hashes of the files as they are."""
    document = json.loads((bundle / "certificate.json").read_text(encoding="utf-8"))
    change(document)
    document["files"] = [record.document() for record in certificate.records(bundle)]
    made = certificate.sealed(Certificate.model_validate_json(json.dumps(document)))
    (bundle / "certificate.json").write_text(certificate.text(made), encoding="utf-8")


@pytest.mark.usefixtures("in_this_process")
def test_the_proof_of_an_honest_bundle_is_repeated_in_every_format(published: Published) -> None:
    found = verify(published.folder)

    assert failures(found) == []
    assert [check.name for check in found.checks] == [
        "certificate",
        "files",
        "questions",
        "numbers",
        "model.onnx: static",
        "model.onnx: run",
        "model.onnx: onnx.checker",
        "model.onnx: float64",
        "model.onnx: decisions",
        "model.torchscript: weights",
        "model.torchscript: run",
        "model.pt2: weights",
        "model.pt2: run",
    ]
    assert [check.name for check in found.checks if check.state == "skipped"] == ["model.onnx: decisions"]
    assert [len(again.executions) for again in found.repeated] == [2, 1, 1]
    assert [again.executions[0].bit_equal for again in found.repeated[1:]] == [True, True]


SPARE = ("torch", "torchvision", "onnx", "onnxscript", "safetensors", "jsonschema", "rich")
"""What zoo asks for beside numpy, onnxruntime, click and pydantic, which are all that verifying needs."""


@pytest.mark.parametrize("blocked", [("torch",), SPARE])
def test_without_torch_the_proof_is_repeated_and_what_is_not_is_said(
    published: Published, blocked: tuple[str, ...]
) -> None:
    code = BLOCK.format(blocked=blocked, bundle=str(published.folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)

    assert (done.returncode, done.stderr) == (0, "")
    assert "verified" in done.stdout
    assert "torch and onnx are not installed here" in done.stdout
    assert done.stdout.count("torch is not installed here") == 2


def test_the_blocked_modules_would_be_missed() -> None:
    code = BLOCK.format(blocked=("torch",), bundle="x").replace("import cli", "import exporters.proof")

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)

    assert "ModuleNotFoundError: torch" in done.stderr


def test_every_changed_byte_of_every_file_is_refused_by_name(bundle: Path) -> None:
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        whole, name = path.read_bytes(), path.relative_to(bundle).as_posix()
        for place in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            (failure,) = failures(verify(bundle))
            assert name in failure[1]
        path.write_bytes(whole)


@pytest.mark.parametrize("size", [-1, 0, 1])
def test_a_missing_cut_or_longer_file_is_refused_by_name(bundle: Path, size: int) -> None:
    path = bundle / "test_data_set_0" / "input_0.pb"
    if size:
        path.write_bytes(path.read_bytes() + b"!" if size > 0 else path.read_bytes()[:-1])
    else:
        path.unlink()

    said = "has been changed: it has " if size else "is missing"
    ((check, detail),) = failures(verify(bundle))
    assert (check, said in detail, detail.startswith("test_data_set_0/input_0.pb")) == ("files", True, True)


@pytest.mark.parametrize("name", ["notes.txt", "test_data_set_0/input_1.pb", "more/model.onnx"])
def test_an_extra_file_is_refused_by_name(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_bytes(b"")

    assert failures(verify(bundle)) == [("files", f"{name!r} is in the bundle, and the certificate does not know it")]


def test_every_changed_missing_and_extra_file_is_named_at_once(bundle: Path) -> None:
    (bundle / "README.md").write_bytes(b"")
    (bundle / "golden.npz").unlink()
    (bundle / "notes.txt").touch()
    for path in (bundle / "test_data_set_0").iterdir():
        path.unlink()
    (bundle / "model.pt2").rename(bundle / "model.onnx")

    names, said = zip(*((name, detail.partition(":")[0]) for name, detail in failures(verify(bundle))), strict=True)
    assert set(names) == {"files"}
    assert said == (
        "README.md has been changed",
        "golden.npz is missing",
        "model.onnx has been changed",
        "model.pt2 is missing",
        "'notes.txt' is in the bundle, and the certificate does not know it",
        "test_data_set_0/input_0.pb is missing",
        "test_data_set_0/output_0.pb is missing",
    )


def test_an_empty_folder_more_is_refused_by_name(bundle: Path) -> None:
    (bundle / "more").mkdir()

    assert failures(verify(bundle)) == [("files", "the folder 'more/' is empty, and the certificate does not know it")]


@pytest.mark.parametrize("name", ["model.onnx", "certificate.json", "test_data_set_0"])
def test_a_link_is_refused_by_name_even_to_the_same_bytes(bundle: Path, tmp_path: Path, name: str) -> None:
    (bundle / name).rename(tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")

    ((_, detail),) = failures(verify(bundle))
    assert name in detail


def test_a_pipe_is_refused_and_not_waited_for(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    os.mkfifo(bundle / "model.onnx")

    assert failures(verify(bundle)) == [("files", "'model.onnx' is a link, or no file")]


@pytest.mark.parametrize(
    "name", ["../model.onnx", "/etc/passwd", "a/../model.onnx", "./model.onnx", "certificate.json"]
)
def test_a_certificate_that_lists_files_elsewhere_is_refused(bundle: Path, name: str) -> None:
    made = certificate.read(bundle)
    moved = made.model_copy(update={"files": (made.files[0].model_copy(update={"name": name}), *made.files[1:])})
    (bundle / "certificate.json").write_text(certificate.text(certificate.sealed(moved)), encoding="utf-8")

    ((check, detail),) = failures(verify(bundle))
    assert (check, repr(name) in detail) == ("files", True)


def set_at(*keys: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        here: Any = document
        for key in keys[:-1]:
            here = here[key]
        here[keys[-1]] = to

    return change


def half(*others: Callable[[dict[str, Any]], None], **numbers: Any) -> Callable[[dict[str, Any]], None]:
    """Say that model.onnx is a file of lower precision too, with these numbers."""
    honest = {"precision": "fp16", "file": "model.onnx", "rule": "", "rows": 9, "calibration_rows": 0, "floor": 0.5}
    honest |= {"losses": [], "flips": 0, "error": 0.0, "allowed": 0.01, "share": 1.0}

    def change(document: dict[str, Any]) -> None:
        document["reduced"] = [honest | numbers]
        for other in others:
            other(document)

    return change


def without_onnx(document: dict[str, Any]) -> None:
    document["proofs"] = document["proofs"][1:]


WHOLE = ("proofs", 0, "executions", 0, "comparisons", 0)
FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a wider limit": (set_at(*WHOLE, "max_limit", to=1.0), "max_limit is 1, and the questions give"),
    "a larger error of torch": (set_at(*WHOLE, "torch_max", to=1e-3), "torch_max is 0.001, and the questions give"),
    "another scale": (set_at(*WHOLE, "scale", to=1e3), "scale is 1000, and the questions give"),
    "a stronger reaction": (set_at(*WHOLE, "reaction", to=1.0), "reaction is 1, and the questions give"),
    "more rows": (set_at(*WHOLE, "rows", to=10_000), "it was not asked 10000 rows"),
    "an error above its limit": (set_at(*WHOLE, "file_max", to=9.0), "its error 9 is above"),
    "an error below nothing": (set_at(*WHOLE, "file_max", to=-1.0), "its errors are no errors"),
    "an unequal verdict": (set_at("proofs", 0, "verdict", to="different"), "model.onnx is different"),
    "a graph that is wrong in float64": (set_at("proofs", 0, "float64_error", to=1e-3), "0.001 of S from R64"),
    "bits that are others": (set_at("proofs", 1, "executions", 0, "bit_equal", to=False), "neither bit-equal nor"),
    "a wider tie": (set_at("proofs", 0, "decisions", "allowed", to=1.0), "calls other gaps ties"),
    "no way of running": (set_at("proofs", 0, "executions", to=[]), "was not run in every way"),
    "no comparison": (set_at("proofs", 0, "executions", 0, "comparisons", to=[]), "was compared with nothing"),
    "no proof": (set_at("proofs", to=[]), "it proves nothing"),
    "a reduced file that loses too much": (half(error=0.5), "its rms error is 0.5 of its outputs, above 0.01"),
    "a reduced file that may lose too much": (half(allowed=0.4), "it may be off by 0.4 of its outputs, and 0.0625"),
    "a reduced file that is said to be smaller": (half(share=0.5), "has another size than 0.5 times that of model"),
    "a reduced file of nothing": (half(without_onnx), "is held against a model.onnx, which is not there"),
    "another question": (set_at(*WHOLE, "question", to="a batch of 9"), "was asked 'all batches', or was not"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_edited_number_is_refused_though_the_seal_is_made_anew(bundle: Path, forgery: str) -> None:
    change, said = FORGERIES[forgery]
    forge(bundle, change)

    ((check, detail),) = failures(verify(bundle))
    assert check == "numbers"
    assert detail.startswith("the certificate contradicts itself: ")
    assert said in detail


def test_a_certificate_edited_by_hand_is_refused(bundle: Path) -> None:
    path = bundle / "certificate.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"origin": "trained"', '"origin": "untrained"'))

    assert failures(verify(bundle)) == [("certificate", "certificate.json has been changed since it was written")]


OTHER = "certificate.json was written by another version of zoo"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "certificate.json cannot be read: "),
        ("[" * 100_000, "certificate.json cannot be read: "),
        ("[]", "certificate.json has no certificate_version"),
        ('{"certificate_version": 9}', f"{OTHER} (certificate 9, this one reads 5); export again"),
        ('{"certificate_version": 4}', f"{OTHER} (certificate 4, this one reads 5); export again"),
        ('{"certificate_version": NaN}', "certificate.json cannot be read: "),
        ('{"certificate_version": 5}', "certificate.json is not as its schema says: name: "),
        ('{"certificate_version": 5}' + " " * 2**24, "certificate.json has 16,777,242 bytes"),
    ],
)
def test_what_is_no_certificate_is_refused(bundle: Path, text: str, said: str) -> None:
    (bundle / "certificate.json").write_text(text, encoding="utf-8")

    ((check, detail),) = failures(verify(bundle))
    assert (check, detail[: len(said)]) == ("certificate", said)


def test_a_folder_without_a_certificate_proves_nothing(bundle: Path) -> None:
    (bundle / "certificate.json").unlink()

    assert failures(verify(bundle)) == [("certificate", f"{bundle} has no certificate.json: nothing is proven of it")]


@pytest.mark.usefixtures("in_this_process")
def test_another_model_under_a_certificate_made_anew_is_refused_when_it_is_run(
    bundle: Path, published: Published
) -> None:
    import onnx

    path = bundle / "model.onnx"
    model = onnx.load(path)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "0.weight")
    changed = onnx.numpy_helper.to_array(tensor) * np.float32(1.01)
    tensor.raw_data = changed.tobytes()
    onnx.save(model, path)
    forge(bundle, lambda document: None)

    ((check, detail),) = failures(verify(bundle))
    assert (check, "model.onnx is different: its rms error from float64" in detail) == ("model.onnx: run", True)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch.jit is deprecated
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_one_weight_off_in_the_last_bit_is_refused_in_torchscript(bundle: Path) -> None:
    path = bundle / "model.torchscript"
    module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]  # torch
    with torch.no_grad():
        weight = module.state_dict()["0.weight"]
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))
    module.save(str(path))
    forge(bundle, lambda document: None)

    ((check, detail),) = failures(verify(bundle))
    assert check == "model.torchscript: weights"
    assert detail == "the tensors of model.torchscript are not the certified ones, bit for bit"


def rewrite(bundle: Path, change: Callable[[dict[str, Any]], object], compression: int = zipfile.ZIP_STORED) -> None:
    """Change the arrays of golden.npz, and let the certificate have its hash."""
    with np.load(bundle / "golden.npz") as stored:
        arrays = dict(stored)
    change(arrays)
    with zipfile.ZipFile(bundle / "golden.npz", "w", compression) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=True) if isinstance(array, np.ndarray) else buffer.write(array)
            archive.writestr(f"{name}.npy", buffer.getvalue())
    forge(bundle, lambda document: None)


def header(shape: str) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(8)


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a truth less": lambda arrays: arrays.pop("group.0.truth.0"),
    "a huge size": lambda arrays: arrays.update({"group.0.truth.0": header(f"({2**62},)")}),
    "a product beyond 64 bits": lambda arrays: arrays.update({"group.0.truth.0": header(f"({2**62}, {2**62})")}),
    "a negative size": lambda arrays: arrays.update({"group.0.truth.0": header("(-1, -1)")}),
    "objects": lambda arrays: arrays.update({"group.0.truth.0": np.array([print], object)}),
    "no array": lambda arrays: arrays.update({"group.0.truth.0": b"hello"}),
    "rows that are not there": lambda arrays: arrays["0.rows"].__iadd__(10**9),
    "rows before the first": lambda arrays: arrays["0.rows"].__isub__(10**9),
    "float32 for truth": lambda arrays: arrays.update({"group.0.truth.0": arrays["group.0.truth.0"].astype("f4")}),
    "answers of another shape": lambda arrays: arrays.update({"0.own.0": arrays["0.own.0"].ravel()}),
    "one row again and again": lambda arrays: arrays.update({"0.rows": np.zeros(100_000, np.int64)}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_questions_that_no_export_writes_are_refused(bundle: Path, change: str) -> None:
    rewrite(bundle, CHANGES[change])

    ((check, detail),) = failures(verify(bundle))
    assert (check, detail[:10]) == ("questions", "golden.npz")


def test_a_bomb_in_the_questions_is_not_unpacked(bundle: Path) -> None:
    rewrite(bundle, lambda arrays: arrays.update(more=np.zeros(10_000_000)), zipfile.ZIP_DEFLATED)

    ((check, detail),) = failures(verify(bundle))
    assert (check, "its parts are larger than itself" in detail) == ("questions", True)


def test_other_truths_are_refused_though_their_hash_is_certified(bundle: Path) -> None:
    rewrite(bundle, lambda arrays: arrays["group.0.truth.0"].__imul__(1.0000001))

    ((check, _),) = failures(verify(bundle))
    assert check == "numbers"


@pytest.mark.usefixtures("in_this_process")
def test_questions_that_do_not_fit_are_left_out_and_named(
    published: Published, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exporters import bundle as making
    from exporters import golden, probing, questions

    monkeypatch.setattr(questions, "LARGEST", 1)
    subject = published.subject
    asked = making._stored(golden.make(subject.module, subject.rows), subject)
    record = questions.write(asked, bundle)
    forge(bundle, set_at("golden", to=record.document()))

    found = verify(bundle)

    assert {"batch of 64", *probing.PROBES} < {*record.left_out}
    assert "batch of 3" in [question.name for question in record.questions]
    assert (bundle / "golden.npz").stat().st_size < 10_000
    assert failures(found) == []
    assert "without" in found.checks[2].detail


def test_the_same_export_writes_the_same_questions(published: Published, tmp_path: Path) -> None:
    from exporters import bundle as making
    from exporters import golden, questions

    subject = published.subject
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        questions.write(making._stored(golden.make(subject.module, subject.rows), subject), tmp_path / name)

    first, second = (hashlib.sha256((tmp_path / name / "golden.npz").read_bytes()).digest() for name in ("a", "b"))
    assert first == second


def test_what_is_no_folder_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no directory"):
        verify(tmp_path / "absent")


def test_the_command_says_verified_or_refused(
    zoo: Callable[..., Outcome], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_repeat", lambda *arguments: None)
    honest, record = zoo("verify", bundle), zoo("verify", bundle, "--json")
    (bundle / "model.onnx").write_bytes(b"")
    changed = zoo("verify", bundle)

    assert (honest.status, record.status, changed.status) == (0, 0, 1)
    assert honest.out.endswith(f"{bundle}: verified\n")
    assert Verification.model_validate_json(record.out).passed
    assert "model.onnx has been changed: it has 0 bytes" in changed.out
    assert changed.out.endswith(f"{bundle}: refused\n")
    assert zoo("verify", bundle / "absent").status == 2
