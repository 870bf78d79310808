"""The memo in the file: what computations gave, what was set aside, and of what use it was."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scidb.store.duck.found import COLUMNS
from scidb.store.duck.insert import insert_rows
from scidb.store.duck.rows import row_of
from scidb.store.duck.sql import Condition, quote
from scidb.store.duck.tables import TABLES
from scidb.store.model import (
    Computation,
    Hit,
    Invalidated,
    Invalidation,
    Invalidations,
    MemoEntries,
    MemoEntry,
    Record,
    Result,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import Row, State
    from scidb.store.model import Event

__all__ = [
    "add_hits",
    "computations_of",
    "computations_within",
    "find_invalidations",
    "find_memo_entries",
    "invalidate",
    "result_of",
    "results_of",
]

_COMPUTATION: Final = "c.lineage_id, c.function_name, c.function_hash, c.inputs_hash, c.outputs, c.kind"
_NAMED: Final = " UNION ALL ".join(
    f"SELECT function_name, function_hash FROM {table}" for table in ("_computations", "_lineage", "_runs")
)
# Until when results do not count, joined where anything was ever set aside.
_UNTIL: Final = (
    " LEFT JOIN (SELECT function_hash, max(timestamp) AS until FROM _invalidations GROUP BY ALL) f "
    "ON f.function_hash = c.function_hash "
    "LEFT JOIN (SELECT lineage_id, max(timestamp) AS until FROM _invalidations GROUP BY ALL) g "
    "ON g.lineage_id = c.lineage_id"
)
_LATER: Final = "greatest(coalesce(f.until, ''), coalesce(g.until, ''))"
# One result has few entries, mostly; planning a window takes longer than reading so many.
_FEW: Final = 4_096


# ------------------------------------------------------------------ events


def invalidate(connection: Connection, draft: State, event: Invalidated, stamp: str) -> None:
    """Note what does not count from now on: one row for each code, or for each computation."""
    said = (event.reason, stamp, event.user_id)
    rows: list[tuple[Any, ...]]
    if event.lineage_ids is None:
        rows = [(event.function_name, one, None, *said) for one in sorted(_hashes(connection, event))]
    else:
        rows = [(event.function_name, None, one.lineage_id, *said) for one in _chosen(connection, event)]
    insert_rows(connection, TABLES["_invalidations"], rows)
    draft.has_set_aside = draft.has_set_aside or bool(rows)
    draft.memory = draft.memory.without_results()


def _hashes(connection: Connection, asked: Invalidated | MemoEntries) -> list[str]:
    """Return the code that is meant by a name, a hash, or both."""
    if asked.function_name is None:
        return [] if asked.function_hash is None else [asked.function_hash]
    condition = Condition()
    condition.one_of("function_name", [asked.function_name])
    if asked.function_hash is not None:
        condition.one_of("function_hash", [asked.function_hash])
    rows = connection.rows(
        f"SELECT DISTINCT function_hash FROM ({_NAMED}) WHERE {condition.text()}", condition.parameters
    )
    return [code for (code,) in rows]


def _condition(connection: Connection, asked: Invalidated | MemoEntries) -> Condition:
    condition = Condition()
    if asked.lineage_ids is not None:
        condition.one_of("c.lineage_id", asked.lineage_ids)
    if asked.function_name is not None or asked.function_hash is not None:
        condition.one_of("c.function_hash", _hashes(connection, asked))
    return condition


def _chosen(connection: Connection, asked: Invalidated | MemoEntries) -> list[Computation]:
    """Return the computations that fulfil all conditions that are given."""
    condition = _condition(connection, asked)
    rows = connection.rows(
        f"SELECT {_COMPUTATION} FROM _computations c WHERE {condition.text()} ORDER BY c.lineage_id",
        condition.parameters,
    )
    return [Computation(*row) for row in rows]


def add_hits(connection: Connection, events: Iterable[Event], stamp: str) -> None:
    """Store how often results were given back."""
    rows = [(one.lineage_id, one.hits, stamp, one.user_id) for one in events if isinstance(one, Hit)]
    insert_rows(connection, TABLES["_hits"], rows)


# ------------------------------------------------------------------ what was set aside


def find_invalidations(connection: Connection, state: State, query: Invalidations) -> list[Invalidation]:
    """Return what was set aside, oldest first."""
    if not state.has_set_aside:
        return []
    code, one = Condition(), Condition()
    code.add("function_hash IS NOT NULL")
    one.add("lineage_id IS NOT NULL")
    if query.function_hash is not None:
        code.one_of("function_hash", [query.function_hash])
    if query.lineage_ids is not None:
        one.one_of("lineage_id", list(query.lineage_ids))
    rows = connection.rows(
        "SELECT function_name, function_hash, lineage_id, reason, timestamp, user_id FROM _invalidations "
        f"WHERE ({code.text()}) OR ({one.text()}) ORDER BY timestamp, function_hash, lineage_id",
        [*code.parameters, *one.parameters],
    )
    return [Invalidation(*row) for row in rows]


# ------------------------------------------------------------------ results


class Made(NamedTuple):
    """A computation, until when its results do not count, and its number in this file, which the log has, too."""

    computation: Computation
    until: str
    number: int


def computations_of(connection: Connection, state: State, lineage_ids: Sequence[str]) -> list[Made]:
    """Return those of these computations that were stored, sorted by lineage_id.

    Asked for alone, since most that is not known is found not to be by its key.
    """
    condition = Condition()
    condition.one_of("c.lineage_id", lineage_ids)
    return _made(connection, state, condition)


def computations_within(connection: Connection, state: State, first: int, last: int) -> list[Made]:
    """Return the computations with these numbers that may have made records."""
    condition = Condition()
    condition.add("c.computation_no BETWEEN ? AND ? AND c.kind = 'value'", first, last)
    return _made(connection, state, condition)


def _made(connection: Connection, state: State, condition: Condition) -> list[Made]:
    until, joined = (_LATER, _UNTIL) if state.has_set_aside else ("''", "")
    rows = connection.rows(
        f"SELECT {_COMPUTATION}, {until}, c.computation_no FROM _computations c{joined} WHERE {condition.text()}",
        condition.parameters,
    )
    # To have DuckDB sort a few takes half as long as the rest of the statement.
    return [Made(Computation(*row[:6]), *row[6:]) for row in sorted(rows, key=itemgetter(0))]


def results_of(connection: Connection, state: State, chosen: Sequence[Made]) -> tuple[list[Result], list[Row]]:
    """Return what counts of each of these computations, in their order, and the entries among it."""
    generated = [one.computation.lineage_id for one in chosen if one.computation.kind == "generated"]
    others = [one.number for one in chosen if one.computation.kind != "generated"]
    entries = _entries(connection, state, others) if others else {}
    executions = _executions(connection, generated) if generated else {}
    found, rows = [], []
    for made, until, _ in chosen:
        if made.lineage_id in executions:
            call_id, stamp = executions[made.lineage_id]
            if stamp > until:
                found.append(Result(made, (), call_id, stamp))
            continue
        counting = [row for row in entries.get(made.lineage_id, ()) if row.record.timestamp > until]
        if counting:
            found.append(result_of(made, [row.record for row in counting]))
            rows += counting
    return found, rows


def result_of(made: Computation, entries: Iterable[Record]) -> Result:
    """Return what a computation gave, from entries that count, newest first."""
    newest: dict[object, Record] = {}
    for one in entries:
        kind = (one.output_num, one.piece, one.pieces, one.content_hash, one.variable, one.encoding, one.schema_version)
        newest.setdefault(kind, one)
    return Result(made, tuple(newest.values()))


def _entries(connection: Connection, state: State, numbers: Sequence[int]) -> dict[str, list[Row]]:
    """Return entries that the computations with these numbers made, newest first."""
    condition = Condition()
    condition.one_of_numbers("m.computation_no", numbers)
    columns = ", ".join([COLUMNS, *(f"s.{quote(key.name)}" for key in state.keys)])
    most = max(_FEW, 4 * len(numbers))
    # With the limit inside, DuckDB knows how few there are, and reads no more places and records.
    made = f"SELECT m.* FROM _record_metadata m WHERE {condition.text()} AND m.output_num IS NOT NULL"
    named = "m JOIN _schema s ON s.schema_id = m.schema_id JOIN _records r ON r.record_no = m.record_no"
    entries = connection.rows(f"SELECT {columns} FROM ({made} LIMIT {most + 1}) {named}", condition.parameters)
    if len(entries) > most:
        newest = (
            " QUALIFY row_number() OVER (PARTITION BY m.computation_no, m.output_num, m.content_hash, m.variable_name, "
            "m.schema_version, m.record_no, m.pieces ORDER BY m.timestamp DESC, m.seq DESC) = 1"
        )
        entries = connection.rows(f"SELECT {columns} FROM ({made}{newest}) {named}", condition.parameters)
    found: dict[str, list[Row]] = {}
    rows = (row_of(state, entry) for entry in entries)
    for row in sorted(rows, key=lambda row: (row.record.timestamp, row.record.seq), reverse=True):
        found.setdefault(row.record.lineage_id or "", []).append(row)
    return found


def _executions(connection: Connection, lineage_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the newest execution of those of these computations whose files no other code has written over."""
    condition = Condition()
    condition.one_of("lineage_id", lineage_ids)
    rows = connection.rows(
        "SELECT c.lineage_id, k.call_id, k.timestamp FROM _computations c JOIN _calls k USING (lineage_id) "
        "WHERE c.kind = 'generated' AND k.recalled_from IS NULL AND (c.function_name, c.inputs_hash) IN "
        f"(SELECT (function_name, inputs_hash) FROM _computations WHERE {condition.text()}) "
        "QUALIFY row_number() OVER (PARTITION BY c.function_name, c.inputs_hash "
        "ORDER BY k.timestamp DESC, k.seq DESC) = 1",
        condition.parameters,
    )
    wanted = set(lineage_ids)
    newest = {lineage_id: (call_id, stamp) for lineage_id, call_id, stamp in rows if lineage_id in wanted}
    lost = _written_over(connection, [call_id for call_id, _ in newest.values()])
    return {lineage_id: found for lineage_id, found in newest.items() if found[0] not in lost}


