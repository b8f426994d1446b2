"""Reduced: what a file of lower precision loses beside float32, as the certificate keeps it, and what it may lose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from exporters.arrays import Array
from exporters.outputs import Told, gap
from zoo.strict import Strict

Precision = Literal["fp16", "int8"]

ERROR_FACTOR = 4.0  # times what rounding weights and every layer's answer costs torch itself
ERROR_FLOOR: dict[Precision, float] = {"fp16": 2.0**-10, "int8": 2.0**-6}  # of the outputs: two units of the last place
MOST: dict[Precision, float] = {"fp16": 2.0**-4, "int8": 2.0**-1}  # of the outputs, whatever rounding costs torch
RULE = (
    "every metric on held-out rows at most export.min_accuracy_drop worse than torch's float32, in points or, of an "
    "error, in percent; rms error <= 4 x torch's own, its weights and its layers' answers rounded likewise, + two "
    "units of the last place, and at most 1/16 of the outputs in fp16 and 1/2 in int8. Equal weights and the replay in "
    "float64 do not apply"
)


class Loss(Strict):
    """A metric of both sides."""

    name: str
    """Its name."""
    fp32: float
    """Of torch's answers in float32."""
    file: float
    """Of the file's answers."""
    better: Literal["min", "max"]
    """Whether less or more of it is better."""

    @property
    def drop(self) -> float:
        """Return by how much the file is worse: in points for a share, in percent of itself for an error."""
        if self.better == "max":
            return 100 * (self.fp32 - self.file)
        if self.file <= self.fp32:
            return 0.0
        return 100 * (self.file - self.fp32) / self.fp32 if self.fp32 else math.inf

    def __str__(self) -> str:
        unit = "points" if self.better == "max" else "percent"
        return f"{self.name} is {self.fp32:.6g} in float32 and {self.file:.6g} here, {self.drop:.3g} {unit} worse"


class ReducedProof(Strict):
    """A file of lower precision, judged by what it loses."""

    precision: Precision
    """Of its weights and of what it computes."""
    file: str
    """Its name in the bundle."""
    rule: str = RULE
    """What had to hold."""
    rows: int
    """Held-out rows."""
    calibration_rows: int
    """Training rows that set the ranges of int8; 0 for fp16."""
    floor: float
    """export.min_accuracy_drop: what a metric may lose."""
    losses: tuple[Loss, ...]
    """Each metric of both sides."""
    flips: int
    """Held-out rows of which a class is another than in float32."""
    error: float
    """rms difference of its outputs from torch's float32, over their rms; the worse of optimised and unoptimised, and
    of all held-out rows and those in the bundle."""
    allowed: float
    """What that may be."""
    share: float
    """Its bytes over those of the float32 file; above 1 nothing is gained by it, as for small models in int8."""

    @property
    def larger(self) -> str:
        """Return that the file is larger than that of float32; nothing where it is not."""
        return f"{self.file} has {self.share:.2f} times the bytes of model.onnx" if self.share > 1 else ""

    @property
    def fault(self) -> str:
        """Return what is wrong; nothing where all is well."""
        if not 0 <= self.allowed <= MOST[self.precision]:
            most = MOST[self.precision]
            return f"it may be off by {self.allowed:.3g} of its outputs, and {most:g} is the most in {self.precision}"
        if not self.error <= self.allowed:
            return f"its rms error is {self.error:.3g} of its outputs, above {self.allowed:.3g}"
        for loss in self.losses:
            if not loss.drop <= self.floor:
                return f"{loss}; export.min_accuracy_drop allows {self.floor:g}"
        return ""


def lost(own: Sequence[Array], found: Sequence[Array]) -> float:
    """Return the rms difference of a file's answers from torch's float32, batch by batch, over the rms of these.

    It is infinite for other shapes, and where one is no number.
    """
    if [batch.shape for batch in own] != [batch.shape for batch in found]:
        return math.inf
    mine, its = (np.concatenate([batch.ravel().astype(np.float64) for batch in side]) for side in (own, found))
    size = float(np.sqrt(np.mean(np.square(mine))))
    if not size or not np.isfinite(its).all():
        return math.inf
    return float(np.sqrt(np.mean(np.square(its - mine)))) / size


def unfounded(precision: Precision, outputs: Sequence[Told], found: Sequence[Sequence[Array]]) -> str:
    """Return which output of a file does not follow from its first; nothing where each one does, or there is one.

    Args:
        precision: of the file.
        outputs: what it gives.
        found: its answers, batch by batch.
    """
    axis = next((output.chosen for output in outputs if output.chosen is not None), None)
    for scores, *others in found if axis is not None else ():
        numbers = scores.astype(np.float64)
        near = ERROR_FLOOR[precision] * max(1.0, float(np.abs(numbers).max(initial=0.0)))
        powers = np.exp(numbers - numbers.max(axis, keepdims=True))
        shares = powers / powers.sum(axis, keepdims=True)
        for output, answer in zip(outputs[1:], others, strict=True):
            if output.chosen is not None:
                away = gap(numbers, answer, output.chosen)
            else:
                away = float(np.abs(answer - shares).max(initial=0.0)) if answer.shape == shares.shape else math.inf
            if not away <= near:
                return output.name
    return ""
