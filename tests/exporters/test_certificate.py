from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import torch
from safetensors.torch import load_file

from conftest import REPOSITORY, Outcome
from exporters import certificate, golden, probing

if TYPE_CHECKING:
    from specimens import Published
    from zoo.run import Run

pytest_plugins = ["specimens"]

# Any: a JSON value.
Document = dict[str, Any]

STATE = {"0.weight": torch.tensor([[1.0, 2.0]]), "0.bias": torch.tensor([3.0])}


@pytest.fixture
def document(published: Published) -> Document:
    """certificate.json as it stands on the disk."""
    read: Document = json.loads((published.folder / "certificate.json").read_text(encoding="utf-8"))
    return read


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(certificate.json_schema())


def test_the_schema_is_a_json_schema_of_draft_2020_12() -> None:
    schema = certificate.json_schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_a_certificate_on_the_disk_is_valid(document: Document) -> None:
    validator().validate(document)


CHANGES: dict[str, Callable[[Document], object]] = {
    "another version": lambda document: document.update(certificate_version=1),
    "an unknown origin": lambda document: document.update(origin="stolen"),
    "an unknown key": lambda document: document.update(signed_by="me"),
    "a missing key": lambda document: document.pop("weights_sha256"),
    "a hash that is a number": lambda document: document.update(spec_sha256=7),
    "batches that are text": lambda document: document.update(batches="1, 2, 3"),
    "an unknown format": lambda document: document["proofs"][0].update(format="pickle"),
    "an unknown verdict": lambda document: document["proofs"][0].update(verdict="fine"),
    "a proof without executions": lambda document: document["proofs"][0].pop("executions"),
    "an error that is text": lambda document: _comparison(document).update(file_max="small"),
    "an unknown key in a comparison": lambda document: _comparison(document).update(rows_skipped=3),
    "a file without a hash": lambda document: document["files"][0].pop("sha256"),
}


def _comparison(document: Document) -> Document:
    found: Document = document["proofs"][0]["executions"][0]["comparisons"][0]
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_certificate_is_not_valid(document: Document, change: str) -> None:
    changed = copy.deepcopy(document)
    CHANGES[change](changed)

    assert not validator().is_valid(changed)


def test_every_key_is_explained_in_the_schema() -> None:
    schema = certificate.json_schema()
    records = [schema, *schema["$defs"].values()]

    silent = [key for record in records for key, value in record["properties"].items() if not value.get("description")]
    assert len(records) >= 8
    assert silent == []


