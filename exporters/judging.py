"""Judging: the answers of a file held against the questions, when it is proven and when the proof is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from exporters.arrays import Array
from exporters.certificate import Execution, Format, FormatProof
from exporters.runtimes import Answers
from exporters.tolerance import EVERYTHING, Comparison, Verdict, compare, compare_question
from zoo.errors import ProofFailed

BITS_RULE = "equal to eager torch bit for bit"
_WORST: tuple[Verdict, ...] = ("different", "inconclusive", "equal")


class Answered(Protocol):
    """A batch that the model has answered."""

    @property
    def name(self) -> str:
        """Return what it is called."""

    @property
    def rows(self) -> tuple[str, ...]:
        """Return what each row is called, where rows have names."""

    @property
    def truth(self) -> Array:
        """Return R64, the module in float64."""

    @property
    def own(self) -> Array:
        """Return the answer of the module as it is, in float32."""


class Asked(Protocol):
    """Questions, first the batches of held-out rows."""

    @property
    def held_out(self) -> Sequence[Answered]:
        """Return the batches of held-out rows."""

    @property
    def questions(self) -> Sequence[Answered]:
        """Return all questions."""


def judge(output: str, asked: Asked, found: Answers, runtime: str, mode: str) -> Execution:
    """Return what a runtime's answers to the questions are worth.

    Args:
        output: what the output is called.
        asked: the questions.
        found: the runtime's answers to them, in their order.
        runtime: the program that gave them.
        mode: how.

    Raises:
        ProofFailed: the file gives several outputs, or none.
    """
    if any(len(batch) != 1 for batch in found.outputs):
        raise ProofFailed(f"{runtime} gives {len(found.outputs[0])} outputs, not one", "nothing was published")
    first = [batch[0] for batch in found.outputs]
    own = [question.own for question in asked.questions]
    same = all(a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(first, own, strict=True))
    held_out = asked.held_out
    whole = compare(output, [q.truth for q in held_out], [q.own for q in held_out], first[: len(held_out)])
    each = tuple(_each(whole, question, answer) for question, answer in zip(asked.questions, first, strict=True))
    return Execution(
        runtime=runtime,
        version=found.version,
        mode=mode,
        bit_equal=same,
        comparisons=(whole, *(found for comparisons in each for found in comparisons)),
    )


def _each(whole: Comparison, question: Answered, answer: Array) -> list[Comparison]:
    """Return the comparison of a batch, or of each row that has a name."""
    if not question.rows or len(answer) != len(question.own):
        return [compare_question(whole, question.name, question.truth, question.own, answer)]
    rows = [slice(index, index + 1) for index in range(len(question.rows))]
    return [
        compare_question(whole, name, question.truth[row], question.own[row], answer[row])
        for name, row in zip(question.rows, rows, strict=True)
    ]


def bit_equal(execution: Execution) -> Execution:
    """Return the execution, refused where it is not eager torch bit for bit."""
    if execution.bit_equal:
        return execution
    first, *rest = execution.comparisons
    worse = first.model_copy(update={"verdict": "different", "reason": f"it is not {BITS_RULE}"})
    return execution.model_copy(update={"comparisons": (worse, *rest)})


def summary(name: Format, file: str, rule: str, executions: Sequence[Execution]) -> FormatProof:
    """Return the proof of a format, whose verdict is the worst of its executions'."""
    verdict, reason = worst(executions)
    return FormatProof(format=name, file=file, rule=rule, executions=tuple(executions), verdict=verdict, reason=reason)


def worst(executions: Sequence[Execution]) -> tuple[Verdict, str]:
    """Return the worst verdict of any comparison, and why."""
    compared = [found for execution in executions for found in execution.comparisons]
    found = min(compared, key=lambda comparison: _WORST.index(comparison.verdict))
    return found.verdict, found.reason if found.question == EVERYTHING else f"{found.question}: {found.reason}"
