"""Decided: what a person would conclude from a file's answers beside the module's, as the certificate keeps it."""

from __future__ import annotations

from zoo.strict import Strict

WORST = 1e-4  # by how much, of its own size, a metric may differ that no flip explains


class Flip(Strict):
    """A place whose class the file changes."""

    row: int
    """Its place in the held-out rows, counted from 0."""
    torch: int
    """The class by torch."""
    file: int
    """The class by the file."""
    gap: float
    """By how much the first leads before the second in float64."""


class Score(Strict):
    """A metric of both sides."""

    name: str
    """Its name."""
    torch: float
    """Of torch's answers."""
    file: float
    """Of the file's answers."""


class Decisions(Strict):
    """The file's and torch's answers to held-out rows, as a person reads them."""

    rows: int
    """How many held-out rows: the first ones, or of a model whose rows cost much those of the published batch of 3."""
    allowed: float
    """The largest gap that counts as a tie: twice the largest error that the file may have."""
    flips: tuple[Flip, ...]
    """Every place whose class differs."""
    scores: tuple[Score, ...]
    """The spec's metrics."""

    @property
    def fault(self) -> str:
        """Return what is wrong; nothing where all is well."""
        wide = [flip for flip in self.flips if flip.gap > self.allowed]
        if wide:
            flip = wide[0]
            return (
                f"row {flip.row} is class {flip.torch} by torch and {flip.file} by the file, "
                f"though {flip.gap:.3g} lies between them; a tie is {self.allowed:.3g}"
            )
        for score in () if self.flips else self.scores:
            # A model that is almost right has errors of the size of its last bits, and metrics of them.
            if abs(score.torch - score.file) > WORST * max(abs(score.torch), abs(score.file)) + self.allowed:
                return f"{score.name} is {score.torch:.6g} by torch and {score.file:.6g} by the file"
        return ""
