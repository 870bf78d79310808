"""One batch into the file, within a transaction that somebody else holds.

Statements are what costs: one insert per table and batch, and none per record.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from scidb.exceptions import ConflictError, NotFoundError, NotRegisteredError, SerializationError, did_you_mean
from scidb.hashing.ids import chain_link, is_lineage_alone, line_digests
from scidb.store.duck.edges import add_edges
from scidb.store.duck.events import apply_events
from scidb.store.duck.flags import touches
from scidb.store.duck.insert import insert_data, insert_rows
from scidb.store.duck.lines import log_line
from scidb.store.duck.memo import result_of
from scidb.store.duck.places import find_places
from scidb.store.duck.sql import Condition, literal, quote
from scidb.store.duck.state import Layout, Row, layout_table
from scidb.store.duck.tables import TABLES
from scidb.store.duck.types import Shape
from scidb.store.duck.views import create_views
from scidb.store.model import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pyarrow as pa

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.places import Place
    from scidb.store.duck.state import State
    from scidb.store.model import Batch, Call, CallInput, Chunk, Computation, Result

__all__ = ["Written", "write_batch"]


@dataclass(frozen=True, slots=True)
class Written:
    """What a write has stored, and what may be remembered of it after the commit."""

    rows: Sequence[Row]
    places: Mapping[tuple[str | None, ...], Place]
    new_places: Collection[tuple[str | None, ...]] = ()
    lineage_ids: frozenset[str] = frozenset()  # of the computations about which there is something new
    results: Mapping[str, Result] = field(default_factory=dict)  # of those that are all new


def write_batch(connection: Connection, draft: State, batch: Batch, stamp: str) -> Written:
    """Store a batch; `draft` moves along with what is stored."""
    draft.clockwork = replace(draft.clockwork, timestamp=stamp)
    if draft.marked is not None and touches(batch, draft.marked):
        draft.marked = None
    apply_events(connection, draft, batch.events, stamp)
    calls = _fresh_calls(connection, batch.calls) if batch.calls else []
    computed, fresh = _number_computations(connection, draft, calls, batch.chunks)
    named = (one.record_id for call in calls for one in call.inputs if one.record_id)
    used = {record_id for record_id in named if not is_lineage_alone(record_id)}
    numbers = draft.memory.window.numbers(used)
    stored = _stored(connection, draft, batch.chunks, used - numbers.keys())
    written = _log(connection, draft, batch.chunks, stamp, computed, stored) if batch.chunks else Written((), {})
    numbers.update((record_id, kept.record_no) for record_id, kept in stored.items())
    if draft.has_pruned and (gone := used - numbers.keys()):
        numbers.update(_pruned(connection, gone))
    _insert_calls(connection, calls, stamp, numbers)
    if batch.edges:
        add_edges(connection, draft, batch.edges, stamp)
    made = [row.record.lineage_id for row in written.rows] + [call.computation.lineage_id for call in batch.calls]
    return replace(written, lineage_ids=frozenset(filter(None, made)), results=_results(fresh, written.rows))


def _results(fresh: Sequence[Computation], rows: Sequence[Row]) -> dict[str, Result]:
    """Return what computations gave of which nothing was known before, so that all there is of them is here."""
    entries: dict[str, list[Record]] = {one.lineage_id: [] for one in fresh}
    for row in reversed(rows):
        if row.record.lineage_id in entries and row.record.output_num is not None:
            entries[row.record.lineage_id].append(row.record)
    return {one.lineage_id: result_of(one, found) for one in fresh if (found := entries[one.lineage_id])}


# ------------------------------------------------------------------ records


class _Stored(NamedTuple):
    """A record that is in the file: what its entries show of it."""

    record_no: int
    layout: str
    encoding: str
    nbytes: int


@dataclass(slots=True)
class _Fresh:
    """New data for one layout: parts of chunks with the numbers of their records."""

    parts: list[tuple[pa.Table, list[int]]] = field(default_factory=list)


def _log(
    connection: Connection,
    draft: State,
    chunks: Sequence[Chunk],
    stamp: str,
    computed: Mapping[str | None, int],
    stored: dict[str, _Stored],
) -> Written:
    entries = sorted((entry for chunk in chunks for entry in chunk.records), key=lambda entry: entry.seq)
    _check_variables(draft, entries)
    _keep(connection, draft, chunks, stored)
    places = find_places(connection, draft, [entry.schema for entry in entries])
    split = {draft.variables[entry.variable].identity for entry in entries if entry.piece is not None}
    draft.in_pieces = draft.in_pieces | split
    rows, lines = [], []
    chain = draft.clockwork.chain
    at = [places.known[texts] for texts in places.texts]
    identities = {name: draft.variables[name].identity for name in {entry.variable for entry in entries}}
    said = [_line(entry, stamp, place, identities[entry.variable]) for entry, place in zip(entries, at, strict=True)]
    for entry, place, digest in zip(entries, at, line_digests(said), strict=True):
        kept = stored.get(entry.record_id)
        if kept is None:
            raise _no_data(entry)
        chain = chain_link(chain, digest)
        lines.append(_log_row(entry, stamp, place, kept, chain, computed.get(entry.lineage_id)))
        rows.append(Row(_shown(entry, stamp, place, kept), place.schema_id, kept.record_no, kept.layout))
    insert_rows(connection, TABLES["_record_metadata"], lines)
    draft.clockwork = replace(draft.clockwork, chain=chain)
    _deepen(connection, draft, zip(entries, at, strict=True))
    return Written(rows, places.known, places.new)


def _check_variables(draft: State, entries: Iterable[Record]) -> None:
    for name in {entry.variable for entry in entries}:
        if name not in draft.variables:
            raise NotRegisteredError(
                f"The store knows no variable {name!r}; register it first.{did_you_mean(name, draft.variables)}",
                name=name,
            )


def _no_data(entry: Record) -> NotFoundError:
    return NotFoundError(
        f"Record {entry.record_id[:12]} of {entry.variable} was to be logged again without data, but the store "
        "does not have it. Save it with its data.",
        record_id=entry.record_id,
    )


def _stored(connection: Connection, draft: State, chunks: Sequence[Chunk], used: Iterable[str]) -> dict[str, _Stored]:
    """Return the records that are stored, and those used; refuse to go on if there are others than this process knows.

    Asked in one statement, whether or not anything is saved of what was used.
    """
    asked = list(dict.fromkeys([*(entry.record_id for chunk in chunks for entry in chunk.records), *used]))
    if not asked:
        return {}
    columns = "record_no, layout, encoding, nbytes"
    condition = Condition()
    condition.one_of("record_id", asked)
    found = connection.rows(
        f"SELECT record_id, {columns} FROM _records WHERE {condition.text()} "
        f"UNION ALL SELECT NULL, {columns} FROM _records WHERE record_no > ?",
        [*condition.parameters, draft.clockwork.record_no],
    )
    stored = {row[0]: _Stored(*row[1:]) for row in found}
    if None in stored:
        # Two records under one number would be mixed up for good.
        raise ConflictError(
            f"{connection.path} has records that this process has not written. Nothing was stored; try again.",
            path=str(connection.path),
        )
    return stored


def _pruned(connection: Connection, record_ids: Iterable[str]) -> list[tuple[str, int]]:
    """Return the numbers that records had before they were pruned, as after somebody else loaded them."""
    condition = Condition()
    condition.one_of("record_id", list(record_ids))
    return connection.rows(
        f"SELECT record_id, max(record_no) FROM _pruned WHERE {condition.text()} GROUP BY ALL", condition.parameters
    )


def _keep(connection: Connection, draft: State, chunks: Sequence[Chunk], stored: dict[str, _Stored]) -> None:
    """Store the data of records that are not there yet, the first of each id."""
    fresh: dict[Layout, _Fresh] = {}
    lines: list[tuple[Any, ...]] = []
    record_no = draft.clockwork.record_no
    grown: dict[str, None] = {}
    for chunk in chunks:
        if chunk.table is None:
            continue
        if chunk.table.num_rows != len(chunk.records):
            raise SerializationError(
                f"A chunk of {len(chunk.records)} records came with {chunk.table.num_rows} rows of data; it "
                "needs one row per record, in the same order."
            )
        for variable, positions in _new_positions(chunk, stored).items():
            whole = len(positions) == chunk.table.num_rows
            table = chunk.table if whole else chunk.table.take(positions)
            shape = Shape.of(table)
            if shape not in draft.variables[variable].layouts:
                _add_layout(connection, draft, variable, shape)
                grown[variable] = None
            layout = draft.variables[variable].layouts[shape]
            numbers = list(range(record_no + 1, record_no + 1 + len(positions)))
            record_no += len(positions)
            fresh.setdefault(layout, _Fresh()).parts.append((table, numbers))
            for number, position in zip(numbers, positions, strict=True):
                entry = chunk.records[position]
                kept = _Stored(number, layout.table, entry.encoding, entry.nbytes)
                stored[entry.record_id] = kept
                lines.append(_record_row(entry, kept))
    draft.clockwork = replace(draft.clockwork, record_no=record_no)
    insert_rows(connection, TABLES["_records"], lines)
    for layout, data in fresh.items():
        insert_data(connection, layout, data.parts)
    if grown:
        _show_layouts(connection, draft, list(grown))


def _record_row(entry: Record, kept: _Stored) -> tuple[Any, ...]:
    return (
        entry.record_id, kept.record_no, entry.variable, entry.content_hash, entry.schema_version, kept.layout,
        kept.encoding, kept.nbytes,
    )  # fmt: skip


def _new_positions(chunk: Chunk, stored: Mapping[str, _Stored]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    seen: set[str] = set()
    for position, entry in enumerate(chunk.records):
        if entry.record_id not in stored and entry.record_id not in seen:
            seen.add(entry.record_id)
            positions.setdefault(entry.variable, []).append(position)
    return positions


def _add_layout(connection: Connection, draft: State, name: str, shape: Shape) -> None:
    """Make the table of a new shape of a variable's values."""
    variable = draft.variables[name]
    layout = Layout(layout_table(name, len(variable.layouts) + 1), shape)
    owner = [("record_no", "BIGINT")] + ([("row", "BIGINT")] if shape.lists else [])
    columns = ", ".join(f"{quote(column)} {kind}" for column, kind in [*owner, *shape.physical()])
    connection.execute(f"CREATE TABLE {quote(layout.table)} ({columns})")
    connection.execute(f"COMMENT ON TABLE {quote(layout.table)} IS {literal(shape.to_json())}")
    draft.variables[name] = variable.with_layout(layout)


