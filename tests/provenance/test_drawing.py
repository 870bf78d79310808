"""The drawing of a lineage graph: nothing lies on anything else, nothing runs, and nothing comes from outside."""

from __future__ import annotations

import importlib
import itertools
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb.exceptions import UnsupportedOperationError
from scidb.provenance import LineageGraph, Link, Node
from scidb.provenance.drawing import MOST_NODES
from scidb.provenance.layout import lay_out

if TYPE_CHECKING:
    from scidb.provenance.layout import Box, Layout

SVG = "{http://www.w3.org/2000/svg}"


def pipeline(subjects: int) -> LineageGraph:
    """Return a pipeline of some subjects, each with a raw value, a constant, a call and a result, and their mean."""
    nodes = [Node("mean", "call", "mean()", {}), Node("all", "record", "Grand (the whole dataset)", {})]
    links = [Link("mean", "all")]
    for n in range(subjects):
        nodes += [
            Node(f"raw{n}", "record", f"Raw (subject={n})", {"record_id": f"raw{n}"}),
            Node(f"k{n}", "constant", "0.2", {}),
            Node(f"call{n}", "call", "smooth()", {}),
            Node(f"out{n}", "record", f"Smooth (subject={n}, k=0.2)", {}),
        ]
        links += [Link(f"raw{n}", f"call{n}", "raw"), Link(f"k{n}", f"call{n}", "k"), Link(f"call{n}", f"out{n}")]
        links += [Link(f"out{n}", "mean", "values"), Link(f"raw{n}", "mean", "raws")]
    return LineageGraph(("all",), tuple(nodes), tuple(links))


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def check(layout: Layout) -> None:
    """See that boxes stand apart and inside, and that no line crosses one."""
    boxes = layout.boxes
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not overlap(one, other)
    for box in boxes.values():
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= layout.width
        assert box.y + box.height <= layout.height
    for arrow in layout.arrows:
        for number, ((x, y), (to_x, to_y)) in enumerate(itertools.pairwise(arrow.points)):
            assert number % 2 == 1 or y == to_y  # level, or a bend between two columns
            left, right = sorted((x, to_x))
            for name, box in boxes.items():
                if name not in (arrow.source, arrow.target) and box.x < right and left < box.x + box.width:
                    assert number % 2 == 0
                    assert not box.y <= y <= box.y + box.height


@given(
    st.integers(1, 14).flatmap(
        lambda size: st.tuples(
            st.just(size), st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=25)
        )
    )
)
def test_no_box_meets_another_box_or_a_line(graph: tuple[int, list[tuple[int, int]]]) -> None:
    """Whatever the graph, circles included, boxes stand apart, and lines go around them, each link once."""
    size, links = graph
    named = [(f"n{source}", f"n{target}") for source, target in links]
    layout = lay_out({f"n{number}": 20.0 + 15 * (number % 4) for number in range(size)}, named, {"n0": 30.0})
    check(layout)
    assert {(arrow.source, arrow.target) for arrow in layout.arrows} == {(a, b) for a, b in named if a != b}


def test_data_flow_from_left_to_right() -> None:
    """Without circles every arrow ends right of where it begins, and a constant stands beside its call."""
    graph = pipeline(3)
    layout = lay_out(
        dict.fromkeys((node.id for node in graph.nodes), 50.0), [(a.source, a.target) for a in graph.links]
    )
    for arrow in layout.arrows:
        assert layout.boxes[arrow.source].x < layout.boxes[arrow.target].x
    assert layout.boxes["k0"].x == layout.boxes["raw0"].x


def test_fifty_nodes_are_readable() -> None:
    """Fifty nodes are drawn whole: a box and a text each, the text no wider than the box, all within a few screens."""
    graph = pipeline(12)
    assert len(graph.nodes) == 50
    root = ET.fromstring(graph.to_svg())
    groups = root.findall(f"{SVG}g")
    assert len(groups) == 50
    for group in groups:
        rect, text = group.find(f"{SVG}rect"), group.find(f"{SVG}text")
        assert rect is not None
        assert text is not None
        assert len(text.text or "") * 7.25 <= float(rect.attrib["width"])
    assert (float(root.attrib["width"]), float(root.attrib["height"])) < (1_500, 2_500)


def test_the_drawing_is_alone() -> None:
    """A drawing has no scripts, no links, nothing from a network and no ids that two drawings would share."""
    shown = pipeline(2)._repr_html_()
    text = shown.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|<script|href|url\(|\bon\w+=|\bid=|<style|@import", text)


def test_what_people_write_is_text() -> None:
    """Labels and details are escaped, whatever is in them, and what cannot be shown is left out."""
    evil = '</text><script>alert("x")</script>&\x00\x1b'
    nodes = (Node("a", "record", evil, {"flags": evil}), Node("b", "call", f"{evil}\n", {}))
    graph = LineageGraph(("a",), nodes, (Link("b", "a", evil),))
    ET.fromstring(graph.to_svg())
    shown = graph._repr_html_()
    assert "<script" not in shown
    assert "\x00" not in shown


def test_wide_letters_and_long_labels() -> None:
    """A long label is cut, its whole text stays in the title, and letters of double width have room."""
    graph = LineageGraph(("a",), (Node("a", "record", "肌電図" * 30, {}), Node("b", "record", "肌電図", {})), ())
    root = ET.fromstring(graph.to_svg())
    groups = root.findall(f"{SVG}g")
    texts = [group.findtext(f"{SVG}text") or "" for group in groups]
    assert texts[0].endswith("…")
    assert len(texts[0]) < 25
    assert groups[0].findtext(f"{SVG}title") == "肌電図" * 30
    rect = groups[1].find(f"{SVG}rect")
    assert rect is not None
    assert float(rect.attrib["width"]) > 6 * 7


def test_too_many_nodes_are_said() -> None:
    """A graph too large to be read says so politely, and what to do instead."""
    graph = pipeline(MOST_NODES // 4 + 1)
    shown = graph._repr_html_()
    assert "<svg" not in shown
    assert "too many" in shown
    assert "depth=2" in shown


def test_nothing_to_draw() -> None:
    """A single record is a drawing, too."""
    graph = LineageGraph(("a",), (Node("a", "record", "Raw (subject=1)", {}),), ())
    assert graph._repr_html_().count("<rect") == 2


# ------------------------------------------------------------------ networkx


def test_networkx() -> None:
    """A graph becomes one of networkx, with what is known of nodes and arrows; two arrows of one pair stay two."""
    networkx = pytest.importorskip("networkx")
    links = (Link("r", "c", "x"), Link("r", "c", "y"), Link("c", "s"))
    nodes = (
        Node("r", "record", "Raw", {"variable": "Raw"}),
        Node("c", "call", "f()", {}),
        Node("s", "record", "S", {}),
    )
    made = LineageGraph(("s",), nodes, links).to_networkx()
    assert networkx.is_directed_acyclic_graph(made)
    assert networkx.ancestors(made, "s") == {"r", "c"}
    assert made.nodes["r"] == {"kind": "record", "label": "Raw", "variable": "Raw", "cut": False}
    assert sorted(data["name"] for _, _, data in made.edges("r", data=True)) == ["x", "y"]


def test_networkx_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without networkx, the error names the extra that brings it."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UnsupportedOperationError, match=r"scidb\[networkx\]"):
        pipeline(1).to_networkx()
