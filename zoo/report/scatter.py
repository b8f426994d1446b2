"""Scatter: predicted numbers over true ones, as SVG; on the diagonal where they are right."""

from __future__ import annotations

from math import sqrt

from zoo.report.axes import axis_of
from zoo.report.curves import tick
from zoo.report.evaluation import Scatter
from zoo.report.markup import number, safe

SIDE = 380  # units of the drawing
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 40


def scatter_drawing(found: Scatter) -> str:
    """Return a figure of predicted over true; empty where there are no numbers."""
    if not found.true:
        return ""
    both = (*found.true, *found.predicted)
    across, up = axis_of(both, LEFT, SIDE - RIGHT), axis_of(both, SIDE - BOTTOM, TOP)
    parts = []
    for value in across.ticks():
        x, y = across.place(value), up.place(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{SIDE - RIGHT}M{x:.1f} {SIDE - BOTTOM}V{TOP}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick(value)}</text>')
        parts.append(f'<text x="{x:.1f}" y="{SIDE - BOTTOM + 15}" text-anchor="middle">{tick(value)}</text>')
    parts.append(f'<path class="kept" d="M{LEFT} {SIDE - BOTTOM}L{SIDE - RIGHT} {TOP}"/>')
    for true, predicted in zip(found.true, found.predicted, strict=True):
        parts.append(f'<circle class="dot" cx="{across.place(true):.1f}" cy="{up.place(predicted):.1f}" r="2.5"/>')
    parts.append(f'<text x="{SIDE - RIGHT}" y="{SIDE - 4}" text-anchor="end">true</text>')
    parts.append(f'<text x="{LEFT + 6}" y="{TOP + 12}">predicted</text>')
    shown = len(found.true)
    count = f"{found.numbers:,} numbers" if shown == found.numbers else f"{shown:,} of {found.numbers:,} numbers"
    error = sqrt(sum((p - t) ** 2 for t, p in zip(found.true, found.predicted, strict=True)) / shown)
    told = f"{count} of the test split; root mean square error of those shown {number(error)}"
    return (
        f'<figure class="square"><figcaption><b>predicted over true</b><span class="faint">{safe(told)}</span>'
        f'</figcaption><svg class="chart" viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="predicted over true">'
        f"<title>predicted over true</title><desc>{safe(told)}</desc>{''.join(parts)}</svg></figure>"
    )