def _show_layouts(connection: Connection, draft: State, names: Sequence[str]) -> None:
    """Note the new layouts of variables, and make their views anew: once, however many there are."""
    for name in names:
        dtype = "; ".join(layout.shape.describe() for layout in draft.variables[name].layouts.values())
        connection.execute("UPDATE _variables SET dtype = ? WHERE variable_name = ?", [dtype, name])
    create_views(connection, draft, names)


def _line(entry: Record, stamp: str, place: Place, identity_name: str) -> list[object]:
    return log_line(
        entry.record_id, stamp, identity_name, place.texts, entry.version_keys, entry.content_hash,
        entry.lineage_id, entry.schema_version, entry.user_id, entry.seq, entry.call_id, entry.output_num,
        entry.piece, entry.pieces,
    )  # fmt: skip


def _log_row(
    entry: Record, stamp: str, place: Place, kept: _Stored, chain: str, computation_no: int | None
) -> tuple[Any, ...]:
    return (
        entry.record_id, stamp, entry.variable, place.schema_id, entry.version_keys, entry.content_hash,
        entry.lineage_id, entry.schema_version, entry.user_id, entry.seq, kept.record_no, entry.call_id,
        entry.output_num, entry.piece, entry.pieces, chain, computation_no,
    )  # fmt: skip


