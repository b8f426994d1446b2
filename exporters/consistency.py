"""Consistency: whether the numbers and verdicts of a certificate follow from its questions and from each other."""

from __future__ import annotations

import math

from exporters.certificate import Certificate, Execution, FormatProof
from exporters.judging import judge, worst
from exporters.questions import Questions
from exporters.runtimes import Answers
from exporters.tolerance import EVERYTHING, GRAPH_LIMIT, Comparison, tie
from zoo.errors import ProofFailed

CLOSE = 1e-9  # relative; another numpy may add the same numbers in another order
FOLLOWING = ("scale", "reaction", "torch_rms", "torch_max", "rms_limit", "max_limit")
"""What a comparison says of the model alone, and so follows from the questions."""


def require(made: Certificate, asked: Questions) -> None:
    """Refuse a certificate that says what its questions do not, or that proves nothing.

    Raises:
        ProofFailed: with the first place.
    """
    if not made.proofs:
        raise _failed("it proves nothing")
    for proof in made.proofs:
        _require_verdict(proof)
        for execution in proof.executions:
            _require_numbers(proof, execution, made, asked)
        _require_decisions(proof)
    for reduced in made.reduced:
        if reduced.fault:
            raise _failed(f"{reduced.file}: {reduced.fault}")
        if not any(proof.format == "onnx" for proof in made.proofs):
            raise _failed(f"{reduced.file} is held against a model.onnx, which is not there")
        if not math.isclose(reduced.share, _bytes(made, reduced.file) / _bytes(made, "model.onnx"), rel_tol=CLOSE):
            raise _failed(f"{reduced.file} has another size than {reduced.share:.3g} times that of model.onnx")


def _bytes(made: Certificate, name: str) -> int:
    """Return the bytes of a file and of the weights beside it."""
    return sum(record.bytes for record in made.files if record.name in (name, f"{name}.data"))


def _require_verdict(proof: FormatProof) -> None:
    modes = [execution.mode for execution in proof.executions]
    if modes[:2] != (["optimised", "unoptimised"] if proof.format == "onnx" else ["fresh process"]):
        raise _failed(f"{proof.file} was not run in every way")
    if not all(execution.comparisons for execution in proof.executions):
        raise _failed(f"{proof.file} was compared with nothing")
    if proof.verdict != "equal" or proof.reason:
        raise _failed(f"{proof.file} is {proof.verdict}: {proof.reason}")
    by_bits = proof.format != "onnx" and proof.executions[0].bit_equal
    if not by_bits and (proof.format == "torchscript" or proof.float64_error is None):
        raise _failed(f"{proof.file} is neither bit-equal nor proven in float64")
    if proof.drawn is not None and worst(proof.drawn.executions)[0] != "equal":
        raise _failed(f"{proof.file} is not proven with drawn weights")
    for error in (proof.float64_error, None if proof.drawn is None else proof.drawn.float64_error):
        if error is not None and not error <= GRAPH_LIMIT:
            raise _failed(f"{proof.file} is {error:.3g} of S from R64 in float64, above {GRAPH_LIMIT:g}")


def _require_decisions(proof: FormatProof) -> None:
    if proof.decisions is not None and proof.decisions.fault:
        raise _failed(f"{proof.file}: {proof.decisions.fault}")
    if proof.decisions is not None and proof.decisions.allowed != tie(proof.executions[0].whole):
        raise _failed(f"{proof.file} calls other gaps ties than its limit says")


def _require_numbers(proof: FormatProof, execution: Execution, made: Certificate, asked: Questions) -> None:
    """Hold an execution against the one of a file that answers as torch itself."""
    file = proof.file
    owns = tuple(question.owns for question in asked.questions)
    again = judge(asked.outputs, asked, Answers(owns, ""), execution.runtime, execution.mode)
    partly = bool(made.golden.left_out)
    expected = {(found.output, found.question): found for found in again.comparisons}
    told = {(found.output, found.question): found for found in execution.comparisons}
    absent = [question for _, question in expected.keys() - told.keys()]
    unknown = [question for _, question in told.keys() - expected.keys() if question not in made.golden.left_out]
    if absent or unknown or len(told) != len(execution.comparisons):
        raise _failed(f"{file} was asked {(absent or unknown or ['a question twice'])[0]!r}, or was not")
    for key, found in told.items():
        # Trained weights may say little, but not nothing.
        _require_within(file, found, proof.drawn is not None and (made.origin == "untrained" or found.reacts))
        if key in expected and not (partly and found.question == EVERYTHING):
            _require_same(file, found, expected[key], ("rms_limit", "max_limit", "scale") if partly else ())


def _require_within(file: str, found: Comparison, drawn: bool = False) -> None:
    """Refuse a comparison whose own numbers do not bear its verdict; where weights were drawn, the own say little."""
    if (
        found.verdict not in (("equal", "inconclusive") if drawn else ("equal",))
        or found.file_max > found.max_limit
        or found.file_rms > found.rms_limit
    ):
        raise _failed(f"{file}, {found.question}: its error {found.file_max:.3g} is above {found.max_limit:.3g}")
    if min(found.file_rms, found.file_max) < 0 or found.file_rms > found.file_max * (1 + CLOSE):
        raise _failed(f"{file}, {found.question}: its errors are no errors")


def _require_same(file: str, found: Comparison, expected: Comparison, but: tuple[str, ...]) -> None:
    for name in FOLLOWING:
        said, right = getattr(found, name), getattr(expected, name)
        if name not in but and not math.isclose(said, right, rel_tol=CLOSE, abs_tol=1e-300):
            raise _failed(f"{file}, {found.question}: {name} is {said:.6g}, and the questions give {right:.6g}")
    if found.rows != expected.rows or found.reason != expected.reason:
        raise _failed(f"{file}, {found.question}: it was not asked {found.rows} rows")


def _failed(message: str) -> ProofFailed:
    return ProofFailed(f"the certificate contradicts itself: {message}", "ask for the bundle again, or export it again")
