"""The bundle: exported files that exist only because they were proven.

Everything is made and judged in a temporary directory beside the destination. Only when every proof holds does it take
its place; a failure leaves what was there before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch

from exporters import card, certificate, golden, onnx, torchscript
from exporters.certificate import Certificate, Execution, Format, FormatProof
from exporters.golden import Golden
from exporters.runtimes import ONNXRUNTIME, TORCHSCRIPT, Answers, ask
from exporters.subject import Subject
from exporters.tolerance import Comparison, Verdict, compare
from zoo.environment import versions
from zoo.errors import ProofFailed, UsageError
from zoo.files import replacing_directory

_ONNX_RULE = "rms error <= 4 x torch's own + eps rms(R64); max error <= 8 x torch's own + 2 eps S"
_TORCHSCRIPT_RULE = "equal to eager torch bit for bit"
_WORST: tuple[Verdict, ...] = ("different", "inconclusive", "equal")


@dataclass(frozen=True)
class Destination:
    """Where a bundle goes."""

    folder: Path
    overwrite: bool = False
    """Replace what an earlier export left there."""

    def require_free(self) -> None:
        """Refuse a folder that holds something.

        Raises:
            UsageError: it is a file, or holds something that may not be replaced.
        """
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file, not a directory", "give another --out")
        if not any(self.folder.iterdir()):
            return
        if not (self.folder / certificate.FILE_NAME).is_file():
            raise UsageError(f"{self.folder} holds something else than an export", "give a new or empty --out")
        if not self.overwrite:
            raise UsageError(f"{self.folder} holds an export", "give another --out, or --overwrite to replace it")


def publish(subject: Subject, formats: Sequence[Format], destination: Destination) -> Certificate:
    """Export, prove, and only then publish.

    Args:
        subject: the module with its spec and held-out rows.
        formats: which files to make.
        destination: where the bundle goes.

    Raises:
        ProofFailed: a file is not proven equal; nothing is published.
        ExportError: a format cannot hold this model.
        UsageError: the destination is taken.
        OutputError: the destination cannot be written.
    """
    destination.require_free()
    answers = golden.make(subject.module, subject.rows, sequence=subject.sequence)
    with replacing_directory(destination.folder) as folder:
        proofs = tuple(_PROVE[name](subject, answers, folder) for name in formats)
        for proof in proofs:
            _raise_for_failure(proof)
        golden.write(answers, folder, subject.input_name, subject.output_name)
        (folder / "README.md").write_text(card.render(subject, proofs), encoding="utf-8")
        made = Certificate(
            certificate_version=1,
            name=subject.checked.spec.name,
            spec_sha256=subject.checked.spec.sha256(),
            origin=subject.origin,
            weights_sha256=certificate.weights_sha256(subject.module.state_dict()),
            batches=golden.BATCHES,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=versions(),
            proofs=proofs,
            files=certificate.records(folder),
        )
        certificate.write(made, folder)
    return made


def _prove_onnx(subject: Subject, answers: Golden, folder: Path) -> FormatProof:
    path = folder / "model.onnx"
    onnx.export(subject, path)
    opset = onnx.verify_static(subject, path)
    batches = [{subject.input_name: batch.numpy()} for batch in answers.inputs]
    executions = []
    for mode, optimize in (("optimised", 1), ("unoptimised", 0)):
        found = ask(ONNXRUNTIME, path, batches, {"optimize": optimize, "threads": 1})
        executions.append(_execution(subject, answers, found, "onnxruntime", mode))
    return _proof("onnx", path.name, _ONNX_RULE, executions, opset)


def _prove_torchscript(subject: Subject, answers: Golden, folder: Path) -> FormatProof:
    path = folder / "model.torchscript"
    torchscript.export(subject, path)
    batches = [{subject.input_name: batch.numpy()} for batch in answers.inputs]
    found = ask(TORCHSCRIPT, path, batches, {"threads": torch.get_num_threads()})
    execution = _execution(subject, answers, found, "torch.jit", "fresh process")
    if not execution.bit_equal:
        comparison = execution.comparisons[0]
        worse = comparison.model_copy(update={"verdict": "different", "reason": f"it is not {_TORCHSCRIPT_RULE}"})
        execution = execution.model_copy(update={"comparisons": (worse,)})
    return _proof("torchscript", path.name, _TORCHSCRIPT_RULE, [execution], None)


_PROVE = {"onnx": _prove_onnx, "torchscript": _prove_torchscript}


def _execution(subject: Subject, answers: Golden, found: Answers, runtime: str, mode: str) -> Execution:
    if any(len(batch) != 1 for batch in found.outputs):
        raise ProofFailed(f"{runtime} gives {len(found.outputs[0])} outputs, not one", "nothing was published")
    first = [batch[0] for batch in found.outputs]
    same = all(a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(first, answers.own, strict=True))
    compared = compare(subject.output_name, answers.truth, answers.own, first)
    return Execution(runtime=runtime, version=found.version, mode=mode, bit_equal=same, comparisons=(compared,))


def _proof(name: Format, file: str, rule: str, executions: Sequence[Execution], opset: int | None) -> FormatProof:
    compared: list[Comparison] = [found for execution in executions for found in execution.comparisons]
    worst = min(compared, key=lambda found: _WORST.index(found.verdict))
    return FormatProof(
        format=name,
        file=file,
        opset=opset,
        rule=rule,
        executions=tuple(executions),
        verdict=worst.verdict,
        reason=worst.reason,
    )


def _raise_for_failure(proof: FormatProof) -> None:
    remedies: dict[Literal["different", "inconclusive"], str] = {
        "different": "nothing was published; please report the spec",
        "inconclusive": "nothing was published; train the model longer, or prove it on data that moves its outputs",
    }
    if proof.verdict != "equal":
        message = f"{proof.file} is {proof.verdict}: {proof.reason}"
        raise ProofFailed(message, remedies[proof.verdict])