def _shown(entry: Record, stamp: str, place: Place, kept: _Stored) -> Record:
    return Record(
        entry.record_id, entry.variable, place.shown, entry.version_keys, entry.content_hash, entry.schema_version,
        kept.encoding, kept.nbytes, entry.lineage_id, entry.call_id, entry.output_num, entry.piece, entry.pieces,
        entry.user_id, stamp, entry.seq,
    )  # fmt: skip


def _deepen(connection: Connection, draft: State, entries: Iterable[tuple[Record, Place]]) -> None:
    """Note the deepest level at which each variable has been seen."""
    depth = {key.name: number for number, key in enumerate(draft.keys)}
    for name, level in {(entry.variable, place.level) for entry, place in entries}:
        known = draft.variables[name].level
        if level is not None and depth[level] > depth.get(known or "", -1):
            draft.variables[name] = replace(draft.variables[name], level=level)
            connection.execute("UPDATE _variables SET schema_level = ? WHERE variable_name = ?", [level, name])


# ------------------------------------------------------------------ calls and the pipeline


def _number_computations(
    connection: Connection, draft: State, calls: Sequence[Call], chunks: Sequence[Chunk]
) -> tuple[dict[str | None, int], list[Computation]]:
    """Return the number of each computation, of these calls and of entries, and those computations that are new.

    The log has the number, so that it is found there without a look at all of it (decision 161).
    """
    new: dict[str, Computation] = {}
    for call in calls:
        new.setdefault(call.computation.lineage_id, call.computation)
    logged = {entry.lineage_id: None for chunk in chunks for entry in chunk.records if entry.lineage_id is not None}
    asked = [one for one in {**new, **logged} if one not in draft.memory.absent or one not in new]
    numbers: dict[str | None, int] = {}
    if asked:
        condition = Condition()
        condition.one_of("lineage_id", asked)
        query = f"SELECT lineage_id, computation_no FROM _computations WHERE {condition.text()}"
        numbers.update(connection.rows(query, condition.parameters))
    fresh = [one for lineage_id, one in new.items() if lineage_id not in numbers]
    first = draft.clockwork.computation_no + 1
    numbers.update((one.lineage_id, number) for number, one in enumerate(fresh, first))
    rows = [
        (one.lineage_id, one.function_name, one.function_hash, one.inputs_hash, one.outputs, one.kind, number)
        for number, one in enumerate(fresh, first)
    ]
    insert_rows(connection, TABLES["_computations"], rows)
    draft.clockwork = replace(draft.clockwork, computation_no=first + len(fresh) - 1)
    return numbers, fresh


