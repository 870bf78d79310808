"""A lineage graph as data, and as what people and other tools read. Knows no store."""

from __future__ import annotations

import html
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scidb.extras import require
from scidb.provenance.drawing import MOST_NODES, svg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LineageGraph", "Link", "Node"]

NodeKind: TypeAlias = Literal["record", "call", "file", "constant"]


@dataclass(frozen=True, slots=True)
class Node:
    """A record, a call of a function, a file, or a constant."""

    id: str
    kind: NodeKind
    label: str
    details: Mapping[str, str]
    cut: bool = False  # there is more behind it than the graph was asked for


@dataclass(frozen=True, slots=True)
class Link:
    """An arrow in the direction in which data flowed; `name` is the parameter that received it."""

    source: str
    target: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class LineageGraph:
    """Everything up- or downstream of the records `roots`.

    Examples
    --------
    >>> graph = LineageGraph(("r",), (Node("r", "record", "Slope", {}), Node("c", "call", "fit()", {})),
    ...                      (Link("c", "r"),))
    >>> print(graph.to_text())
    Slope  [r]
    └─ fit()

    """

    roots: tuple[str, ...]
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    direction: Literal["up", "down"] = "up"

    def to_text(self) -> str:
        """Return a tree in text, roots first; what was shown already is not unfolded again."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        nodes = {node.id: node for node in self.nodes}
        further: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for link in self.links:
            near, far = (link.target, link.source) if self.direction == "up" else (link.source, link.target)
            further[near].append((link.name, far))
        shown: set[str] = set()
        # An explicit stack, because a lineage may be deeper than Python's own.
        stack = [(root, "", "", "") for root in reversed(self.roots)]
        while stack:
            node_id, name, lead, indent = stack.pop()
            node = nodes[node_id]
            seen = node_id in shown and bool(further[node_id])
            named = f"{name} = " if name and node.kind != "call" else ""
            digest = node.details.get("sha256", "") if node.kind == "file" else node.id
            short = f"  [{digest[:12]}]" if node.kind in ("record", "file") else ""
            remark = f"  (flagged: {node.details['flags']})" if "flags" in node.details else ""
            remark += "  (see above)" if seen else "  ..." if node.cut else ""
            yield f"{lead}{named}{node.label}{short}{remark}"
            if seen:
                continue
            shown.add(node_id)
            below = further[node_id]
            for number, (link_name, far) in reversed(list(enumerate(below))):
                last = number == len(below) - 1
                stack.append((far, link_name, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  ")))

    def to_mermaid(self) -> str:
        """Return a Mermaid flow chart."""
        names = {node.id: f"n{number}" for number, node in enumerate(self.nodes)}
        shapes = {"record": '["{}"]', "call": '(["{}"])', "file": '[("{}")]', "constant": '{{{{"{}"}}}}'}
        lines = ["flowchart TD"]
        for node in self.nodes:
            label = node.label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
            label = " ".join(label.split())
            lines.append(f"    {names[node.id]}{shapes[node.kind].format(label)}")
        for link in self.links:
            name = link.name.replace("|", "/").replace('"', "&quot;")
            label = f'|"{name}"|' if name else ""
            lines.append(f"    {names[link.source]} -->{label} {names[link.target]}")
        return "\n".join(lines)

    def to_dot(self) -> str:
        """Return a graph in the DOT language of Graphviz."""
        names = {node.id: f"n{number}" for number, node in enumerate(self.nodes)}
        shapes = {"record": "box", "call": "ellipse", "file": "note", "constant": "plaintext"}
        lines = ["digraph lineage {", "    rankdir=TB;"]
        lines += [f"    {names[node.id]} [label={_dot(node.label)}, shape={shapes[node.kind]}];" for node in self.nodes]
        for link in self.links:
            label = f" [label={_dot(link.name)}]" if link.name else ""
            lines.append(f"    {names[link.source]} -> {names[link.target]}{label};")
        return "\n".join([*lines, "}"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: roots, nodes and links."""
        return {
            "roots": list(self.roots),
            "direction": self.direction,
            "nodes": [{"id": node.id, "kind": node.kind, "label": node.label, **node.details} for node in self.nodes],
            "links": [{"source": link.source, "target": link.target, "name": link.name} for link in self.links],
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_networkx(self) -> Any:
        """Return a ``networkx.MultiDiGraph``: nodes by id, with kind, label and details; edges with the name.

        Raises
        ------
        UnsupportedOperationError
            When networkx is not installed, naming the extra that brings it.

        """
        made = require("networkx", "networkx").MultiDiGraph(roots=list(self.roots), direction=self.direction)
        for node in self.nodes:
            made.add_node(node.id, **node.details, kind=node.kind, label=node.label, cut=node.cut)
        for link in self.links:
            made.add_edge(link.source, link.target, name=link.name)
        return made

    def to_svg(self) -> str:
        """Return the drawing that a notebook shows, for a file or a page; data flow from left to right."""
        return svg(self)

    def _repr_html_(self) -> str:
        if len(self.nodes) <= MOST_NODES:
            return f'<div style="overflow-x:auto">{self.to_svg()}</div>'
        said = (
            f"{self!r}: {len(self.nodes):,} nodes are too many for a drawing that can be read. Ask for less of it, "
            "with depth=2 for example, or write all of it by to_text(), to_dot(), to_json() or to_networkx()."
        )
        return f"<p>{html.escape(said)}</p>"

    def __repr__(self) -> str:
        kinds = [node.kind for node in self.nodes]
        return f"<LineageGraph: {kinds.count('record')} records, {kinds.count('call')} calls>"


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
