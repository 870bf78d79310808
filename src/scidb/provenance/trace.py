"""From the calls that a store traces to dicts and graphs that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from scidb.provenance.graph import LineageGraph, Link, Node
from scidb.records import place, version_keys_of
from scidb.store.model import TraceQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.model import Call, CallInput, Record, Trace
    from scidb.store.protocol import Store

__all__ = ["derived_from", "lineage_graph", "provenance_of"]


def provenance_of(store: Store, record: Record) -> dict[str, Any] | None:
    """Return what made a record: function, inputs, constants and files; None when it was saved by hand."""
    if record.call_id is None:
        return None
    trace = store.trace(TraceQuery((record.record_id,), "up", depth=1))
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
    trace = store.trace(TraceQuery(tuple(record.record_id for record in records), direction, depth))
    nodes: dict[str, Node] = {}
    links: dict[Link, None] = {}
    for record in (*records, *trace.records):
        nodes.setdefault(record.record_id, _record_node(record))
    calls = {call.call_id for call in trace.calls}
    for record in records if direction == "up" else trace.records:
        if record.call_id in calls:
            links[Link(record.call_id or "", record.record_id)] = None
    for call in trace.calls:
        nodes[call.call_id] = _call_node(call)
        for number, origin in enumerate(call.inputs):
            _add_input(call, number, origin, nodes, links, trace)
    return LineageGraph(
        roots=tuple(record.record_id for record in records),
        nodes=tuple(nodes.values()),
        links=tuple(links),
        direction=direction,
    )


def _add_input(
    call: Call, number: int, origin: CallInput, nodes: dict[str, Node], links: dict[Link, None], trace: Trace
) -> None:
    calls = {made.call_id for made in trace.calls}
    if origin.kind == "record" and origin.record_id:
        if origin.record_id not in nodes:
            nodes[origin.record_id] = Node(origin.record_id, "record", origin.type_name or "?", {})
        links[Link(origin.record_id, call.call_id, origin.name)] = None
        if origin.input_call_id in calls:
            links[Link(origin.input_call_id or "", origin.record_id)] = None
    elif origin.kind == "computation" and origin.input_call_id in calls:
        links[Link(origin.input_call_id or "", call.call_id, origin.name)] = None
    elif origin.kind == "file":
        name = f"file:{origin.content_hash}:{origin.value_repr}"
        details = {"sha256": origin.content_hash or ""}
        nodes.setdefault(name, Node(name, "file", origin.value_repr or "?", details))
        links[Link(name, call.call_id, origin.name)] = None
    else:
        name = f"{call.call_id}:{number}"
        nodes[name] = Node(name, "constant", origin.value_repr or origin.type_name or "?", {})
        links[Link(name, call.call_id, origin.name)] = None


def _record_node(record: Record) -> Node:
    where = place({**record.schema, **version_keys_of(record)})
    details = {"record_id": record.record_id, "timestamp": record.timestamp, "variable": record.variable}
    return Node(record.record_id, "record", f"{record.variable} ({where})", details)


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
