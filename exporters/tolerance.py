"""When an exported file counts as equal to its model: the rule, its constants and its numbers.

The truth is R64, the module in float64. An exported file may be as far from it as torch's own float32 is, times a small
factor, plus a floor of a few units of the last place: torch is sometimes exact by luck. A fixed tolerance would refuse
honest files of deep models and pass faults of small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from exporters.golden import Array
from zoo.strict import Strict

EPS = 2.0**-23  # one unit of the last place of float32 at 1.0
RMS_FACTOR, RMS_FLOOR = 4.0, 1.0  # rms error of the file <= 4 x torch's own + 1 eps rms(R64)
MAX_FACTOR, MAX_FLOOR = 8.0, 2.0  # largest error of the file <= 8 x torch's own + 2 eps S, S = max|R64|
LARGEST_OWN_ERROR = 1e-3  # of S; above it float32 itself does not know the answer
SMALLEST_REACTION = 2e-2  # rms(f(x1) - f(x2)) over rms(f); below it any file would pass

Verdict = Literal["equal", "different", "inconclusive"]


class Comparison(Strict):
    """One output of a file held against R64 over all batches."""

    output: str
    """Name of the output."""
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
    def file_max_in_ulps(self) -> float:
        """Return the file's largest error in units of eps · S."""
        return self.file_max / (EPS * self.scale) if self.scale else 0.0


def compare(output: str, truth: Sequence[Array], own: Sequence[Array], found: Sequence[Array]) -> Comparison:
    """Return how a file's output compares with the truth, pooled over batches.

    Args:
        output: its name.
        truth: R64 of each batch, float64.
        own: torch's float32 of each batch.
        found: the file's answer to each batch.
    """
    shapes = [(a.shape, b.shape) for a, b in zip(truth, found, strict=True) if a.shape != b.shape]
    if shapes:
        reason = f"the file gives {shapes[0][1]} where the model gives {shapes[0][0]}"
        return _verdict(output, "different", reason, {"rows": sum(map(len, truth))})
    r64 = _pooled(truth)
    rows = sum(map(len, truth))
    if not (np.isfinite(r64).all() and np.isfinite(_pooled(own)).all()):
        return _verdict(output, "inconclusive", "the model's own output is not finite", {"rows": rows})
    if not np.isfinite(_pooled(found)).all():
        return _verdict(output, "different", "the file's output is not finite", {"rows": rows})
    torch_error = _pooled(own) - r64
    file_error = _pooled(found) - r64
    scale = float(np.abs(r64).max(initial=0.0))
    numbers = {
        "rows": rows,
        "scale": scale,
        "reaction": _ratio(_rms(_differences(truth)), _rms(r64)),
        "torch_rms": _rms(torch_error),
        "torch_max": float(np.abs(torch_error).max()),
        "file_rms": _rms(file_error),
        "file_max": float(np.abs(file_error).max()),
    }
    numbers["rms_limit"] = RMS_FACTOR * numbers["torch_rms"] + RMS_FLOOR * EPS * _rms(r64)
    numbers["max_limit"] = MAX_FACTOR * numbers["torch_max"] + MAX_FLOOR * EPS * scale
    if numbers["torch_max"] > LARGEST_OWN_ERROR * scale:
        reason = f"torch's float32 is off by {numbers['torch_max']:.3g} of {scale:.3g}"
        return _verdict(output, "inconclusive", reason, numbers)
    if numbers["reaction"] < SMALLEST_REACTION:
        reason = f"the output hardly reacts to the input ({numbers['reaction']:.2g}); any file would pass"
        return _verdict(output, "inconclusive", reason, numbers)
    for kind in ("rms", "max"):
        if numbers[f"file_{kind}"] > numbers[f"{kind}_limit"]:
            error, limit = numbers[f"file_{kind}"], numbers[f"{kind}_limit"]
            reason = f"its {kind} error from float64 is {error:.3g}, above {limit:.3g}"
            return _verdict(output, "different", reason, numbers)
    return _verdict(output, "equal", "", numbers)


def _verdict(output: str, verdict: Verdict, reason: str, numbers: dict[str, float]) -> Comparison:
    names = ("scale", "reaction", "torch_rms", "torch_max", "file_rms", "file_max", "rms_limit", "max_limit")
    finite = {name: float(numbers.get(name, 0.0)) for name in names}
    return Comparison(output=output, verdict=verdict, reason=reason, rows=int(numbers["rows"]), **finite)


def _pooled(batches: Sequence[Array]) -> Array:
    """Return the numbers of all batches, one behind the other."""
    return np.concatenate([batch.ravel() for batch in batches]).astype(np.float64)


def _differences(batches: Sequence[Array]) -> Array:
    """Return what the output moves by from row to row; rows of other sequence lengths are no neighbours."""
    alike: dict[tuple[int, ...], list[Array]] = {}
    for batch in batches:
        alike.setdefault(batch.shape[1:], []).append(batch)
    return _pooled([np.diff(np.concatenate(group), axis=0) for group in alike.values()])


def _rms(numbers: Array) -> float:
    return float(np.sqrt(np.mean(np.square(numbers)))) if numbers.size else 0.0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