def test_it_is_standard_json(published: Published) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads((published.folder / "certificate.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_reading_gives_what_publishing_gave_back(published: Published) -> None:
    assert certificate.read(published.folder) == published.certificate


def test_reading_gives_what_was_written(published: Published, tmp_path: Path) -> None:
    renamed = published.certificate.model_copy(update={"name": "another", "origin": "untrained"})

    certificate.write(renamed, tmp_path)

    assert certificate.read(tmp_path) == renamed


def test_a_certificate_against_its_schema_is_not_written(published: Published, tmp_path: Path) -> None:
    wrong = published.certificate.model_copy(update={"origin": "stolen"})

    with pytest.raises(jsonschema.ValidationError, match="'stolen' is not one of"):
        certificate.write(wrong, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_it_lists_every_other_file_of_the_bundle(published: Published) -> None:
    names = {path.relative_to(published.folder).as_posix() for path in published.folder.rglob("*") if path.is_file()}

    assert {record.name for record in published.certificate.files} == names - {"certificate.json"}
    assert len(published.certificate.files) == 7


def test_the_size_and_hash_of_every_file_are_those_on_the_disk(published: Published) -> None:
    for record in published.certificate.files:
        content = (published.folder / record.name).read_bytes()
        assert (record.bytes, record.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_it_says_which_spec_and_which_weights_were_exported(published: Published, trained_run: Run) -> None:
    made = published.certificate

    assert (made.name, made.origin) == ("perceptron", "trained")
    assert made.spec_sha256 == trained_run.checked.spec.sha256()
    assert made.weights_sha256 == certificate.weights_sha256(load_file(trained_run.weights_file))


def test_it_says_with_what_and_when_it_was_made(published: Published) -> None:
    made = published.certificate

    created = datetime.fromisoformat(made.created)
    assert timedelta(0) <= datetime.now(UTC) - created < timedelta(hours=1)
    assert torch.__version__.startswith(made.versions["torch"])
    assert {"zoo", "python", "onnx", "onnxruntime"} <= set(made.versions)


def test_it_holds_the_numbers_of_every_way_a_file_was_run(published: Published) -> None:
    onnx, torchscript, pt2 = published.certificate.proofs

    assert [(execution.runtime, execution.mode) for execution in onnx.executions] == [
        ("onnxruntime", "optimised"),
        ("onnxruntime", "unoptimised"),
    ]
    assert [(execution.runtime, execution.mode) for execution in torchscript.executions] == [
        ("torch.jit", "fresh process")
    ]
    compared = [found for proof in (onnx, torchscript, pt2) for ran in proof.executions for found in ran.comparisons]
    assert all(0 <= found.file_max <= found.max_limit for found in compared)
    assert all(0 <= found.file_rms <= found.rms_limit for found in compared)
    questions = [*(f"batch of {rows}" for rows in golden.BATCHES), *probing.PROBES]
    for ran in (*onnx.executions, *torchscript.executions, *pt2.executions):
        assert (ran.whole.question, ran.whole.rows) == ("all batches", sum(golden.BATCHES))
        assert ran.whole.file_max > 0
        assert [found.question for found in ran.comparisons[1:]] == questions


def test_it_holds_what_float64_and_the_decisions_say(published: Published) -> None:
    onnx, torchscript, pt2 = published.certificate.proofs

    assert onnx.float64_error is not None
    assert 0 < onnx.float64_error < 1e-6
    assert onnx.decisions is not None
    assert (onnx.decisions.flips, onnx.decisions.rows) == ((), len(published.subject.rows))
    assert torchscript.weights == pt2.weights == len(published.subject.module.state_dict())
    assert min(onnx.export_seconds, onnx.proof_seconds) > 0


def test_the_same_weights_have_the_same_hash_in_any_order() -> None:
    copied = {name: tensor.clone() for name, tensor in reversed(STATE.items())}

    assert certificate.weights_sha256(copied) == certificate.weights_sha256(STATE)


OTHERS: dict[str, dict[str, torch.Tensor]] = {
    "one bit": {"0.weight": torch.tensor([[1.0, 2.0000002]]), "0.bias": torch.tensor([3.0])},
    "a name": {"0.weight": STATE["0.weight"], "0.offset": STATE["0.bias"]},
    "a shape": {"0.weight": STATE["0.weight"].T, "0.bias": STATE["0.bias"]},
    "a dtype": {"0.weight": STATE["0.weight"].view(torch.int32), "0.bias": STATE["0.bias"]},
    "one tensor less": {"0.weight": STATE["0.weight"]},
}


@pytest.mark.parametrize("difference", OTHERS)
def test_weights_that_differ_in_anything_have_another_hash(difference: str) -> None:
    assert certificate.weights_sha256(OTHERS[difference]) != certificate.weights_sha256(STATE)


def test_the_published_schema_is_that_of_the_certificates(zoo: Callable[..., Outcome]) -> None:
    """To write it anew: zoo schema --certificate > exporters/certificate.schema.json."""
    kept = REPOSITORY / "exporters" / "certificate.schema.json"

    assert json.loads(kept.read_text(encoding="utf-8")) == certificate.json_schema()
    assert zoo("schema", "--certificate").out == kept.read_text(encoding="utf-8")
    assert zoo("schema", "--certificate", "--search").status == 2
