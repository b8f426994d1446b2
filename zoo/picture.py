"""Picture: the outline of a model as SVG, drawn without any other program.

Boxes stand one below the other; the ways of a composite part and meet inside its frame; what an id connects runs along
the right side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from zoo.checked import CheckedSpec
from zoo.errors import UsageError
from zoo.files import write_text
from zoo.outline import Item, Outline, outline
from zoo.placed import THE_INPUT

GAP = 18.0  # pixels between two boxes: an arrow
PAD = 14.0  # between a frame and what it holds
HEAD = 22.0  # the title of a frame
LANE = 13.0  # between two connections at the side
SKIP = 34.0  # beside a column: room for the curve of a skip
MARGIN = 24.0
LINE = "#64748b"

_COLOURS = {
    "convolution": "#dbeafe",
    "linear": "#dbeafe",
    "attention": "#e0e7ff",
    "transformer": "#e0e7ff",
    "recurrent": "#e0e7ff",
    "embedding": "#cffafe",
    "position": "#cffafe",
    "normalization": "#dcfce7",
    "activation": "#ffedd5",
    "rectifier": "#ffedd5",
    "distribution": "#ffedd5",
    "dropout": "#fce7f3",
    "pooling": "#fef9c3",
    "composite": "#ede9fe",
}
_OTHER = "#f1f5f9"

_STYLE = """
text { font-family: "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #0f172a; }
.title { font-size: 12px; font-weight: 600; }
.name, .options { font-size: 10px; font-weight: 400; fill: #64748b; }
.shape { font-size: 10.5px; fill: #334155; text-anchor: end; }
.head { font-size: 11px; font-weight: 600; fill: #475569; }
.times { font-size: 13px; font-weight: 700; fill: #7c3aed; text-anchor: end; }
.sign { font-size: 14px; text-anchor: middle; }
.word { font-size: 9px; text-anchor: middle; }
.caption { font-size: 15px; font-weight: 700; }
.box { stroke: #94a3b8; stroke-width: 1; }
.frame { fill: #f8fafc; stroke: #cbd5e1; stroke-width: 1; }
.arrow { fill: none; stroke: #64748b; stroke-width: 1.2; }
.link { fill: none; stroke: #7c3aed; stroke-width: 1.2; }
"""


def draw(checked: CheckedSpec, path: Path) -> None:
    """Write the picture of a spec's model.

    Raises:
        UsageError: the file is not to be an SVG.
        OutputError: it cannot be written.
    """
    if path.suffix.lower() != ".svg":
        raise UsageError(f"{path} is no .svg file, and the graph is drawn as SVG", f"write {path.with_suffix('.svg')}")
    write_text(path, picture(outline(checked), checked.spec.name))


def picture(layout: Outline, caption: str) -> str:
    """Return the SVG text of an outline, with a caption above it."""
    width = _box_width(layout)
    page = _Page(width)
    size = _chain_size(layout.items, width)
    centre = max(size[0], width) / 2
    top = page.box(Item("input", "", layout.input, steps=frozenset({THE_INPUT})), centre, 0)
    bottom = page.chain(layout.items, centre, top)
    right = page.links(layout.links, max(size[0], width))
    high, wide = bottom + 2 * MARGIN + 30, max(right, 7.6 * len(caption)) + 2 * MARGIN
    body = "\n".join(page.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high:.0f}" '
        f'width="{wide:.0f}" height="{high:.0f}">\n'
        f"<title>{escape(caption)}</title>\n<style>{_STYLE}</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0.5 L8,4 L0,7.5 z" fill="{LINE}"/></marker>'
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0.5 L8,4 L0,7.5 z" fill="#7c3aed"/></marker></defs>\n'
        '<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text class="caption" x="{MARGIN:.0f}" y="{MARGIN + 8:.0f}">{escape(caption)}</text>\n'
        f'<g transform="translate({MARGIN:.0f},{MARGIN + 26:.0f})">\n{body}\n</g>\n</svg>\n'
    )


def _every(items: tuple[Item, ...]) -> list[Item]:
    return [part for item in items for part in (item, *(p for column in item.columns for p in _every(column)))]


def _box_width(layout: Outline) -> float:
    """Return the width at which the texts of nearly all boxes fit; longer ones are cut."""
    wanted = [
        max(7.4 * len(item.title) + 5.6 * len(item.name) + 6 * len(item.shape) + 44, 5.3 * len(item.options) + 24)
        for item in _every(layout.items)
        if not item.columns
    ]
    return min(360.0, max([190.0, 6 * len(layout.input) + 80, *wanted]))


def _height(item: Item) -> float:
    return 44.0 if item.options else 30.0


def _size(item: Item, width: float) -> tuple[float, float]:
    """Return width and height of an item."""
    if not item.columns:
        return width + (34 if item.times > 1 else 0), _height(item)
    sizes = [_chain_size(column, width) for column in item.columns]
    inner = sum(size[0] for size in sizes) + GAP * (len(sizes) - 1)
    if len(item.columns) == 2 and () in item.columns:
        inner = max(size[0] for size in sizes) + 2 * SKIP
    tall = max(size[1] for size in sizes)
    forks = 2 * GAP if item.join else 0.0
    return inner + 2 * PAD, HEAD + tall + PAD + GAP / 2 + forks + (22 if item.join else 0)


def _chain_size(items: tuple[Item, ...], width: float) -> tuple[float, float]:
    sizes = [_size(item, width) for item in items]
    if not sizes:
        return SKIP, 0.0
    return max(size[0] for size in sizes), sum(size[1] for size in sizes) + GAP * (len(sizes) - 1)


@dataclass
class _Page:
    """SVG elements, and where the steps stand."""

    width: float
    parts: list[str] = field(default_factory=list)
    places: dict[int, tuple[float, float]] = field(default_factory=dict)
    """The middle of the right edge of the item that gives a step's output."""

    def text(self, kind: str, x: float, y: float, text: str, room: float = 1e9) -> None:
        """Write one line, cut where it has no room."""
        most = int(room)
        cut = text if len(text) <= most else text[: max(1, most - 1)] + "…"
        self.parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(cut)}</text>')

    def title(self, x: float, y: float, item: Item, room: float, kind: str = "title") -> None:
        """Write what an item is, and its name where there is room for it."""
        name = item.name if len(item.name) <= room else ""
        said = f'<tspan class="name" dx="6">{escape(name)}</tspan>' if name else ""
        self.parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(item.title)}{said}</text>')

    def arrow(self, path: str, kind: str = "arrow", head: str = "head") -> None:
        """Draw a line with a head."""
        self.parts.append(f'<path class="{kind}" d="{path}" marker-end="url(#{head})"/>')

    def chain(self, items: tuple[Item, ...], x: float, y: float, first: bool = True) -> float:
        """Draw items one below the other, from an arrow at `y` on; return where the last one ends."""
        for index, item in enumerate(items):
            if index or first:
                if not item.detached:
                    self.arrow(f"M{x:.1f},{y:.1f} V{y + GAP:.1f}")
                y += GAP
            y = self.item(item, x, y)
        return y

    def item(self, item: Item, x: float, y: float) -> float:
        """Draw an item around `x`; return where it ends."""
        return self.frame(item, x, y) if item.columns else self.box(item, x, y)

    def box(self, item: Item, x: float, y: float) -> float:
        """Draw a box."""
        left, high = x - self.width / 2, _height(item)
        colour = _COLOURS.get(item.family, _OTHER)
        if item.times > 1:
            self.parts.append(
                f'<rect class="box" x="{left + 4:.1f}" y="{y + 4:.1f}" width="{self.width:.1f}" height="{high:.1f}" '
                f'rx="5" fill="{colour}"/>'
            )
            self.text("times", left + self.width + 36, y + high / 2 + 5, f"× {item.times}")
        self.parts.append(
            f'<rect class="box" x="{left:.1f}" y="{y:.1f}" width="{self.width:.1f}" height="{high:.1f}" rx="5" '
            f'fill="{colour}"/>'
        )
        room = int((self.width - 34) / 6.4) - len(item.title)
        self.title(left + 10, y + 19, item, room - len(item.shape))
        self.text("shape", left + self.width - 10, y + 19, item.shape, room)
        if item.options:
            self.text("options", left + 10, y + 35, item.options, (self.width - 20) / 5)
        self.place(item, left + self.width, y + high / 2)
        return y + high

    def place(self, item: Item, x: float, y: float) -> None:
        """Remember where the item's steps stand; what is drawn inside keeps its own place."""
        for step in item.steps:
            self.places.setdefault(step, (x, y))

    def frame(self, item: Item, x: float, y: float) -> float:
        """Draw a frame with its columns."""
        wide, high = _size(item, self.width)
        left = x - wide / 2
        self.parts.append(
            f'<rect class="frame" x="{left:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="8"/>'
        )
        self.title(left + PAD, y + 15, item, 40, "head")
        if item.times > 1:
            self.text("times", left + wide - PAD, y + 16, f"× {item.times}")
        if item.join:
            self.ways(item, (x, y, wide, high))
        else:
            self.parts.append(f'<path class="arrow" d="M{x:.1f},{y:.1f} V{y + HEAD:.1f}"/>')
            end = self.chain(item.columns[0], x, y + HEAD, first=False)
            self.parts.append(f'<path class="arrow" d="M{x:.1f},{end:.1f} V{y + high:.1f}"/>')
        self.place(item, left + wide, y + high - PAD)
        return y + high

    def ways(self, item: Item, frame: tuple[float, float, float, float]) -> None:
        """Draw columns that part at the top of a frame and meet at its bottom."""
        x, y, wide, high = frame
        fork, meet = y + HEAD - 4, y + high - 11 - GAP / 2
        self.parts.append(f'<path class="arrow" d="M{x:.1f},{y:.1f} V{fork:.1f}"/>')
        sizes = [_chain_size(column, self.width) for column in item.columns]
        middle = len(item.columns) == 2 and () in item.columns
        at = x - wide / 2 + PAD
        for column, size in zip(item.columns, sizes, strict=True):
            centre = x if middle and column else at + size[0] / 2
            at += size[0] + GAP
            if middle and not column:
                side = x + max(size[0] for size in sizes) / 2 + SKIP * 0.6
                self.curve((x, fork), side, (x + 11, meet))
                continue
            start = y + HEAD + GAP
            self.arrow(_bend(x, fork, centre, start))
            end = self.chain(column, centre, start, first=False) if column else start
            self.parts.append(f'<path class="arrow" d="M{centre:.1f},{end:.1f} V{meet - 11 - GAP:.1f}"/>')
            self.arrow(_bend(centre, meet - 11 - GAP, x, meet - 11))
        self.parts.append(f'<circle class="box" cx="{x:.1f}" cy="{meet:.1f}" r="11" fill="#ffffff"/>')
        self.text("sign" if len(item.join) == 1 else "word", x, meet + (5 if len(item.join) == 1 else 3), item.join)
        self.text("shape", x - 16, meet + 16, item.shape)
        self.parts.append(f'<path class="arrow" d="M{x:.1f},{meet + 11:.1f} V{y + high:.1f}"/>')
        self.places[item.result] = (x + 11, meet)

    def curve(self, start: tuple[float, float], side: float, end: tuple[float, float]) -> None:
        """Draw a skip: out to the side, down, and back."""
        self.arrow(_around(start, side, end))

    def links(self, links: tuple[tuple[int, int], ...], right: float) -> float:
        """Draw the connections by id along the right side; return how far they reach."""
        spans: dict[tuple[tuple[float, float], tuple[float, float]], None] = {}
        for source, target in links:
            if source in self.places and target in self.places and self.places[source] != self.places[target]:
                spans[self.places[source], self.places[target]] = None
        lanes: list[list[tuple[float, float]]] = []
        reach = right
        for start, end in sorted(spans, key=lambda span: abs(span[1][1] - span[0][1])):
            low, high = sorted((start[1], end[1]))
            lane = next((n for n, taken in enumerate(lanes) if all(high < a or b < low for a, b in taken)), len(lanes))
            lanes += [[]] * (lane == len(lanes))
            lanes[lane] = [*lanes[lane], (low, high)]
            side = right + LANE * (lane + 1)
            reach = max(reach, side)
            self.arrow(_around((start[0], start[1] + 3), side, (end[0], end[1] - 3)), "link", "tip")
        return reach


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (y + to_y) / 2
    return f"M{x:.1f},{y:.1f} C{x:.1f},{half:.1f} {to_x:.1f},{half:.1f} {to_x:.1f},{to_y:.1f}"


def _around(start: tuple[float, float], side: float, end: tuple[float, float]) -> str:
    """Return a path that goes right to `side`, down, and back left, with round corners."""
    (x, y), (to_x, to_y) = start, end
    turn = min(10.0, abs(to_y - y) / 2)
    down = turn if to_y > y else -turn
    return (
        f"M{x:.1f},{y:.1f} H{side - turn:.1f} Q{side:.1f},{y:.1f} {side:.1f},{y + down:.1f} "
        f"V{to_y - down:.1f} Q{side:.1f},{to_y:.1f} {side - turn:.1f},{to_y:.1f} H{to_x:.1f}"
    )
