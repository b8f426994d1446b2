"""Proof: an exported file held against its module, whatever the format."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch

from exporters import bisection, decisions, golden, onnx, replaying, structure, torch_export, torchscript
from exporters.arrays import Array
from exporters.certificate import Drawn, Execution, Format, FormatProof
from exporters.decided import Decisions
from exporters.golden import Golden
from exporters.judging import BITS_RULE, bit_equal, hardly_reacts, judge, summary
from exporters.refusal import Witness
from exporters.request import USUAL, OnnxForm
from exporters.runtimes import ONNXRUNTIME, TORCH_EXPORT, TORCHSCRIPT, Answers, ask, asking
from exporters.subject import Subject
from exporters.tolerance import GRAPH_LIMIT, tie
from zoo.costs import costs
from zoo.economy import give_back, trim_heap
from zoo.errors import ProofFailed

ONNX_RULE = (
    "rms error <= 4 x torch's own + eps rms(R64); max error <= 8 x torch's own + 2 eps S; to both, what sums of many "
    "numbers lose; weights bit for bit; the graph in float64 within 1e-6 S of R64; "
    "every changed decision a tie in float64"
)
PT2_RULE = "the rule of the errors of ONNX; weights bit for bit; the program in float64 within 1e-6 S of R64"


@dataclass(frozen=True)
class Evidence:
    """What a proof works with."""

    subject: Subject
    golden: Golden
    folder: Path
    """Where the file is made."""
    form: OnnxForm = USUAL
    """How an ONNX file is written."""
    witness: Witness = field(default_factory=Witness, compare=False)
    """What keeps the probe that goes wrong."""


def prove(name: Format, evidence: Evidence) -> FormatProof:
    """Export a format and return what its proof found.

    Raises:
        ExportError: the format cannot hold this model.
        ProofFailed: the file is not what it must be before it is even run.
    """
    began = time.perf_counter()
    trim_heap(evidence.subject.weights)  # what the proof of another format leaves
    path = evidence.folder / FILES[name]
    _EXPORT[name](evidence, path)
    give_back(evidence.subject.weights)  # what the exporter leaves
    exported = time.perf_counter()
    proof = _PROVE[name](evidence, path)
    if proof.verdict == "inconclusive" and (evidence.subject.origin == "untrained" or hardly_reacts(proof.executions)):
        proof = _prove_structure(name, evidence, path, proof)
    ended = time.perf_counter()
    return proof.model_copy(
        update={"export_seconds": round(exported - began, 3), "proof_seconds": round(ended - exported, 3)}
    )


def _prove_structure(name: Format, evidence: Evidence, path: Path, own: FormatProof) -> FormatProof:
    """Return the proof of the file with drawn weights in it; what its own weights say where that is no better."""
    given = evidence.subject
    subject = replace(given, module=structure.drawn(given.module, given.rows, given.values))
    with TemporaryDirectory(prefix="zoo-") as folder:
        target = Path(folder, path.name)
        structure.put(name, subject.module.state_dict(), path, target)
        asked = asked_of(subject, (name,))
        proof = _PROVE[name](replace(evidence, subject=subject, golden=asked, folder=Path(folder)), target)
    if proof.verdict == "inconclusive":
        return own
    shown = [run.model_copy(update={"mode": f"{run.mode}, drawn weights"}) for run in proof.executions]
    drawn = Drawn(reason=own.reason, float64_error=proof.float64_error, executions=tuple(shown))
    found = own.model_copy(update={"verdict": proof.verdict, "reason": proof.reason, "drawn": drawn})
    return _undecided(found, own.decisions)


def asked_of(subject: Subject, formats: Sequence[Format]) -> Golden:
    """Return the questions to a module, with its answers, for the proof of these formats."""
    work = costs(subject.checked).multiply_adds
    asked = golden.make(subject.module, subject.rows, subject.sequence, work, subject.values)
    if asked.spared and any(name != "onnx" for name in formats):
        asked = golden.whole(subject.module, asked)
    trim_heap(subject.weights)
    return asked


def _prove_onnx(evidence: Evidence, path: Path) -> FormatProof:
    subject, known = evidence.subject, evidence.golden
    asked = [question.inputs.numpy() for question in known.questions]
    decided = [*asked, *decisions.batches(subject)]
    with _asking_onnx(evidence, path, decided, 1) as optimised, _asking_onnx(evidence, path, asked, 0) as unoptimised:
        numbers = _judge_graph(evidence, path)  # while the others work
        found, plainly = optimised(), unoptimised()
    first = _execution(evidence, replace(found, outputs=found.outputs[: len(asked)]), "onnxruntime", "optimised")
    plain = _execution(evidence, plainly, "onnxruntime", "unoptimised")
    proof = summary("onnx", path.name, ONNX_RULE, [first, plain, *_elsewhere(evidence, path)])
    judged = None
    if proof.verdict == "equal" or (proof.verdict == "inconclusive" and subject.origin == "trained"):
        judged = decisions.decide(subject, known, found.outputs, tie(first.whole))
        if judged.fault:
            evidence.witness.decide(subject, judged, path)
    told = {"ir": evidence.form.ir, "targets": evidence.form.proofs, "decisions": judged}
    return _undecided(proof.model_copy(update=numbers | told), judged)


def _judge_graph(evidence: Evidence, path: Path) -> dict[str, float]:
    """Return what an ONNX file shows without running in onnxruntime.

    Raises:
        ProofFailed: it is not valid, or its weights or its graph in float64 are not the module's.
    """
    subject, threads = evidence.subject, torch.get_num_threads()
    opset = onnx.verify_static(subject, path, evidence.form)
    trim_heap(subject.weights)
    weights = onnx.verify_weights(subject, path)
    trim_heap(subject.weights)
    torch.set_num_threads(_threads())
    try:
        error = replaying.float64_error(subject.input_name, subject.outputs, evidence.golden, path)
    finally:
        torch.set_num_threads(threads)
    if error > GRAPH_LIMIT:
        evidence.witness.replay(subject, evidence.golden, path)
        told = bisection.told(subject, evidence.golden, path, error)
        raise ProofFailed(told, "nothing was published; please report the spec")
    return {"opset": opset, "weights": weights, "float64_error": error}


def _asking_onnx(
    evidence: Evidence, path: Path, batches: Sequence[Array], optimize: int
) -> AbstractContextManager[Callable[[], Answers]]:
    named = [{evidence.subject.input_name: batch} for batch in batches]
    return asking(ONNXRUNTIME, path, named, {"optimize": optimize, "threads": _threads(), "spin": 0})


def _threads() -> int:
    """Return the threads of each of two that work at the same time."""
    return max(1, torch.get_num_threads() // 2)


def _elsewhere(evidence: Evidence, path: Path) -> list[Execution]:
    """Return what the file's targets make of it that are not onnxruntime."""
    runtimes = {target.runtime for target in evidence.form.targets} - {ONNXRUNTIME}
    return [_execution_of(evidence, path, runtime, runtime.stem, threads=1) for runtime in sorted(runtimes)]


