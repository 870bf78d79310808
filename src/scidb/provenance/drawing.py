"""A lineage graph as SVG: self-contained, without scripts, and readable by those who cannot see it."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING, Final

from scidb.provenance.layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.provenance.graph import LineageGraph, Node
    from scidb.provenance.layout import Arrow, Box, Layout

__all__ = ["MOST_NODES", "svg"]

MOST_NODES: Final = 200
"""With more, a drawing says less than a sentence."""

_LETTER: Final = 7.25  # width of a letter of a monospaced font of 12 px
_SMALL: Final = 6.05  # of one of 10 px
_LONGEST: Final = 38  # letters of a label; the whole text is in its title
_STYLE: Final = {
    "record": ("#e8f1fb", "#3b6ea5", 4),
    "call": ("#fdf1e0", "#b9770e", 13),
    "file": ("#e9f6ec", "#3c8a52", 0),
    "constant": ("#ffffff", "#b5b5b5", 0),
}
_FLAGGED: Final = "#c0392b"


def svg(graph: LineageGraph) -> str:
    """Return the graph as an SVG element; data flow from left to right."""
    names = _names(graph)
    labels = {node.id: _cut(_label(node)) for node in graph.nodes}
    layout = lay_out(
        {node.id: _columns_of(labels[node.id]) * _LETTER + 16 for node in graph.nodes},
        [(link.source, link.target) for link in graph.links],
        {node_id: _columns_of(name) * _SMALL + 12 for node_id, name in names.items()},
    )
    return "".join(_elements(graph, layout, labels, names))


def _elements(graph: LineageGraph, layout: Layout, labels: dict[str, str], names: dict[str, str]) -> Iterator[str]:
    width, height = round(layout.width), round(layout.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12">'
        f"<title>{_escaped(repr(graph))}</title>"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    )
    for arrow in layout.arrows:
        yield _line(arrow)
    for node in graph.nodes:
        yield _box(node, layout.boxes[node.id], labels[node.id], is_root=node.id in graph.roots)
    for node_id, name in names.items():
        box = layout.boxes[node_id]
        yield (
            f'<text x="{box.x + box.width + 5:.1f}" y="{box.y + box.height / 2 - 4:.1f}" font-size="10" '
            f'fill="#555555">{_escaped(name)}</text>'
        )
    yield "</svg>"


def _names(graph: LineageGraph) -> dict[str, str]:
    """Return the parameters that received each node, to be written beside its lines."""
    found: dict[str, dict[str, None]] = {}
    for link in graph.links:
        if link.name:
            found.setdefault(link.source, {})[link.name] = None
    return {node_id: _cut(", ".join(names), 24) for node_id, names in found.items()}


def _label(node: Node) -> str:
    return f"{node.label} …" if node.cut else node.label


def _line(arrow: Arrow) -> str:
    (x, y), *rest = arrow.points
    path = f"M{x:.1f} {y:.1f}"
    for number, (to_x, to_y) in enumerate(rest):
        if number % 2 == 0:
            path += f"L{to_x:.1f} {to_y:.1f}"
        else:
            middle = (x + to_x) / 2
            path += f"C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    # The head is a triangle of its own: markers go by ids, which two drawings of one page would share.
    before = arrow.points[-3] if len(arrow.points) > 2 else arrow.points[0]
    back = -6 if before[0] < x else 6
    head = f"M{x:.1f} {y:.1f}l{back} -3.5v7z"
    return f'<path d="{path}" fill="none" stroke="#8a8a8a"/><path d="{head}" fill="#8a8a8a"/>'


def _box(node: Node, box: Box, label: str, *, is_root: bool) -> str:
    fill, stroke, radius = _STYLE[node.kind]
    flagged = "flags" in node.details
    told = [node.label, *(f"{name}: {value}" for name, value in node.details.items())]
    dashes = ' stroke-dasharray="3 3"' if node.kind == "constant" else ""
    return (
        f"<g><title>{_escaped(chr(10).join(told))}</title>"
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius}" '
        f'fill="{fill}" stroke="{_FLAGGED if flagged else stroke}" stroke-width="{1 + (is_root or flagged)}"{dashes}/>'
        f'<text x="{box.x + 8:.1f}" y="{box.y + box.height / 2 + 4:.1f}" fill="#222222">{_escaped(label)}</text></g>'
    )


def _cut(text: str, most: int = _LONGEST) -> str:
    text = text[: most + 1].replace("\n", " ")
    while _columns_of(text) > most:
        text = text[: -2 if text.endswith("…") else -1] + "…"
    return text


def _escaped(text: str) -> str:
    """Return a text as XML can have it: control characters are in no XML at all."""
    shown = "".join(
        letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return html.escape(shown)


def _columns_of(text: str) -> int:
    """Return how many letters wide a text is; those of Chinese, say, are twice as wide."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