def _written_over(connection: Connection, call_ids: Sequence[str]) -> set[str]:
    """Return those of these calls of which a file was written again by a later one of the same function."""
    condition = Condition()
    condition.one_of("call_id", call_ids)
    written = (
        "SELECT i.call_id, i.value_repr, k.lineage_id, k.timestamp, k.seq, c.function_name FROM _call_inputs i "
        "JOIN _calls k USING (call_id) JOIN _computations c USING (lineage_id) "
        "WHERE i.kind = 'file' AND i.content_hash IS NULL AND k.recalled_from IS NULL"
    )
    rows = connection.rows(
        f"WITH written AS ({written}), own AS (SELECT * FROM written WHERE {condition.text()}) "
        "SELECT DISTINCT own.call_id FROM own JOIN written w "
        "ON w.function_name = own.function_name AND w.value_repr = own.value_repr "
        "WHERE w.lineage_id <> own.lineage_id AND (w.timestamp, w.seq) > (own.timestamp, own.seq)",
        condition.parameters,
    )
    return {call_id for (call_id,) in rows}


# ------------------------------------------------------------------ use


def find_memo_entries(connection: Connection, query: MemoEntries) -> list[MemoEntry]:
    """Return what is in the memo, and of what use it was."""
    condition = _condition(connection, query)
    rows = connection.rows(
        f"WITH chosen AS (SELECT c.*, {_LATER} AS until FROM _computations c{_UNTIL} WHERE {condition.text()}), "
        "made AS (SELECT c.lineage_id, m.record_no, max(m.timestamp) AS saved FROM _record_metadata m "
        "JOIN chosen c ON c.computation_no = m.computation_no WHERE m.output_num IS NOT NULL AND m.timestamp > c.until "
        "AND c.kind <> 'generated' GROUP BY ALL), "
        "kept AS (SELECT made.lineage_id, max(saved) AS saved, sum(r.nbytes)::BIGINT AS nbytes "
        "FROM made JOIN _records r USING (record_no) GROUP BY ALL), "
        "used AS (SELECT lineage_id, sum(hits)::BIGINT AS hits, max(timestamp) AS last FROM _hits GROUP BY ALL), "
        "runs AS (SELECT function_hash, max(ended) AS last FROM _runs WHERE up_to_date > 0 GROUP BY ALL) "
        f"SELECT {_COMPUTATION}, c.until, kept.saved, kept.nbytes, coalesce(used.hits, 0), coalesce(used.last, ''), "
        "coalesce(runs.last, '') FROM chosen c LEFT JOIN kept USING (lineage_id) LEFT JOIN used USING (lineage_id) "
        "LEFT JOIN runs ON runs.function_hash = c.function_hash "
        "WHERE kept.saved IS NOT NULL OR c.kind = 'generated' ORDER BY c.lineage_id",
        condition.parameters,
    )
    executions = _executions(connection, [row[0] for row in rows if row[5] == "generated"])
    return [entry for row in rows if (entry := _memo_entry(row, executions)) is not None]


def _memo_entry(row: tuple[Any, ...], executions: dict[str, tuple[str, str]]) -> MemoEntry | None:
    made, (until, saved, nbytes, hits, *used) = Computation(*row[:6]), row[6:]
    if made.kind == "generated":
        _, saved = executions.get(made.lineage_id, ("", ""))
        if saved <= until:
            return None
    return MemoEntry(made, saved, nbytes or 0, hits, max(saved, *used))