def _prove_torchscript(evidence: Evidence, path: Path) -> FormatProof:
    weights = torchscript.verify_weights(evidence.subject, path)
    return _prove_bits("torchscript", evidence, path, TORCHSCRIPT, "torch.jit", weights)


def _prove_pt2(evidence: Evidence, path: Path) -> FormatProof:
    weights = torch_export.verify_weights(evidence.subject, path)
    proof = _prove_bits("pt2", evidence, path, TORCH_EXPORT, "torch.export", weights)
    if proof.executions[0].bit_equal:
        return proof
    # Attention takes another kernel in eager evaluation: then the file is judged as a file of another runtime is.
    error = torch_export.float64_error(evidence.subject, evidence.golden, path)
    if error is None or error > GRAPH_LIMIT:
        return proof
    execution = _execution_of(evidence, path, TORCH_EXPORT, "torch.export")
    judged = summary("pt2", path.name, PT2_RULE, [execution])
    return judged.model_copy(update={"weights": weights, "float64_error": error})


def _prove_bits(name: Format, evidence: Evidence, path: Path, runtime: Path, called: str, weights: int) -> FormatProof:
    """Return what torch itself makes of the file in a fresh process."""
    execution = bit_equal(_execution_of(evidence, path, runtime, called))
    return summary(name, path.name, BITS_RULE, [execution]).model_copy(update={"weights": weights})


def _execution_of(evidence: Evidence, path: Path, runtime: Path, called: str, threads: int = 0) -> Execution:
    batches = [{evidence.subject.input_name: question.inputs.numpy()} for question in evidence.golden.questions]
    found = ask(runtime, path, batches, {"threads": threads or torch.get_num_threads()})
    return _execution(evidence, found, called, "fresh process")


FILES: dict[Format, str] = {"onnx": "model.onnx", "torchscript": "model.torchscript", "pt2": "model.pt2"}
_EXPORT: dict[Format, Callable[[Evidence, Path], None]] = {
    # Looked up when they are called, so that a test can plant a fault between export and proof.
    "onnx": lambda evidence, path: onnx.export(evidence.subject, path, evidence.form),
    "torchscript": lambda evidence, path: torchscript.export(evidence.subject, path),
    "pt2": lambda evidence, path: torch_export.export(evidence.subject, path),
}
_PROVE: dict[Format, Callable[[Evidence, Path], FormatProof]] = {
    "onnx": _prove_onnx,
    "torchscript": _prove_torchscript,
    "pt2": _prove_pt2,
}


def _execution(evidence: Evidence, found: Answers, runtime: str, mode: str) -> Execution:
    judged = judge(evidence.subject.outputs, evidence.golden, found, runtime, mode)
    evidence.witness.hear(evidence.golden, found, judged)
    return judged


def _undecided(proof: FormatProof, judged: Decisions | None) -> FormatProof:
    """Return the proof, refused where its decisions are wrong."""
    if proof.verdict != "equal" or judged is None or not judged.fault:
        return proof
    return proof.model_copy(update={"verdict": "different", "reason": judged.fault})


def require(proof: FormatProof) -> None:
    """Refuse a file that is not proven equal.

    Raises:
        ProofFailed: with what was found.
    """
    remedies: dict[Literal["different", "inconclusive"], str] = {
        "different": "nothing was published; please report the spec",
        "inconclusive": "nothing was published; train the model longer, or prove it on data that moves its outputs",
    }
    if proof.verdict != "equal":
        raise ProofFailed(f"{proof.file} is {proof.verdict}: {proof.reason}", remedies[proof.verdict])
