"""The page a run leaves behind: its curves, its numbers and its spec, in one file without scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from string import Template

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$name</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { margin-bottom: 0; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: .2rem 1rem .2rem 0; text-align: left; border-bottom: 1px solid #ddd; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; }
figcaption span { margin-right: 1.5rem; }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; font-size: 13px; }
svg { width: 100%; height: auto; background: #fafafa; border: 1px solid #ddd; }
svg text { font-size: 11px; fill: #555; }
</style>
</head>
<body>
<h1>$name</h1>
<p>$summary</p>
<h2>Metrics</h2>
$metrics
$curves
<h2>Environment</h2>
$environment
<h2>Spec</h2>
<pre>$spec</pre>
</body>
</html>
""")
_COLOURS = ("#1f6feb", "#d1480f", "#1a7f37")
_WIDTH, _HEIGHT, _MARGIN = 640, 240, 56  # pixels of the drawing


def render(
    document: Mapping[str, object], environment: Mapping[str, object], rows: Sequence[Mapping[str, float]]
) -> str:
    """Return the page as HTML: the last row as a table, each group of measurements as curves over the epochs."""
    last = rows[-1] if rows else {}
    return _PAGE.substitute(
        name=escape(str(document["name"])),
        summary=escape(str(document.get("summary", ""))),
        metrics=_table({key.replace("_", " "): f"{value:.6g}" for key, value in last.items()}),
        curves="\n".join(_figures(rows)) if len(rows) > 1 else "",
        environment=_table({key.replace("_", " "): str(value) for key, value in environment.items()}),
        spec=escape(json.dumps(document, indent=2, ensure_ascii=False)),
    )


def _table(cells: Mapping[str, str]) -> str:
    lines = (f'<tr><th>{escape(key)}</th><td class="number">{escape(value)}</td></tr>' for key, value in cells.items())
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _figures(rows: Sequence[Mapping[str, float]]) -> list[str]:
    names = [name for name in rows[-1] if name not in ("epoch", "lr", "seconds")]
    losses = [name for name in names if name.endswith("loss")]
    return [_figure(group, rows) for group in (losses, *([name] for name in names if name not in losses)) if group]


def _figure(names: Sequence[str], rows: Sequence[Mapping[str, float]]) -> str:
    values = [row[name] for row in rows for name in names]
    low, high = min(values), max(values)
    first, last = rows[0]["epoch"], rows[-1]["epoch"]

    def point(row: Mapping[str, float], name: str) -> str:
        x = _MARGIN + (row["epoch"] - first) / max(last - first, 1) * (_WIDTH - 2 * _MARGIN)
        y = _HEIGHT - 24 - (row[name] - low) / ((high - low) or 1) * (_HEIGHT - 48)
        return f"{x:.1f},{y:.1f}"

    lines, legend = [], []
    for name, colour in zip(names, _COLOURS, strict=False):
        points = " ".join(point(row, name) for row in rows)
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        legend.append(f'<span style="color:{colour}">&#9632; {escape(name.replace("_", " "))}</span>')
    labels = (
        f'<text x="4" y="28">{high:.4g}</text><text x="4" y="{_HEIGHT - 20}">{low:.4g}</text>'
        f'<text x="{_MARGIN}" y="{_HEIGHT - 6}">epoch {first:g}</text>'
        f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 6}" text-anchor="end">{last:g}</text>'
    )
    drawing = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(lines)}{labels}</svg>'
    return f"<figure><figcaption>{''.join(legend)}</figcaption>{drawing}</figure>"
