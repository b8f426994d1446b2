"""When an exported file counts as equal to its model: the rule, its constants and its numbers.

The truth is R64, the module in float64. An exported file may be as far from it as torch's own float32 is, times a small
factor, plus a floor of a few units of the last place: torch is sometimes exact by luck. A fixed tolerance would refuse
honest files of deep models and pass faults of small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from exporters.arrays import Array, pooled
from exporters.outputs import Told, gap
from zoo.strict import Strict

EPS = 2.0**-23  # one unit of the last place of float32 at 1.0
RMS_FACTOR, RMS_FLOOR = 4.0, 1.0  # rms error of the file <= 4 x torch's own + 1 eps rms(R64)
MAX_FACTOR, MAX_FLOOR = 8.0, 2.0  # largest error of the file <= 8 x torch's own + 2 eps S, S = max|R64|
LOST_FACTOR = 2.0  # times what sums of many numbers lose, which is what was seen at the most
GRAPH_LIMIT = 1e-6  # of S, in float64: constants of a graph are float32 where the module's are float64, 1e-8 to 1e-7
LARGEST_OWN_ERROR = 1e-3  # of S; above it float32 itself does not know the answer
FAR = 8.0  # times the S of held-out rows; a probe that is answered with more is far from what the model is made for
SMALLEST_REACTION = 2e-2  # rms(f(x1) - f(x2)) over rms(f); below it any file would pass
LEAST_REACTION = 16 * EPS  # below it float32 tells hardly one row from another

EVERYTHING = "all batches"
"""The name of the comparison that pools the held-out batches."""

Verdict = Literal["equal", "different", "inconclusive"]


class Comparison(Strict):
    """One output of a file held against R64, over all batches or for one question."""

    output: str
    """Name of the output."""
    question: str = EVERYTHING
    """Which batch or probe."""
    verdict: Verdict
    """"inconclusive": the proof could not have failed, and so proves nothing."""
    reason: str = ""
    """Why the verdict is not "equal"."""
    rows: int
    """Rows compared."""
    scale: float
    """S = max|R64|."""
    reaction: float
    """rms difference of neighbouring rows' outputs, over the rms of the outputs."""
    torch_rms: float
    """rms error of torch's float32."""
    torch_max: float
    """Largest error of torch's float32."""
    file_rms: float
    """rms error of the file."""
    file_max: float
    """Largest error of the file."""
    rms_limit: float
    """What file_rms must not exceed."""
    max_limit: float
    """What file_max must not exceed."""

    @property
    def reacts(self) -> bool:
        """Return whether all is well but that the output reacts less than a proof asks for."""
        known = self.torch_max <= LARGEST_OWN_ERROR * self.scale
        return self.verdict == "inconclusive" and known and self.reaction > LEAST_REACTION

    @property
    def file_max_in_ulps(self) -> float:
        """Return the file's largest error in units of eps · S."""
        return self.file_max / (EPS * self.scale) if self.scale else 0.0


def compare(
    output: str,
    truth: Sequence[Array],
    own: Sequence[Array],
    found: Sequence[Array],
    follows: bool = False,
    moves: Sequence[float] = (),
) -> Comparison:
    """Return how a file's output compares with the truth, pooled over batches, and whether that proves anything.

    Args:
        output: its name.
        truth: R64 of each batch, float64.
        own: torch's float32 of each batch.
        found: the file's answer to each batch.
        follows: from another output, which shows by itself that the proof could fail.
        moves: how far last bits that sums lose move R64 of each row; nothing where they lose little.
    """
    judged = _judge(output, EVERYTHING, (truth, own, found), None, moves)
    if follows or judged.verdict == "different" or judged.reason:
        return judged
    if judged.torch_max > LARGEST_OWN_ERROR * judged.scale:
        reason = f"torch's float32 is off by {judged.torch_max:.3g} of {judged.scale:.3g}"
        return judged.model_copy(update={"verdict": "inconclusive", "reason": reason})
    if judged.reaction < SMALLEST_REACTION:
        reason = f"the output hardly reacts to the input ({judged.reaction:.2g}); any file would pass"
        return judged.model_copy(update={"verdict": "inconclusive", "reason": reason})
    return judged


def compare_question(whole: Comparison, question: str, truth: Array, own: Array, found: Array) -> Comparison:
    """Return how a file's answer to one batch or probe compares with the truth.

    Torch is exact by luck on a few rows, so the limits are not below those of all batches together.

    Args:
        whole: the comparison over all batches.
        question: its name.
        truth: R64, float64.
        own: torch's float32.
        found: the file's answer.
    """
    return _judge(whole.output, question, ([truth], [own], [found]), whole)


