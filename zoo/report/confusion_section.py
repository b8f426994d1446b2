"""The part of a page on a classifier: its confusion matrix, its mistakes, and how well each class is told."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.report.confusion import ClassScore, Confusion
from zoo.report.evaluation import Mistake
from zoo.report.markup import folded, paragraph, safe, section, table
from zoo.visible import visible

MOST_DRAWN = 30  # classes of a matrix; above, the most frequent confusions are listed
MOST_PAIRS = 30
MOST_SCORES = 100  # classes with a line of their own


def confusion_section(found: Confusion) -> str:
    """Return the matrix, or the most confused pairs of many classes, and the scores of the classes."""
    share = f"{found.right:,} of {found.total:,} are right ({found.right / max(1, found.total):.2%})."
    size = len(found.classes)
    body = _matrix(found) if size <= MOST_DRAWN else _pairs(found)
    return section("Confusion on the test split", paragraph(share), body, scores_table(found.scores()))


def _matrix(found: Confusion) -> str:
    heads = "".join(f'<th scope="col">{safe(visible(name))}</th>' for name in found.classes)
    lines = []
    for true, row in enumerate(found.counts):
        there = max(1, sum(row))
        cells = "".join(_cell(count, count / there, true == number) for number, count in enumerate(row))
        lines.append(f'<tr><th scope="row">{safe(visible(found.classes[true]))}</th>{cells}</tr>')
    return (
        '<p class="faint">Rows are true classes, columns predicted ones. The deeper the shade, the larger the share of '
        'its row: blue where right, red where wrong.</p><div class="wide"><table class="matrix" aria-label="confusion">'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(count: int, share: float, right: bool) -> str:
    if not count:
        return '<td class="none">0</td>'
    shade = 0.06 + 0.5 * share  # text stays readable on the deepest
    colour = "--cell" if right else "--wrong"
    style = f"background: rgba(var({colour}), {shade:.2f})"
    return f'<td style="{style}" title="{share:.1%} of the row">{count:,}</td>'


def _pairs(found: Confusion) -> str:
    pairs = found.pairs(MOST_PAIRS)
    if not pairs:
        return ""
    rows = [(pair.true, pair.predicted, f"{pair.targets:,}", f"{pair.share:.1%}") for pair in pairs]
    caption = f"The most frequent confusions of {len(found.classes):,} classes."
    return table(("true", "predicted", "targets", "of the true class"), rows, caption)


def scores_table(scores: Sequence[ClassScore]) -> str:
    """Return precision, recall and F1 of each class; of many classes, those that are told worst."""
    shown = list(scores)
    caption = ""
    if len(shown) > MOST_SCORES:
        shown = sorted(shown, key=lambda score: score.f1)[:MOST_SCORES]
        caption = f"The {MOST_SCORES} classes of {len(scores):,} with the lowest F1."
    rows = [(s.name, f"{s.rows:,}", f"{s.precision:.4f}", f"{s.recall:.4f}", f"{s.f1:.4f}") for s in shown]
    body = table(("class", "targets", "precision", "recall", "F1"), rows, caption)
    return folded("Precision, recall and F1 of each class", body, len(shown) <= MOST_DRAWN) if rows else ""


def mistakes_section(mistakes: Sequence[Mistake]) -> str:
    """Return the images that are most surely called something else than they are."""
    if not mistakes:
        return ""
    items = "".join(map(_mistake, mistakes))
    lead = "Images of the test split that are called something else than they are, the surest first."
    return section("Mistakes", paragraph(lead), f'<ul class="mistakes">{items}</ul>')


def _mistake(found: Mistake) -> str:
    told = f"{found.true}, called {found.predicted}"
    where = f"row {found.row}" if found.file is None else safe(visible(found.file))
    return (
        f'<li><img src="{found.image}" alt="{safe(told)}"><b>{safe(found.predicted)}</b> {found.probability:.1%}<br>'
        f'<span class="faint">true: {safe(found.true)}<br>{where}</span></li>'
    )
