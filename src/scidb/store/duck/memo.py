"""The memo in the file: what computations gave, what was set aside, and of what use it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scidb.store.duck.insert import insert_rows
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
    SetAside,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import Event

__all__ = ["add_hits", "find_invalidations", "find_memo_entries", "find_results", "invalidate", "result_of"]

_COMPUTATION: Final = "c.lineage_id, c.function_name, c.function_hash, c.inputs_hash, c.outputs, c.kind"
_NAMED: Final = " UNION ALL ".join(
    f"SELECT function_name, function_hash FROM {table}" for table in ("_computations", "_lineage", "_runs")
)
# The fields of a record that the log has, in their order, and the numbers of its location and of its data.
_LOGGED: Final = (
    "record_id", "variable_name", "version_keys", "content_hash", "schema_version", "lineage_id", "call_id",
    "output_num", "piece", "pieces", "user_id", "timestamp", "seq", "schema_id", "record_no",
)  # fmt: skip
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


def _set_aside(connection: Connection, state: State, made: Collection[Computation]) -> SetAside:
    codes = {one.function_hash for one in made}
    only = next(iter(codes)) if len(codes) == 1 else None
    ids = tuple(one.lineage_id for one in made)
    return SetAside.of(find_invalidations(connection, state, Invalidations(only, ids)))


# ------------------------------------------------------------------ results


def find_results(connection: Connection, state: State, lineage_ids: Sequence[str]) -> list[Result]:
    """Return what counts of each of these computations, sorted by lineage_id."""
    chosen = _chosen(connection, MemoEntries(lineage_ids=tuple(lineage_ids)))
    if not chosen:
        return []
    aside = _set_aside(connection, state, chosen)
    generated = [one.lineage_id for one in chosen if one.kind == "generated"]
    entries = _entries(connection, state, [one.lineage_id for one in chosen if one.kind != "generated"])
    executions = _executions(connection, generated) if generated else {}
    found = []
    for made in chosen:
        if made.lineage_id in executions:
            call_id, stamp = executions[made.lineage_id]
            if aside.counts(stamp, made.function_hash, made.lineage_id):
                found.append(Result(made, (), call_id, stamp))
            continue
        counting = [
            one
            for one in entries.get(made.lineage_id, ())
            if aside.counts(one.timestamp, made.function_hash, made.lineage_id)
        ]
        if counting:
            found.append(result_of(made, counting))
    return found


def result_of(made: Computation, entries: Iterable[Record]) -> Result:
    """Return what a computation gave, from entries that count, newest first."""
    newest: dict[object, Record] = {}
    for one in entries:
        kind = (one.output_num, one.piece, one.pieces, one.content_hash, one.variable, one.encoding, one.schema_version)
        newest.setdefault(kind, one)
    return Result(made, tuple(newest.values()))


def _entries(connection: Connection, state: State, lineage_ids: Sequence[str]) -> dict[str, list[Record]]:
    """Return entries that these computations made, newest first."""
    if not lineage_ids:
        return {}
    condition = Condition()
    condition.one_of("lineage_id", lineage_ids)
    query = f"SELECT {', '.join(_LOGGED)} FROM _record_metadata WHERE {condition.text()} AND output_num IS NOT NULL"
    most = max(_FEW, 4 * len(lineage_ids))
    rows = connection.rows(f"{query} LIMIT {most + 1}", condition.parameters)
    if len(rows) > most:
        newest = (
            " QUALIFY row_number() OVER (PARTITION BY lineage_id, output_num, content_hash, variable_name, "
            "schema_version, record_no, pieces ORDER BY timestamp DESC, seq DESC) = 1"
        )
        rows = connection.rows(query + newest, condition.parameters)
    # One after the other: a join takes longer to plan than all of them to run.
    stored = _by_number(connection, "_records", "record_no", ("encoding", "nbytes"), {row[-1] for row in rows})
    unknown = {row[-2] for row in rows} - state.memory.shown.keys()
    keys = tuple(key.name for key in state.keys)
    for number, texts in _by_number(connection, "_schema", "schema_id", keys, unknown).items():
        state.show(number, texts)
    entries = [_record(state, row, *stored[row[-1]]) for row in rows]
    found: dict[str, list[Record]] = {}
    for one in sorted(entries, key=lambda one: (one.timestamp, one.seq), reverse=True):
        found.setdefault(one.lineage_id or "", []).append(one)
    return found


def _record(state: State, row: tuple[Any, ...], encoding: str, nbytes: int) -> Record:
    place = state.memory.shown[row[-2]]
    values: tuple[Any, ...] = (*row[:2], place, *row[2:5], encoding, nbytes, *row[5:-2])
    return Record(*values)


def _by_number(
    connection: Connection, table: str, key: str, columns: Sequence[str], numbers: Collection[int]
) -> dict[int, tuple[Any, ...]]:
    if not numbers:
        return {}
    condition = Condition()
    condition.one_of(key, sorted(numbers))
    names = ", ".join([key, *map(quote, columns)])
    rows = connection.rows(f"SELECT {names} FROM {table} WHERE {condition.text()}", condition.parameters)
    return {row[0]: row[1:] for row in rows}


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
        "WITH chosen AS (SELECT c.*, greatest(coalesce(f.until, ''), coalesce(g.until, '')) AS until "
        "FROM _computations c "
        "LEFT JOIN (SELECT function_hash, max(timestamp) AS until FROM _invalidations GROUP BY ALL) f "
        "ON f.function_hash = c.function_hash "
        "LEFT JOIN (SELECT lineage_id, max(timestamp) AS until FROM _invalidations GROUP BY ALL) g "
        f"ON g.lineage_id = c.lineage_id WHERE {condition.text()}), "
        "made AS (SELECT m.lineage_id, m.record_no, max(m.timestamp) AS saved FROM _record_metadata m "
        "JOIN chosen c ON c.lineage_id = m.lineage_id WHERE m.output_num IS NOT NULL AND m.timestamp > c.until "
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