def compare_choice(first: Comparison, output: Told, question: str, scores: Array, chosen: Array) -> Comparison:
    """Return whether the places that a file chooses are those of the largest scores, or tie with them.

    Args:
        first: the comparison of the scores over all batches, which says what a tie is.
        output: what says the places.
        question: its name.
        scores: R64, float64.
        chosen: the file's answer.
    """
    numbers = {"rows": len(scores), "scale": first.scale, "max_limit": tie(first), "rms_limit": tie(first)}
    lead = gap(scores, chosen, output.chosen or 0)
    if lead == float("inf"):
        reason = f"the file's {output.name} is no place of a number of {first.output}"
        return _verdict((output.name, question), "different", reason, numbers)
    numbers["file_max"] = lead
    if lead > tie(first):
        reason = (
            f"a {output.name} is not that of the largest number, which leads by {lead:.3g}; a tie is {tie(first):.3g}"
        )
        return _verdict((output.name, question), "different", reason, numbers)
    return _verdict((output.name, question), "equal", "", numbers)


def tie(first: Comparison) -> float:
    """Return the largest gap of two scores that the errors of both may close."""
    return 2 * first.max_limit


Answers = tuple[Sequence[Array], Sequence[Array], Sequence[Array]]
"""R64, torch's own and the file's, batch by batch."""


def _judge(
    output: str, question: str, answers: Answers, whole: Comparison | None, moves: Sequence[float] = ()
) -> Comparison:
    truth, own, found = answers
    told = (output, question)
    rows: dict[str, float] = {"rows": sum(map(len, truth))}
    shapes = [(a.shape, b.shape) for a, b in zip(truth, found, strict=True) if a.shape != b.shape]
    if shapes:
        return _verdict(told, "different", f"the file gives {shapes[0][1]} where the model gives {shapes[0][0]}", rows)
    r64, mine, its = pooled(truth), pooled(own), pooled(found)
    if not (np.isfinite(r64).all() and np.isfinite(mine).all()):
        if whole is None:
            return _verdict(told, "inconclusive", "the model's own output is not finite", rows)
        same = np.array_equal(np.isfinite(mine), np.isfinite(its))
        return _verdict(told, "equal" if same else "different", "the model's own output is not finite", rows)
    if not np.isfinite(its).all():
        return _verdict(told, "different", "the file's output is not finite", rows)
    numbers = rows | _errors(r64, mine, its) | {"reaction": reaction(truth)}
    numbers |= _limits(numbers, _rms(r64), whole, np.array(moves))
    for kind in ("rms", "max"):
        error, limit = numbers[f"file_{kind}"], numbers[f"{kind}_limit"]
        if error > limit:
            reason = f"its {kind} error from float64 is {error:.3g}, above {limit:.3g}"
            return _verdict(told, "different", reason, numbers)
    return _verdict(told, "equal", "", numbers)


def _limits(numbers: dict[str, float], size: float, whole: Comparison | None, moves: Array) -> dict[str, float]:
    """Return what the rms and the largest error must not exceed.

    The few numbers of one question have no rms worth the name, and all their errors may point one way: there it is the
    largest error that counts. Torch adds more exactly than other programs: what they lose of many numbers counts too.
    """
    known = LARGEST_OWN_ERROR * numbers["scale"]
    rms = RMS_FACTOR * numbers["torch_rms"] + RMS_FLOOR * EPS * size + min(LOST_FACTOR * _rms(moves), known)
    most = MAX_FACTOR * numbers["torch_max"] + MAX_FLOOR * EPS * numbers["scale"]
    most += min(LOST_FACTOR * float(moves.max(initial=0.0)), known)
    if whole is None:
        return {"rms_limit": rms, "max_limit": most}
    return dict.fromkeys(("rms_limit", "max_limit"), max(most, whole.max_limit))


def _errors(r64: Array, mine: Array, its: Array) -> dict[str, float]:
    scale = float(np.abs(r64).max(initial=0.0))
    found = {"scale": scale}
    for name, error in (("torch", mine - r64), ("file", its - r64)):
        found |= {f"{name}_rms": _rms(error), f"{name}_max": float(np.abs(error).max(initial=0.0))}
    return found


def _verdict(told: tuple[str, str], verdict: Verdict, reason: str, numbers: dict[str, float]) -> Comparison:
    names = ("scale", "reaction", "torch_rms", "torch_max", "file_rms", "file_max", "rms_limit", "max_limit")
    finite = {name: float(numbers.get(name, 0.0)) for name in names}
    output, question = told
    return Comparison(
        output=output, question=question, verdict=verdict, reason=reason, rows=int(numbers["rows"]), **finite
    )


def reaction(batches: Sequence[Array]) -> float:
    """Return the rms difference of neighbouring rows' outputs over the rms of the outputs."""
    return _ratio(_rms(_differences(batches)), _rms(pooled(batches)))


def _differences(batches: Sequence[Array]) -> Array:
    """Return what the output moves by from row to row; rows of other sequence lengths are no neighbours."""
    alike: dict[tuple[int, ...], list[Array]] = {}
    for batch in batches:
        alike.setdefault(batch.shape[1:], []).append(batch)
    return pooled([np.diff(np.concatenate(group), axis=0) for group in alike.values()])


def _rms(numbers: Array) -> float:
    return float(np.sqrt(np.mean(np.square(numbers)))) if numbers.size else 0.0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
