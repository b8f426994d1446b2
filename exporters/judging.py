"""Judging: the answers of a file held against the questions, when it is proven and when the proof is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from exporters.arrays import Array, largest
from exporters.certificate import Execution, Format, FormatProof
from exporters.outputs import Told
from exporters.runtimes import Answers
from exporters.tolerance import (
    EVERYTHING,
    FAR,
    LARGEST_OWN_ERROR,
    MAX_FACTOR,
    Comparison,
    Verdict,
    compare,
    compare_choice,
    compare_question,
)
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
    def truths(self) -> Sequence[Array]:
        """Return R64, the module in float64: each output."""

    @property
    def owns(self) -> Sequence[Array]:
        """Return the answer of the module as it is, in float32: each output."""

    @property
    def moves(self) -> Sequence[Sequence[float]]:
        """Return how far last bits move each output, for each row; nothing where they do not count."""


class Asked(Protocol):
    """Questions, first the batches of held-out rows."""

    @property
    def held_out(self) -> Sequence[Answered]:
        """Return the batches of held-out rows."""

    @property
    def questions(self) -> Sequence[Answered]:
        """Return all questions."""


def judge(outputs: Sequence[Told], asked: Asked, found: Answers, runtime: str, mode: str) -> Execution:
    """Return what a runtime's answers to the questions are worth.

    Args:
        outputs: what the model gives; what follows from the first one comes behind it.
        asked: the questions.
        found: the runtime's answers to them, in their order.
        runtime: the program that gave them.
        mode: how.

    Raises:
        ProofFailed: the file gives more outputs, or fewer.
    """
    if any(len(batch) != len(outputs) for batch in found.outputs):
        wanted = "one" if len(outputs) == 1 else len(outputs)
        raise ProofFailed(f"{runtime} gives {len(found.outputs[0])} outputs, not {wanted}", "nothing was published")
    same = all(
        a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for question, batch in zip(asked.questions, found.outputs, strict=True)
        for a, b in zip(question.owns, batch, strict=True)
    )
    comparisons: list[Comparison] = []
    for number, output in enumerate(outputs):
        answers = [batch[number] for batch in found.outputs]
        if output.chosen is None:
            comparisons += _numbers(number, output.name, asked, answers)
        else:
            comparisons += _choices(comparisons[0], output, asked, answers)
    return Execution(runtime=runtime, version=found.version, mode=mode, bit_equal=same, comparisons=tuple(comparisons))


def _numbers(number: int, name: str, asked: Asked, answers: Sequence[Array]) -> list[Comparison]:
    """Return the comparisons of an output that holds numbers."""
    held_out = asked.held_out
    truths, owns = ([getattr(q, side)[number] for q in held_out] for side in ("truths", "owns"))
    moves = [moved for q in held_out for moved in (q.moves[number] if q.moves else ())]
    whole = compare(name, truths, owns, answers[: len(held_out)], follows=number > 0, moves=moves)
    found = [whole]
    for question, answer in zip(asked.questions, answers, strict=True):
        truth, own = question.truths[number], question.owns[number]
        found += [
            compare_question(_known(whole, question, number, rows), called, truth[rows], own[rows], answer[rows])
            for called, rows in _parts(question, answer)
        ]
    return found


def _known(whole: Comparison, question: Answered, number: int, rows: slice) -> Comparison:
    """Return the comparison with the limit that a row has: where last bits move it far, some times as far.

    That is at most what torch itself may be off by: of S, or for a row that is answered with far more than held-out
    rows of its own largest number.
    """
    if not question.moves:
        return whole
    moved, size = max(question.moves[number][rows], default=0.0), largest(question.truths[number][rows])
    allowed = min(MAX_FACTOR * moved, LARGEST_OWN_ERROR * (size if size > FAR * whole.scale else whole.scale))
    return whole.model_copy(update={"max_limit": max(whole.max_limit, allowed)})


def _choices(first: Comparison, output: Told, asked: Asked, answers: Sequence[Array]) -> list[Comparison]:
    """Return the comparison of an output that says where the first one is largest: over all questions, then of each."""
    parts = [
        (called, question.truths[0][rows], answer[rows])
        for question, answer in zip(asked.questions, answers, strict=True)
        for called, rows in _parts(question, answer)
    ]
    return [compare_choice(first, output, called, scores, chosen) for called, scores, chosen in parts]


def _parts(question: Answered, answer: Array) -> list[tuple[str, slice]]:
    """Return a batch whole, or each row that has a name."""
    if not question.rows or len(answer) != len(question.owns[0]):
        return [(question.name, slice(None))]
    return [(name, slice(index, index + 1)) for index, name in enumerate(question.rows)]


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


def hardly_reacts(executions: Sequence[Execution]) -> bool:
    """Return whether nothing is lacking but that the model answers its rows almost alike.

    That is a trained model of many normalisations after a few steps: its statistics are still those of the start. One
    that answers every row with the same, or with what float32 cannot know, is not published.
    """
    compared = (found for execution in executions for found in execution.comparisons)
    return all(found.reacts for found in compared if found.verdict != "equal")