def _fresh_calls(connection: Connection, calls: Sequence[Call]) -> list[Call]:
    """Return the calls that are not stored, each once."""
    known = _known_calls(connection, calls)
    fresh: dict[str, Call] = {}
    for call in calls:
        if call.call_id not in known:
            fresh.setdefault(call.call_id, call)
    return list(fresh.values())


def _insert_calls(connection: Connection, calls: Sequence[Call], stamp: str, numbers: Mapping[str, int]) -> None:
    insert_rows(connection, TABLES["_calls"], [_call_row(call, stamp, seq) for seq, call in enumerate(calls)])
    inputs = [
        _input_row(call, position, one, numbers.get(one.record_id or ""))
        for call in calls
        for position, one in enumerate(call.inputs)
    ]
    insert_rows(connection, TABLES["_call_inputs"], inputs)


def _known_calls(connection: Connection, calls: Sequence[Call]) -> set[str]:
    """Return the calls that are there: the outputs of one may be saved one by one, but not those of a run."""
    asked = [call.call_id for call in calls if call.run_id is None]
    if not asked:
        return set()
    condition = Condition()
    condition.one_of("call_id", asked)
    query = f"SELECT call_id FROM _calls WHERE {condition.text()}"
    return {call_id for (call_id,) in connection.rows(query, condition.parameters)}


def _call_row(call: Call, stamp: str, seq: int) -> tuple[Any, ...]:
    return (
        call.call_id, call.computation.lineage_id, call.run_id, call.user_id, call.environment_id, call.seconds,
        call.recalled_from, stamp, seq, call.function_ref,
    )  # fmt: skip


def _input_row(call: Call, position: int, one: CallInput, record_no: int | None) -> tuple[Any, ...]:
    return (
        call.call_id, position, one.name, one.kind, one.record_id, one.input_call_id, one.output_num,
        one.type_name, one.content_hash, one.value_repr, one.root, one.literal, one.code_hash, one.is_default, one.key,
        record_no,
    )  # fmt: skip
