"""From the calls that a store traces to dicts and graphs that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from scidb.provenance.graph import LineageGraph, Link, Node
from scidb.records import place, version_keys_of
from scidb.store.model import TraceQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scidb.store.model import Call, CallInput, Record
    from scidb.store.protocol import Store

__all__ = ["derived_from", "lineage_graph", "provenance_of"]


def provenance_of(store: Store, record: Record) -> dict[str, Any] | None:
    """Return what made a record: function, inputs, constants and files; None when it was saved by hand."""
    if record.call_id is None:
        return None
    # By the call, since a newer entry of the record may have another one.
    trace = store.trace(TraceQuery(call_ids=(record.call_id,), depth=1))
    call = next((call for call in trace.calls if call.call_id == record.call_id), None)
    if call is None:
        return None
    known = {found.record_id: found for found in trace.records}
    return {
        "function_name": call.computation.function_name,
        "function_hash": call.computation.function_hash,
        "lineage_id": call.computation.lineage_id,
        "inputs": [_input(origin, known) for origin in call.inputs if origin.kind in ("record", "computation")],
        "constants": [
            {"name": origin.name, "value_repr": origin.value_repr, "value_hash": origin.content_hash}
            for origin in call.inputs
            if origin.kind == "constant"
        ],
        "files": [
            {"name": origin.name, "path": origin.value_repr, "sha256": origin.content_hash}
            for origin in call.inputs
            if origin.kind == "file"
        ],
        "timestamp": call.timestamp,
        "user_id": call.user_id,
        "seconds": call.seconds,
        "call_id": call.call_id,
        "recalled_from": call.recalled_from,
    }


def _input(origin: CallInput, known: dict[str, Record]) -> dict[str, Any]:
    if origin.kind == "computation":
        return {
            "name": origin.name,
            "source_function": origin.type_name,
            "output_num": origin.output_num,
            "content_hash": origin.content_hash,
        }
    record = known.get(origin.record_id or "")
    return {
        "name": origin.name,
        "type": origin.type_name,
        "record_id": origin.record_id,
        "vhash": origin.record_id,
        "metadata": {**record.schema, **version_keys_of(record)} if record else {},
    }


def derived_from(store: Store, record: Record) -> list[dict[str, Any]]:
    """Return what was computed from a record directly, one dict per result."""
    trace = store.trace(TraceQuery((record.record_id,), "down", depth=1))
    functions = {call.call_id: call.computation.function_name for call in trace.calls}
    return [
        {
            "record_id": found.record_id,
            "vhash": found.record_id,
            "type": found.variable,
            "function": functions[found.call_id],
            "metadata": {**found.schema, **version_keys_of(found)},
        }
        for found in trace.records
        if found.call_id in functions
    ]


def lineage_graph(
    store: Store, records: Sequence[Record], direction: Literal["up", "down"] = "up", depth: int | None = None
) -> LineageGraph:
    """Return the graph of everything up- or downstream of some records."""
    if direction == "up":  # through the call of this very entry, since a newer one may have another
        query = TraceQuery(call_ids=tuple(record.call_id for record in records if record.call_id), depth=depth)
    else:
        query = TraceQuery(tuple(record.record_id for record in records), direction, depth)
    trace = store.trace(query)
    drawing = _Drawing({call.call_id for call in trace.calls})
    for record in records if direction == "up" else trace.records:
        drawing.link(record.call_id, record.record_id)
    for call in trace.calls:
        drawing.add_call(call)
    drawing.add_records((*records, *trace.records), direction)
    return LineageGraph(
        roots=tuple(record.record_id for record in records),
        nodes=tuple(drawing.nodes.values()),
        links=tuple(drawing.links),
        direction=direction,
    )


class _Drawing:
    """A graph in the making: nodes by id, and links, each once."""

    def __init__(self, calls: set[str]) -> None:
        self.nodes: dict[str, Node] = {}
        self.links: dict[Link, None] = {}
        self._calls = calls

    def link(self, call: str | None, target: str, name: str = "") -> None:
        """Add an arrow from a call, if that is part of the graph."""
        if call is not None and call in self._calls:
            self.links[Link(call, target, name)] = None

    def add_call(self, call: Call) -> None:
        """Add a call with everything that it received."""
        self.nodes[call.call_id] = _call_node(call)
        for number, origin in enumerate(call.inputs):
            if origin.kind == "computation" and origin.input_call_id in self._calls:
                self.link(origin.input_call_id, call.call_id, origin.name)
                continue
            node = _input_node(call, number, origin)
            self.nodes.setdefault(node.id, node)
            self.links[Link(node.id, call.call_id, origin.name)] = None
            if node.kind == "record":
                self.link(origin.input_call_id, node.id)

    def add_records(self, records: Iterable[Record], direction: str) -> None:
        """Say of the records what is known of them, and which of them lead further than the graph goes."""
        reached = {link.target for link in self.links}
        for record in records:
            cut = direction == "up" and record.call_id is not None and record.record_id not in reached
            self.nodes[record.record_id] = _record_node(record, cut=cut)


def _input_node(call: Call, number: int, origin: CallInput) -> Node:
    if origin.kind == "record" and origin.record_id:
        return Node(origin.record_id, "record", origin.type_name or "?", {})
    if origin.kind == "file":
        details = {"sha256": origin.content_hash or ""}
        return Node(f"file:{origin.content_hash}:{origin.value_repr}", "file", origin.value_repr or "?", details)
    return Node(f"{call.call_id}:{number}", "constant", origin.value_repr or origin.type_name or "?", {})


def _record_node(record: Record, *, cut: bool) -> Node:
    where = place({**record.schema, **version_keys_of(record)})
    details = {"record_id": record.record_id, "timestamp": record.timestamp, "variable": record.variable}
    return Node(record.record_id, "record", f"{record.variable} ({where})", details, cut)


def _call_node(call: Call) -> Node:
    details = {
        "function_hash": call.computation.function_hash,
        "lineage_id": call.computation.lineage_id,
        "timestamp": call.timestamp,
        "user_id": call.user_id or "",
    }
    if call.seconds is not None:
        details["seconds"] = f"{call.seconds:.6f}"
    return Node(call.call_id, "call", f"{call.computation.function_name}()", details)
