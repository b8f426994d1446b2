"""Markup: HTML made of texts that are escaped where they enter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from zoo.visible import visible

_INVISIBLE = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), "\N{REPLACEMENT CHARACTER}")
"""Control characters, which HTML does not allow."""


def safe(text: object) -> str:
    """Return a text that HTML shows as it is, inside elements and inside quoted attributes."""
    return escape(str(text).translate(_INVISIBLE))


def number(value: float) -> str:
    """Return a number as a person reads it: whole ones in full, others with five digits, and a true minus."""
    text = f"{value:,}" if isinstance(value, int) else f"{value:.5g}"
    return typeset(text)


def typeset(text: str) -> str:
    """Return the text of a number with a true minus."""
    return text.replace("-", "\N{MINUS SIGN}")


def words(name: str) -> str:
    """Return the name of a measurement as a person reads it."""
    return name.replace("_", " ")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a table of texts; the first cell of a row heads it, and cells that are numbers stand at the right.

    No header row where all its texts are empty.
    """
    lines = list(rows)
    numeric = [all(_is_number(row[i]) for row in lines) for i in range(len(header))]
    parts = ['<div class="wide"><table>', f"<caption>{safe(caption)}</caption>" if caption else ""]
    if any(header):
        parts += ["<thead><tr>", *(_cell(text, "th", i, numeric) for i, text in enumerate(header)), "</tr></thead>"]
    parts.append("<tbody>")
    for row in lines:
        cells = (_cell(text, "td" if i else "th", i, numeric) for i, text in enumerate(row))
        parts.append(f"<tr>{''.join(cells)}</tr>")
    return "".join([*parts, "</tbody></table></div>"])


def _cell(text: str, element: str, column: int, numeric: Sequence[bool]) -> str:
    scope = ' scope="row"' if element == "th" and column == 0 else ""
    kind = ' class="number"' if column and numeric[column] else ""
    return f"<{element}{scope}{kind}>{safe(visible(text))}</{element}>"


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "").replace("\N{MINUS SIGN}", "-").removesuffix("%"))
    except ValueError:
        return text in ("", "–")
    return True


def section(title: str, *parts: str) -> str:
    """Return a section of the page; nothing where it has no content."""
    body = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{safe(title)}</h2>\n{body}\n</section>" if body else ""


def folded(title: str, body: str, is_open: bool = False) -> str:
    """Return what a reader may unfold."""
    return f"<details{' open' if is_open else ''}><summary>{safe(title)}</summary>\n{body}\n</details>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph."""
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{safe(text)}</p>"
