"""Curves: lines over epochs or steps, as SVG. Long ones are thinned; their peaks and dips stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.report.axes import Axis, axis_of, span
from zoo.report.markup import number, safe, typeset

WIDTH, HEIGHT = 480, 220  # units of the drawing; the page scales it
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 10, 34  # room for the numbers beside it
MOST_POINTS = 400  # of a line: more than one for two pixels is not seen
MARKED = 40  # points up to which each has a dot of its own

_KEPT_KEY = '<span class="key"><span class="kept-key" aria-hidden="true"></span>weights kept</span>'

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """One line of a drawing."""

    label: str
    style: str
    """The class that gives it colour and dashes."""
    points: Points
    """Ascending in x; finite."""


def thinned(points: Points, most: int = MOST_POINTS) -> Points:
    """Return at most so many points: of each stretch the first, the lowest, the highest, and the last of all."""
    if len(points) <= most:
        return points
    size = -(-len(points) // (most // 3))
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        ends = (stretch[0], min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1]))
        kept += sorted(set(ends))
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def drawing(title: str, unit: str, lines: Sequence[Line], may_bend: bool, mark: float | None = None) -> str:
    """Return a figure with its legend.

    Args:
        title: what is measured.
        unit: what x counts: "epoch" or "step".
        lines: at least one, with points.
        may_bend: whether the scale may be logarithmic.
        mark: the x of the weights that were kept, where they are not the last.
    """
    xs = [x for line in lines for x, _ in line.points]
    across = span(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    up = axis_of((y for line in lines for _, y in line.points), HEIGHT - BOTTOM, TOP, may_bend)
    body = [_grid(across, up, unit), *(_line(line, across, up, unit) for line in lines)]
    if mark is not None:
        body.insert(1, _mark(across.place(mark)))
    told = "; ".join(f"{line.label} ends at {number(line.points[-1][1])}" for line in lines)
    scale = ", logarithmic scale" if up.logarithmic else ""
    keys = lines if len(lines) > 1 or lines[0].label != title else ()
    legend = "".join(
        f'<span class="key"><svg class="swatch" viewBox="0 0 26 8" aria-hidden="true">'
        f'<path class="{line.style}" d="M1 4H25"/></svg>{safe(line.label)}</span>'
        for line in keys
    )
    kept = _KEPT_KEY if mark is not None else ""
    return (
        f'<figure><figcaption><b>{safe(title)}</b><span class="faint">{scale[2:]}</span>{legend}{kept}</figcaption>'
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{safe(title)} by {unit}">'
        f"<title>{safe(title)} by {unit}{scale}</title><desc>{safe(told)}</desc>{''.join(body)}</svg></figure>"
    )


def _grid(across: Axis, up: Axis, unit: str) -> str:
    base = HEIGHT - BOTTOM
    parts = []
    for value in up.ticks():
        y = up.place(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick(value)}</text>')
    for value in across.ticks():
        x = across.place(value)
        if value == int(value):
            parts.append(f'<path class="grid" d="M{x:.1f} {base}v4"/>')
            parts.append(f'<text x="{x:.1f}" y="{base + 17}" text-anchor="middle">{tick(value)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {base}H{WIDTH - RIGHT}"/>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">{unit}</text>')
    return "".join(parts)


def tick(value: float) -> str:
    """Return the number of a tick."""
    text = f"{value:,.0f}" if 10_000 <= abs(value) < 1e7 else f"{value:.4g}"
    return typeset(text.replace("e-0", "e-").replace("e+0", "e"))


def _line(line: Line, across: Axis, up: Axis, unit: str) -> str:
    points = thinned(line.points)
    places = [(across.place(x), up.place(y)) for x, y in points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    drawn = f'<path class="{line.style}" d="M{path}"/>' if len(points) > 1 else ""
    if len(points) > MARKED:
        return drawn
    dots = (
        f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5">'
        f"<title>{safe(line.label)}, {unit} {at[0]:g}: {number(at[1])}</title></circle>"
        for (x, y), at in zip(places, points, strict=True)
    )
    return drawn + "".join(dots)


def _mark(x: float) -> str:
    return f'<path class="kept" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"><title>the weights that were kept</title></path>'
