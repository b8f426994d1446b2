"""Verification: the proof of a bundle, repeated from the bundle alone.

numpy and onnxruntime are enough. Where torch and onnx are installed, more is repeated; what is not is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Literal, TypeVar

from exporters import consistency, integrity, questions
from exporters.certificate import Certificate, Execution, FormatProof
from exporters.inspection import Inspection, inspect
from exporters.judging import hardly_reacts, judge, worst
from exporters.locating import require_bundle
from exporters.questions import Questions
from exporters.reduced import ReducedProof, lost, unfounded
from exporters.runtimes import ONNXRUNTIME, TORCH_EXPORT, TORCHSCRIPT, Answers, ask
from zoo.errors import ModelFileError, ProofFailed
from zoo.strict import Strict

Found = TypeVar("Found")

RUNTIMES = {"torchscript": (TORCHSCRIPT, "torch.jit"), "pt2": (TORCH_EXPORT, "torch.export")}
_REMEDY = "ask for the bundle again, or export it again"


class Check(Strict):
    """One thing that was looked at."""

    name: str
    """What."""
    state: Literal["passed", "failed", "skipped"]
    """"skipped": it could not be repeated here."""
    detail: str
    """What was found."""


class Repeated(Strict):
    """A file that was run again."""

    file: str
    """Its name in the bundle."""
    executions: tuple[Execution, ...]
    """Each way it was run."""


class Verification(Strict):
    """What repeating a proof found."""

    bundle: str
    """The folder."""
    passed: bool
    """Nothing failed."""
    checks: tuple[Check, ...]
    """All that was looked at, in this order; what hangs on something that failed is not looked at."""
    repeated: tuple[Repeated, ...]
    """The files that were run."""


class _Stopped(Exception):
    """A check failed, and what comes after it has nothing to stand on."""


class _Notes:
    """The checks so far."""

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.repeated: list[Repeated] = []

    def take(self, name: str, detail: str, check: Callable[[], Found]) -> Found:
        """Return what a check returns, and note that it passed.

        Raises:
            _Stopped: it failed.
        """
        try:
            found = check()
        except (ProofFailed, ModelFileError) as error:
            self.checks.append(Check(name=name, state="failed", detail=error.message))
            raise _Stopped from error
        self.checks.append(Check(name=name, state="passed", detail=detail))
        return found

    def require(self, name: str, detail: str, faults: Sequence[str]) -> None:
        """Note that nothing is wrong, or all that is.

        Raises:
            _Stopped: something is.
        """
        self.checks += [Check(name=name, state="failed", detail=fault) for fault in faults]
        if faults:
            raise _Stopped
        self.checks.append(Check(name=name, state="passed", detail=detail))

    def skip(self, name: str, detail: str) -> None:
        """Note that something is not repeated."""
        self.checks.append(Check(name=name, state="skipped", detail=detail))


def verify(folder: Path) -> Verification:
    """Return what repeating the proof of a bundle finds.

    Raises:
        UsageError: there is no such folder, or it is a run.
    """
    require_bundle(folder)
    notes = _Notes()
    try:
        made = notes.take("certificate", "as it was written", lambda: integrity.read(folder))
        notes.require("files", f"{len(made.files)} files, byte for byte", integrity.damage(made, folder))
        asked = notes.take("questions", _told(made), lambda: questions.read(folder, made.golden))
        notes.take("numbers", "as the questions give them", lambda: consistency.require(made, asked))
    except _Stopped:
        return _result(folder, notes)
    for proof in made.proofs:
        try:
            _repeat(notes, made, proof, asked, folder)
        except _Stopped:
            continue
    for reduced in made.reduced:
        try:
            _repeat_reduced(notes, made, reduced, asked, folder / reduced.file)
        except _Stopped:
            continue
    return _result(folder, notes)


def _result(folder: Path, notes: _Notes) -> Verification:
    passed = all(check.state != "failed" for check in notes.checks)
    return Verification(bundle=str(folder), passed=passed, checks=tuple(notes.checks), repeated=tuple(notes.repeated))


def _told(made: Certificate) -> str:
    left = f"; without {', '.join(made.golden.left_out)}" if made.golden.left_out else ""
    return f"{len(made.golden.questions)} questions with R64 and torch's own answers{left}"


def _repeat(notes: _Notes, made: Certificate, proof: FormatProof, asked: Questions, folder: Path) -> None:
    """Repeat what was proven of one file."""
    path = folder / proof.file
    if proof.format == "onnx":
        _repeat_onnx(notes, made, proof, asked, path)
    elif not _importable("torch"):
        notes.skip(f"{proof.file}: run", "torch is not installed here")
        return
    else:
        _repeat_torch(notes, made, proof, asked, path)
    if proof.drawn is not None:
        notes.skip(f"{proof.file}: drawn weights", f"{proof.drawn.reason}; the weights it was proven with are not here")
    if proof.decisions is not None:
        notes.skip(f"{proof.file}: decisions", f"the {proof.decisions.rows:,} held-out rows are not in the bundle")


def _repeat_onnx(notes: _Notes, made: Certificate, proof: FormatProof, asked: Questions, path: Path) -> None:
    found = notes.take(
        f"{path.name}: static", f"opset {proof.opset}, IR {proof.ir}", lambda: _static(made, proof, path)
    )
    name = found.inputs[0].name
    batches = [{name: question.inputs} for question in asked.questions]

    def run() -> tuple[Execution, ...]:
        return tuple(
            _execution(proof, asked, ask(ONNXRUNTIME, path, batches, {"optimize": level, "threads": 1}), place)
            for place, level in enumerate((1, 0))
        )

    _note_run(notes, made, proof, run, "onnxruntime, optimised and unoptimised")
    for execution in proof.executions[2:]:
        notes.skip(f"{path.name}: {execution.runtime}", "only onnxruntime is asked again")
    if not (_importable("torch") and _importable("onnx")):
        notes.skip(f"{path.name}: float64", "torch and onnx are not installed here")
        return
    from exporters import repeating

    notes.take(f"{path.name}: onnx.checker", "valid", lambda: repeating.require_valid(path))
    notes.take(f"{path.name}: float64", "the graph is R64's", lambda: repeating.require_float64(path, asked, name))


def _repeat_torch(notes: _Notes, made: Certificate, proof: FormatProof, asked: Questions, path: Path) -> None:
    from exporters import repeating

    notes.take(
        f"{path.name}: weights",
        f"{proof.weights} tensors, bit for bit",
        lambda: repeating.require_weights(path, proof.format, made.weights_sha256),
    )
    runtime, _ = RUNTIMES[proof.format]
    batches = [{"input": question.inputs} for question in asked.questions]

    def run() -> tuple[Execution, ...]:
        return (_execution(proof, asked, ask(runtime, path, batches, {"threads": made.threads}), 0),)

    executions = _note_run(notes, made, proof, run, "torch, in a fresh process")
    if proof.executions[0].bit_equal and not executions[0].bit_equal:
        there = proof.executions[0].version
        said = f"other last bits with torch {executions[0].version} here than with {there} there, within the limits"
        notes.skip(f"{path.name}: bit for bit", said)


def _repeat_reduced(notes: _Notes, made: Certificate, reduced: ReducedProof, asked: Questions, path: Path) -> None:
    """Repeat what was found of a file of lower precision: its error on the batches of the bundle."""
    exact = next(proof for proof in made.proofs if proof.format == "onnx")
    found = notes.take(
        f"{path.name}: static", f"opset {exact.opset}, IR {exact.ir}", lambda: _static(made, exact, path)
    )
    batches = [{found.inputs[0].name: question.inputs} for question in asked.held_out]

    def run() -> None:
        for level in (1, 0):
            answers = ask(ONNXRUNTIME, path, batches, {"optimize": level, "threads": 1}).outputs
            error = lost([question.own for question in asked.held_out], [outputs[0] for outputs in answers])
            if not error <= reduced.allowed:
                said = f"its rms error is {error:.3g}; {reduced.allowed:.3g} of its outputs is allowed"
                raise ProofFailed(f"{path.name}: {said}", _REMEDY)
            wrong = unfounded(reduced.precision, asked.outputs, answers)  # of answers that have the right shapes
            if wrong:
                raise ProofFailed(f"{path.name}: {wrong} does not follow from the first output", _REMEDY)

    notes.take(f"{path.name}: run", "onnxruntime, optimised and unoptimised", run)
    notes.skip(f"{path.name}: accuracy", f"the {reduced.rows:,} held-out rows are not in the bundle")


def _note_run(
    notes: _Notes, made: Certificate, proof: FormatProof, run: Callable[[], tuple[Execution, ...]], how: str
) -> tuple[Execution, ...]:
    def require() -> tuple[Execution, ...]:
        executions = run()
        verdict, reason = worst(executions)
        little = proof.drawn is not None and (made.origin == "untrained" or hardly_reacts(executions))
        if verdict != "equal" and not (verdict == "inconclusive" and little):
            raise ProofFailed(f"{proof.file} is {verdict}: {reason}", _REMEDY)
        return executions

    executions = notes.take(f"{proof.file}: run", how, require)
    notes.repeated.append(Repeated(file=proof.file, executions=executions))
    return executions


def _execution(proof: FormatProof, asked: Questions, found: Answers, place: int) -> Execution:
    then = proof.executions[place]
    return judge(asked.outputs, asked, found, then.runtime, then.mode)


def _static(made: Certificate, proof: FormatProof, path: Path) -> Inspection:
    """Return what the file says of itself.

    Raises:
        ProofFailed: it is not what the certificate says.
    """
    found = inspect(path)
    outputs = [output.name for output in found.outputs]
    wanted = [output.name for output in made.golden.outputs]
    if found.opsets.get("ai.onnx") != proof.opset:
        raise ProofFailed(f"{path.name} has opset {found.opsets.get('ai.onnx')}, not {proof.opset}", _REMEDY)
    if found.ir_version != proof.ir:
        raise ProofFailed(f"{path.name} has IR version {found.ir_version}, not {proof.ir}", _REMEDY)
    unknown = sorted(set(found.external) - {record.name for record in made.files})
    if unknown:
        raise ProofFailed(f"{path.name} keeps weights in {unknown[0]!r}, which is not certified", _REMEDY)
    if len(found.inputs) != 1 or outputs != wanted:
        said = f"{len(found.inputs)} inputs and the outputs {', '.join(outputs)}"
        raise ProofFailed(f"{path.name} has {said}, not one input and {', '.join(wanted)}", _REMEDY)
    return found


def _importable(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True
