"""The bundle: exported files that exist only because they were proven.

Everything is made and judged in a temporary directory beside the destination. Only when every proof holds does it take
its place; a failure leaves what was there before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import torch

from exporters import card, certificate, golden, questions, refusal
from exporters.certificate import Certificate, Format, FormatProof
from exporters.destination import Destination
from exporters.golden import Golden
from exporters.proof import FILES, Evidence, asked_of, prove, require
from exporters.questions import OutputRecord, Questions
from exporters.reduced import ReducedProof
from exporters.request import USUAL, OnnxForm
from exporters.subject import Subject
from zoo.environment import versions
from zoo.errors import ProofFailed
from zoo.files import replacing_directory


def publish(
    subject: Subject, formats: Sequence[Format], destination: Destination, form: OnnxForm = USUAL
) -> Certificate:
    """Export, prove, and only then publish.

    Args:
        subject: the module with its spec and held-out rows.
        formats: which files to make.
        destination: where the bundle goes.
        form: how the ONNX file is written.

    Raises:
        ProofFailed: a file is not proven equal; nothing is published.
        ExportError: a format cannot hold this model.
        UsageError: the destination is taken.
        OutputError: the destination cannot be written.
    """
    destination.require_free()
    _require_reducible(subject, form)
    with replacing_directory(destination.folder) as folder:  # one that cannot be made is told before any work
        began = time.perf_counter()
        asked = asked_of(subject, formats)
        answered = time.perf_counter() - began
        proofs = tuple(_proven(name, Evidence(subject, asked, folder, form), destination) for name in formats)
        reduced = _reduced(Evidence(subject, asked, folder, form), destination)
        golden.write(asked, folder, subject.input_name, [output.name for output in subject.outputs])
        stored = questions.write(_stored(asked, subject), folder)
        (folder / "README.md").write_text(card.render(subject, proofs, reduced), encoding="utf-8")
        made = Certificate(
            certificate_version=5,
            name=subject.checked.spec.name,
            spec_sha256=subject.checked.spec.sha256(),
            origin=subject.origin,
            weights_sha256=certificate.weights_sha256(subject.module.state_dict()),
            batches=tuple(len(question.inputs) for question in asked.held_out),
            truth_seconds=round(answered, 3),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=versions(),
            proofs=proofs,
            reduced=reduced,
            golden=stored,
            threads=torch.get_num_threads(),
            files=certificate.records(folder),
        )
        made = certificate.sealed(made)
        certificate.write(made, folder)
    refusal.forget(destination.folder)
    return made


def _require_reducible(subject: Subject, form: OnnxForm) -> None:
    """Refuse lower precision where nothing could tell what it loses, before any work is done.

    Raises:
        UsageError: the spec has no metric for that.
    """
    if form.reduced:
        from exporters import reducing  # with onnxruntime's own tools, which no other export needs

        reducing.metrics_of(subject)


def _reduced(evidence: Evidence, destination: Destination) -> tuple[ReducedProof, ...]:
    """Write the files of lower precision that are asked for, and return what they lose."""
    if not evidence.form.reduced:
        return ()
    from exporters import reducing

    exact, found = evidence.folder / FILES["onnx"], list[ReducedProof]()
    for precision in evidence.form.reduced:
        try:
            found.append(reducing.reduce(precision, evidence, exact))
        except ProofFailed as error:
            raise refusal.keep(error, evidence.subject, f"model.{precision}.onnx", destination.folder, None) from error
    return tuple(found)


def _proven(name: Format, evidence: Evidence, destination: Destination) -> FormatProof:
    """Return the proof of a format that is proven; of another one its failing probe is kept.

    Raises:
        ProofFailed: it is not; the message says where the probe is.
    """
    try:
        proof = prove(name, evidence)
        require(proof)
    except ProofFailed as error:
        kept = refusal.keep(error, evidence.subject, FILES[name], destination.folder, evidence.witness.probe)
        raise kept from error
    return proof


def _stored(asked: Golden, subject: Subject) -> Questions:
    """Return the questions as they are written down."""
    held_out, probes = (
        tuple(
            questions.Question(found.name, found.inputs.numpy(), found.truths, found.owns, found.rows, found.moves)
            for found in side
        )
        for side in (asked.held_out, asked.probes)
    )
    outputs = tuple(OutputRecord(name=output.name, chosen=output.chosen) for output in subject.outputs)
    return Questions(held_out, probes, outputs)
