"""Removing lines of the log, and with a record's last line its data: within a transaction that somebody else holds.

What is to go was decided above. Here nothing stays that points to what is gone, but for what says that it was there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from scidb.hashing.ids import line_digest
from scidb.store.duck.events import place_json
from scidb.store.duck.insert import insert_rows
from scidb.store.duck.lines import log_line
from scidb.store.duck.rows import versions_that_fit
from scidb.store.duck.sql import Condition, located, not_superseded, place_conditions, quote
from scidb.store.duck.tables import TABLES
from scidb.store.duck.types import fitting_text
from scidb.store.model import REMOVED_CALL, PrunedLine, Record, Removed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import FailedAt, Line, Pruned, Removal

__all__ = ["find_pruned", "find_removals", "remove_lines"]

_SAID: Final = (
    "record_id", "timestamp", "variable_name", "schema_id", "version_keys", "content_hash", "lineage_id",
    "schema_version", "user_id", "seq", "record_no", "call_id", "output_num", "piece", "pieces",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Gone:
    """What goes: the lines with all that they say, and the records none of whose lines stays."""

    lines: Sequence[Mapping[str, Any]]
    records: Sequence[tuple[Any, ...]]  # record_id, record_no, layout, nbytes


def remove_lines(connection: Connection, draft: State, removal: Removal, stamp: str) -> Removed:
    """Remove what is asked for and note that, and nothing of what it was unless it was pruned."""
    if done := [one for one in find_removals(connection) if one.removal_id == removal.removal_id]:
        return done[0]
    removal_id = removal.removal_id
    gone = _take_lines(connection, draft, removal, removal_id)
    for layout in dict.fromkeys(row[2] for row in gone.records):
        numbers = pa.table({"number": pa.array([row[1] for row in gone.records if row[2] == layout], pa.int64())})
        query = f"DELETE FROM {quote(layout)} WHERE record_no IN (SELECT number FROM wanted)"
        connection.insert(query, wanted=numbers)
    _note_levels(connection, draft, {line["variable_name"] for line in gone.lines})
    if removal.kind == "erase":
        _forget(connection, draft, removal, removal_id, gone)
    nbytes = sum(row[3] for row in gone.records)
    is_rewritten = removal.kind != "erase"
    counts = (len(gone.lines), len(gone.records), nbytes)
    said = (removal_id, removal.kind, removal.reason, *counts)
    row = (*said, draft.clockwork.record_no, stamp, removal.user_id, is_rewritten)
    insert_rows(connection, TABLES["_removals"], [row])
    return Removed(*said, stamp, removal.user_id, is_rewritten)


def _take_lines(connection: Connection, draft: State, removal: Removal, removal_id: str) -> _Gone:
    """Take lines out of the log, and records that have none left; note the digest of each line."""
    wanted = _lines_table(removal.lines)
    same = "m.record_id = w.record_id AND m.timestamp = w.timestamp AND m.seq = w.seq"
    keys = [key.name for key in draft.keys]
    columns = ", ".join([*(f"m.{name}" for name in _SAID), "m.chain", "r.encoding", "r.nbytes"])
    places = "".join(f", s.{quote(name)}" for name in keys)
    found = connection.table(
        f"SELECT {columns}{places} FROM _record_metadata m JOIN wanted w ON {same} "
        "JOIN _schema s ON s.schema_id = m.schema_id JOIN _records r ON r.record_no = m.record_no "
        "ORDER BY m.timestamp, m.seq",
        wanted=wanted,
    )
    cells = zip(*(column.to_pylist() for column in found.columns), strict=True)
    names = [*_SAID, "chain", "encoding", "nbytes"]
    lines, digests = [], []
    for row in cells:
        line: dict[str, Any] = dict(zip(names, row, strict=False))
        texts = {name: text for name, text in zip(keys, row[len(names) :], strict=True) if text is not None}
        digest = line_digest(_line(line, texts, draft.variables[line["variable_name"]].identity))
        digests.append((line["timestamp"], line["seq"], digest, line["chain"], removal_id))
        lines.append(line)
    insert_rows(connection, TABLES["_erased"], digests)
    if removal.kind == "prune":
        rows = [(*(line[name] for name in _SAID), line["encoding"], line["nbytes"], removal_id) for line in lines]
        insert_rows(connection, TABLES["_pruned"], rows)
    exists = f"EXISTS (SELECT 1 FROM wanted w WHERE {same})"
    connection.insert(f"DELETE FROM _record_metadata m WHERE {exists}", wanted=wanted)
    if removal.kind == "erase":
        connection.insert(f"DELETE FROM _pruned m WHERE {exists}", wanted=wanted)
    numbers = pa.table({"number": pa.array(sorted({line["record_no"] for line in lines}), pa.int64())})
    left = connection.table(
        "SELECT record_id, record_no, layout, nbytes FROM _records WHERE record_no IN (SELECT number FROM wanted) "
        "AND record_no NOT IN (SELECT record_no FROM _record_metadata)",
        wanted=numbers,
    )
    records = list(zip(*(column.to_pylist() for column in left.columns), strict=True))
    numbers = pa.table({"number": pa.array([row[1] for row in records], pa.int64())})
    connection.insert("DELETE FROM _records WHERE record_no IN (SELECT number FROM wanted)", wanted=numbers)
    return _Gone(lines, records)


def _note_levels(connection: Connection, draft: State, names: Iterable[str]) -> None:
    """Note the deepest level at which variables are left."""
    depth = {key.name: number for number, key in enumerate(draft.keys)}
    for name in sorted(names):
        rows = connection.rows(
            "SELECT DISTINCT schema_level FROM _schema WHERE schema_level IS NOT NULL AND schema_id IN "
            "(SELECT schema_id FROM _record_metadata WHERE variable_name = ?)",
            [name],
        )
        level = max((level for (level,) in rows), key=depth.__getitem__, default=None)
        connection.execute("UPDATE _variables SET schema_level = ? WHERE variable_name = ?", [level, name])


def _lines_table(lines: Iterable[Line]) -> pa.Table:
    lines = list(lines)
    return pa.table(
        {
            "record_id": pa.array([one.record_id for one in lines], pa.string()),
            "timestamp": pa.array([one.timestamp for one in lines], pa.string()),
            "seq": pa.array([one.seq for one in lines], pa.int32()),
        }
    )


def _line(line: Mapping[str, Any], texts: Mapping[str, str], identity_name: str) -> list[object]:
    """Return what the chain vouches for, from the columns of the log."""
    return log_line(
        line["record_id"], line["timestamp"], identity_name, texts, line["version_keys"], line["content_hash"],
        line["lineage_id"], line["schema_version"], line["user_id"], line["seq"], line["call_id"],
        line["output_num"], line["piece"], line["pieces"],
    )  # fmt: skip


# ------------------------------------------------------------------ what an erasure takes along


def _forget(connection: Connection, draft: State, removal: Removal, removal_id: str, gone: _Gone) -> None:
    """Forget everything that tells of what was erased."""
    _forget_calls(connection, removal.calls, removal_id)
    # Also of records that were pruned before; but not of those that somebody else's call made, too.
    named = _texts({*(line.record_id for line in removal.lines), *(row[0] for row in gone.records)})
    lost = "SELECT name FROM wanted WHERE name NOT IN (SELECT record_id FROM _records)"
    connection.insert(f"DELETE FROM _flags WHERE record_id IN ({lost})", wanted=named)
    _forget_exports(connection, named)
    stamps = _texts(line.timestamp for line in removal.lines)
    connection.insert("DELETE FROM _requests WHERE timestamp IN (SELECT name FROM wanted)", wanted=stamps)
    _forget_failures(connection, removal.failures)
    runs = _texts(removal.runs)
    connection.insert("UPDATE _runs SET configuration = NULL WHERE run_id IN (SELECT name FROM wanted)", wanted=runs)
    if removal.schema:
        places = Condition()
        for key in draft.keys:
            if key.name in removal.schema:
                text = fitting_text(key, removal.schema[key.name])
                places.one_of(quote(key.name), [] if text is None else [text])
        for table in ("_record_metadata", "_pruned"):
            places.add(f"schema_id NOT IN (SELECT schema_id FROM {table})")
        connection.execute(f"DELETE FROM _schema WHERE schema_id <> 0 AND {places.text()}", places.parameters)


def _texts(names: Iterable[str]) -> pa.Table:
    return pa.table({"name": pa.array(sorted(set(names)), pa.string())})


def _forget_calls(connection: Connection, call_ids: Sequence[str], removal_id: str) -> None:
    """Forget calls with what they were given, and computations that nobody else called."""
    wanted = _texts(call_ids)
    among = "(SELECT name FROM wanted)"
    found = connection.table(f"SELECT DISTINCT lineage_id FROM _calls WHERE call_id IN {among}", wanted=wanted)
    for table in ("_call_inputs", "_calls"):
        connection.insert(f"DELETE FROM {table} WHERE call_id IN {among}", wanted=wanted)
    # Of a recall by somebody else it stays true that it was one.
    query = f"UPDATE _calls SET recalled_from = '{REMOVED_CALL}{removal_id}' WHERE recalled_from IN {among}"
    connection.insert(query, wanted=wanted)
    left = connection.table(
        "SELECT name FROM wanted WHERE name NOT IN (SELECT lineage_id FROM _calls)",
        wanted=_texts(found.column(0).to_pylist()),
    )
    lost = _texts(left.column(0).to_pylist())
    for table in ("_computations", "_hits", "_invalidations"):
        connection.insert(f"DELETE FROM {table} WHERE lineage_id IN {among}", wanted=lost)


def _forget_exports(connection: Connection, named: pa.Table) -> None:
    """Take records out of what is noted of files; of a file that held nothing else, nothing stays."""
    lost = connection.table("SELECT name FROM wanted WHERE name NOT IN (SELECT record_id FROM _records)", wanted=named)
    names = set(lost.column(0).to_pylist())
    for number, ids in connection.rows("SELECT rowid, record_ids FROM _exports") if names else ():
        if names.isdisjoint(ids):
            continue
        if left := [one for one in ids if one not in names]:
            connection.execute("UPDATE _exports SET record_ids = ? WHERE rowid = ?", [left, number])
        else:
            connection.execute("DELETE FROM _exports WHERE rowid = ?", [number])


def _forget_failures(connection: Connection, failures: Sequence[FailedAt]) -> None:
    columns = {
        "run_id": [one.run_id for one in failures],
        "timestamp": [one.timestamp for one in failures],
        "schema": [place_json(one.schema) for one in failures],
        "version_keys": [one.version_keys for one in failures],
    }
    wanted = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
    same = " AND ".join(f"f.{quote(name)} = w.{quote(name)}" for name in columns)
    connection.insert(f"DELETE FROM _failures f WHERE EXISTS (SELECT 1 FROM wanted w WHERE {same})", wanted=wanted)


# ------------------------------------------------------------------ what stays


def find_removals(connection: Connection) -> list[Removed]:
    """Return everything that was ever removed, oldest first."""
    rows = connection.rows(
        "SELECT removal_id, kind, reason, entries, records, nbytes, timestamp, user_id, rewritten FROM _removals "
        "ORDER BY timestamp"
    )
    return [Removed(*row) for row in rows]


def find_pruned(connection: Connection, state: State, query: Pruned) -> list[PrunedLine]:
    """Return lines that were pruned, newest first."""
    if not state.has_pruned:
        return []
    match = replace(query.match, where=None, exclude=False)
    condition = place_conditions(state.keys, match, versions_that_fit(connection, state.keys, match, "_pruned"))
    for column in ("record", "lineage", "call"):
        if (wanted := getattr(match, f"{column}_ids")) is not None:
            condition.one_of(f"m.{column}_id", wanted)
    if match.record_prefix is not None:
        condition.add("starts_with(m.record_id, ?) AND ? <> ''", match.record_prefix, match.record_prefix)
    if match.as_of is not None:
        condition.add("m.timestamp <= ?", match.as_of)
    if query.standing:
        for table in ("_record_metadata", "_pruned"):
            not_superseded(condition, match.as_of, table)
    keys = "".join(f", m.k{number}" for number in range(len(state.keys)))
    rows = connection.rows(
        "SELECT m.record_id, m.variable_name, m.version_keys, m.content_hash, m.schema_version, m.encoding, m.nbytes, "
        "m.lineage_id, m.call_id, m.output_num, m.piece, m.pieces, m.user_id, m.timestamp, m.seq, "
        f"v.timestamp, v.reason, v.user_id, m.schema_id{keys} "
        f"FROM (SELECT {located(state.keys)} FROM _pruned m JOIN _schema s USING (schema_id) "
        f"WHERE {condition.text()}) m JOIN _removals v ON v.removal_id = m.removal_id "
        "ORDER BY m.timestamp DESC, m.seq DESC",
        condition.parameters,
    )
    return [
        PrunedLine(Record(row[0], row[1], state.show(row[18], tuple(row[19:])), *row[2:15]), *row[15:18])
        for row in rows
    ]
