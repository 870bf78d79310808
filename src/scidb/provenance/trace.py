"""From the calls that a store traces to dicts and graphs that people read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from scidb.hashing.code.listing import SourceCode, read_code
from scidb.hashing.code.manifest import Manifest
from scidb.hashing.ids import is_lineage_alone
from scidb.provenance.graph import LineageGraph, Link, Node
from scidb.records import place, version_keys_of
from scidb.store.model import Entries, Environments, Marks, Match, Pruned, Sources, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.store.model import Call, CallInput, PrunedLine, Record, Trace
    from scidb.store.protocol import Store

__all__ = ["derived_from", "lineage_graph", "provenance_of", "source_of"]


def provenance_of(store: Store, entries: Sequence[Record]) -> list[dict[str, Any] | None]:
    """Return what made each of these entries: function, inputs, constants, files, who, when, where, with what code.

    None stands for an entry that was saved by hand. The entries are asked about together, whatever their number.
    """
    # By the call, since a newer entry of a record may have another one.
    wanted = tuple(dict.fromkeys(entry.call_id for entry in entries if entry.call_id))
    if not wanted:
        return [None] * len(entries)
    trace = store.trace(TraceQuery(call_ids=wanted, depth=1))
    calls = {call.call_id: call for call in trace.calls}
    known = {found.record_id: found for found in trace.records}
    pruned = pruned_inputs(store, trace)
    warnings = _warnings(store, trace.calls)
    environments = _environments(store, trace.calls)
    return [
        _provenance(entry, call, (known, pruned), warnings, environments)
        if (call := calls.get(entry.call_id or ""))
        else None
        for entry in entries
    ]


def _warnings(store: Store, calls: Sequence[Call]) -> dict[str, list[str]]:
    """Return, by function hash, what the fingerprints could not take into account."""
    hashes = tuple(dict.fromkeys(call.computation.function_hash for call in calls))
    return {one.function_hash: list(Manifest.read(one.manifest).warnings) for one in store.find(Sources(hashes))}


def _environments(store: Store, calls: Sequence[Call]) -> dict[str, dict[str, Any]]:
    ids = tuple(dict.fromkeys(call.environment_id for call in calls if call.environment_id))
    return {one.environment_id: json.loads(one.description) for one in store.find(Environments(ids))} if ids else {}


def _provenance(
    entry: Record,
    call: Call,
    known: tuple[Mapping[str, Record], Mapping[str, PrunedLine]],
    warnings: Mapping[str, list[str]],
    environments: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    computation = call.computation
    environment = environments.get(call.environment_id or "", {})
    return {
        "record_id": entry.record_id,
        "vhash": entry.record_id,
        "type": entry.variable,
        "metadata": {**entry.schema, **version_keys_of(entry)},
        "function_name": computation.function_name,
        "function_hash": computation.function_hash,
        "lineage_id": computation.lineage_id,
        "output_num": entry.output_num,
        "inputs": [_input(origin, *known) for origin in call.inputs if origin.kind in ("record", "computation")],
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
        "run_id": call.run_id,
        "recalled_from": call.recalled_from,
        "environment": {name: part for name, part in environment.items() if name != "git"},
        "git": environment.get("git"),
        "warnings": warnings.get(computation.function_hash, []),
    }


def _input(origin: CallInput, known: Mapping[str, Record], pruned: Mapping[str, PrunedLine]) -> dict[str, Any]:
    if origin.kind == "computation":
        return {
            "name": origin.name,
            "source_function": origin.type_name,
            "source_hash": origin.input_call_id,
            "output_num": origin.output_num,
            "content_hash": origin.content_hash,
        }
    line = pruned.get(origin.record_id or "")
    record = known.get(origin.record_id or "") or (line.record if line else None)
    removed = {"timestamp": line.removed, "user_id": line.user_id, "reason": line.reason} if line else None
    return {
        "name": origin.name,
        "type": origin.type_name,
        "record_id": origin.record_id,
        "vhash": origin.record_id,
        "value_hash": origin.content_hash,
        "metadata": {**record.schema, **version_keys_of(record)} if record else {},
        **({"removed": removed} if removed else {}),
    }


def pruned_inputs(store: Store, trace: Trace) -> dict[str, PrunedLine]:
    """Return, by record id, the inputs of calls that have been pruned since."""
    known = {one.record_id for one in trace.records}
    used = {one.record_id: None for call in trace.calls for one in call.inputs if one.record_id}
    wanted = tuple(one for one in used if one not in known and not is_lineage_alone(one))
    lines = store.find(Pruned(Match(record_ids=wanted))) if wanted and store.describe().has_pruned else []
    return {line.record.record_id: line for line in reversed(lines)}


def source_of(store: Store, entry: Record) -> SourceCode | None:
    """Return the code that made an entry; None when it was saved by hand."""
    calls = store.trace(TraceQuery(call_ids=(entry.call_id,), depth=1)).calls if entry.call_id else ()
    call = next((call for call in calls if call.call_id == entry.call_id), None)
    if call is None:
        return None
    made = call.computation
    # Equal code may stand in several places.
    for found in sorted(
        store.find(Sources((made.function_hash,))), key=lambda one: one.function_ref != (call.function_ref or "")
    ):
        return read_code(made.function_name, found.function_hash, found.manifest, found.sources)
    return SourceCode(made.function_name, made.function_hash, (), ("its code was not recorded",))


def derived_from(store: Store, record: Record) -> list[dict[str, Any]]:
    """Return what was computed from a record directly, one dict per result, in the order of computing."""
    calls = store.trace(TraceQuery((record.record_id,), "down", depth=1)).calls
    functions = {call.call_id: call.computation for call in calls}
    # By the log, since a trace knows only what made a record last.
    made = store.find(Entries(Match(call_ids=tuple(functions)))) if functions else []
    newest = {found.record_id: found for found in reversed(made)}
    return [
        {
            "record_id": found.record_id,
            "vhash": found.record_id,
            "type": found.variable,
            "function": functions[found.call_id or ""].function_name,
            "function_hash": functions[found.call_id or ""].function_hash,
            "metadata": {**found.schema, **version_keys_of(found)},
        }
        for found in newest.values()
    ]


def lineage_graph(
    store: Store,
    records: Sequence[Record],
    direction: Literal["up", "down"] = "up",
    depth: int | None = None,
    *,
    has_flags: bool = False,
) -> LineageGraph:
    """Return the graph of everything up- or downstream of some records; with flags, if there are any."""
    if direction == "up":  # through the call of this very entry, since a newer one may have another
        query = TraceQuery(call_ids=tuple(record.call_id for record in records if record.call_id), depth=depth)
    else:
        query = TraceQuery(tuple(record.record_id for record in records), direction, depth)
    trace = store.trace(query)
    drawing = _Drawing({call.call_id for call in trace.calls})
    shown = (*records, *trace.records)
    for mark in store.find(Marks(tuple({record.record_id for record in shown}))) if has_flags else ():
        drawing.flags.setdefault(mark.record_id, {})[mark.reason] = None
    for record in records if direction == "up" else trace.records:
        drawing.link(record.call_id, record.record_id)
    for call in trace.calls:
        drawing.add_call(call)
    drawing.add_records(shown, direction)
    drawing.add_pruned(pruned_inputs(store, trace).values())
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
        self.flags: dict[str, dict[str, None]] = {}
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
            self.nodes[record.record_id] = _record_node(record, self.flags.get(record.record_id, ()), cut=cut)

    def add_pruned(self, lines: Iterable[PrunedLine]) -> None:
        """Say of inputs that they were removed; what made them is still known."""
        for line in lines:
            self.nodes[line.record.record_id] = _pruned_node(line)


def _pruned_node(line: PrunedLine) -> Node:
    record = line.record
    where = place({**record.schema, **version_keys_of(record)})
    details = {"record_id": record.record_id, "timestamp": record.timestamp, "variable": record.variable}
    label = f"{record.variable} ({where}), removed on {line.removed[:10]}"
    return Node(record.record_id, "record", label, {**details, "removed": line.removed})


def _input_node(call: Call, number: int, origin: CallInput) -> Node:
    if origin.kind == "record" and origin.record_id:
        return Node(origin.record_id, "record", origin.type_name or "?", {})
    if origin.kind == "file":
        details = {"sha256": origin.content_hash or ""}
        return Node(f"file:{origin.content_hash}:{origin.value_repr}", "file", origin.value_repr or "?", details)
    return Node(f"{call.call_id}:{number}", "constant", origin.value_repr or origin.type_name or "?", {})


def _record_node(record: Record, flags: Iterable[str], *, cut: bool) -> Node:
    where = place({**record.schema, **version_keys_of(record)})
    details = {"record_id": record.record_id, "timestamp": record.timestamp, "variable": record.variable}
    if flags:
        details["flags"] = "; ".join(flags)
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
