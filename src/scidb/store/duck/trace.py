"""Provenance: the calls behind records, the calls after them, and the type-level pipeline.

One handful of statements per step of the walk, however many calls it meets.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from scidb.hashing.ids import is_lineage_alone
from scidb.store.duck.edges import current_edges
from scidb.store.duck.few import newest_entries
from scidb.store.duck.sql import Condition, logged
from scidb.store.model import Call, CallInput, Computation, Trace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import Record, TraceQuery

__all__ = ["walk"]


def walk(connection: Connection, state: State, query: TraceQuery) -> Trace:
    """Return the calls up- or downstream of the records, nearest first, with what they used and made."""
    up = query.direction == "up"
    calls: dict[str, Call] = {}
    numbers: set[int] = set()
    newest = {one.record_id: one for one in (newest_entries(connection, state, query.record_ids) if up else ())}
    first = _makers(newest, query.record_ids) if up else _takers(connection, state, query.record_ids)
    frontier = [*first, *query.call_ids]
    distance = 0
    while frontier and query.depth != 0:
        fresh, of_fresh = _calls(connection, [call_id for call_id in dict.fromkeys(frontier) if call_id not in calls])
        calls.update((call.call_id, call) for call in fresh)
        numbers |= of_fresh
        distance += 1
        if distance == query.depth:
            break
        if up:
            frontier = [one.input_call_id for call in fresh for one in call.inputs if one.input_call_id]
        else:
            frontier = _users(connection, state, fresh)
    named = [*query.record_ids, *_records_of(connection, list(calls.values()), numbers)]
    newest |= {one.record_id: one for one in newest_entries(connection, state, set(named) - newest.keys())}
    return Trace(
        calls=tuple(calls.values()),
        records=tuple(sorted(newest.values(), key=lambda record: (record.timestamp, record.seq))),
        edges=tuple(current_edges(connection)) if query.edges else (),
    )


def _makers(newest: Mapping[str, Record], record_ids: Sequence[str]) -> list[str]:
    """Return the calls that made these records, as their newest entries say."""
    found = (newest[record_id].call_id for record_id in record_ids if record_id in newest)
    return [call_id for call_id in found if call_id]


def _takers(connection: Connection, state: State, record_ids: Sequence[str]) -> list[str]:
    """Return the calls that took one of these records, in the order of time."""
    condition = _given(state, record_ids)
    return [
        call_id
        for (call_id,) in connection.rows(
            "SELECT DISTINCT ON (c.timestamp, c.seq) c.call_id FROM _call_inputs i JOIN _calls c USING (call_id) "
            f"WHERE {condition.text()} ORDER BY c.timestamp, c.seq",
            condition.parameters,
        )
    ]


def _given(state: State, record_ids: Sequence[str]) -> Condition:
    """Return the condition that an input ``i`` is one of these records: by number, by which the file is in order.

    A record that was saved again after it was pruned has two. Of what was erased or lost nobody knows the old one.
    """
    condition, named = Condition(), Condition()
    if state.has_lost or any(map(is_lineage_alone, record_ids)):
        condition.one_of("i.record_id", list(record_ids))
        return condition
    named.one_of("record_id", list(record_ids))
    numbers = [f"SELECT record_no FROM {table} WHERE {named.text()}" for table in _numbered(state)]
    condition.add(f"i.record_no IN ({' UNION ALL '.join(numbers)})", *named.parameters * len(numbers))
    return condition


def _numbered(state: State) -> list[str]:
    return ["_records", "_pruned"] if state.has_pruned else ["_records"]


def _users(connection: Connection, state: State, calls: Sequence[Call]) -> list[str]:
    """Return the calls that took what each of these made, saved (by record) or handed on unsaved (by call)."""
    ids = [call.call_id for call in calls]
    if not ids:
        return []
    saved, unsaved = Condition(), Condition()
    saved.one_of("m.call_id", ids)
    unsaved.one_of("i.input_call_id", ids)
    made = f"SELECT m.call_id AS maker, m.* FROM {logged(pruned=state.has_pruned)} m WHERE {saved.text()}"
    same = "i.record_id = m.record_id" if state.has_lost else "i.record_no = m.record_no"
    if state.has_pruned and not state.has_lost:
        numbers = (f"SELECT maker, r.record_no FROM made JOIN {one} r USING (record_id)" for one in _numbered(state))
        made = f"WITH made AS ({made}) {' UNION '.join(numbers)}"
    rows = connection.rows(
        "SELECT DISTINCT maker, user_id, timestamp, seq FROM ("
        f"SELECT maker, c.call_id AS user_id, c.timestamp, c.seq FROM ({made}) m "
        f"JOIN _call_inputs i ON {same} JOIN _calls c ON c.call_id = i.call_id UNION ALL "
        "SELECT i.input_call_id, c.call_id, c.timestamp, c.seq FROM _call_inputs i "
        f"JOIN _calls c ON c.call_id = i.call_id WHERE i.record_id IS NULL AND {unsaved.text()}) "
        "ORDER BY timestamp, seq",
        [*saved.parameters, *unsaved.parameters],
    )
    users: dict[str, list[str]] = {}
    for maker, user, _, _ in rows:
        users.setdefault(maker, []).append(user)
    return [user for call_id in ids for user in users.get(call_id, ())]


def _calls(connection: Connection, call_ids: Sequence[str]) -> tuple[list[Call], set[int]]:
    """Return the calls that are stored, in the order of their ids as given, and the numbers of their computations."""
    if not call_ids:
        return [], set()
    condition = Condition()
    condition.one_of("call_id", call_ids)
    inputs: dict[str, list[CallInput]] = {}
    given = connection.rows(
        "SELECT call_id, position, name, kind, record_id, input_call_id, output_num, type_name, content_hash, "
        f"value_repr, root, literal, code_hash, is_default, key FROM _call_inputs WHERE {condition.text()}",
        condition.parameters,
    )
    for call_id, _, *values in sorted(given, key=itemgetter(1)):  # DuckDB takes longer to sort the few of a call
        inputs.setdefault(call_id, []).append(CallInput(*values))
    rows = connection.rows(
        "SELECT c.call_id, c.run_id, c.user_id, c.environment_id, c.seconds, c.recalled_from, c.timestamp, "
        "c.function_ref, "
        "p.lineage_id, p.function_name, p.function_hash, p.inputs_hash, p.outputs, p.kind, p.computation_no "
        f"FROM _calls c JOIN _computations p USING (lineage_id) WHERE {condition.text()}",
        condition.parameters,
    )
    found = {row[0]: Call(row[0], Computation(*row[8:14]), tuple(inputs.get(row[0], ())), *row[1:8]) for row in rows}
    return [found[call_id] for call_id in call_ids if call_id in found], {row[14] for row in rows}


def _records_of(connection: Connection, calls: Sequence[Call], numbers: Collection[int]) -> Iterable[str]:
    """Return the records that calls used or made; the numbers are those of their computations."""
    used = [one.record_id for call in calls for one in call.inputs if one.record_id]
    if not calls:
        return used
    condition = Condition()
    # By numbers fewer lines are looked at, and ids are compared in these alone.
    condition.one_of_numbers("computation_no", list(numbers))
    condition.one_of("call_id", [call.call_id for call in calls])
    made = connection.rows(
        f"SELECT DISTINCT record_id FROM _record_metadata WHERE {condition.text()}", condition.parameters
    )
    return [*used, *(record_id for (record_id,) in made)]
