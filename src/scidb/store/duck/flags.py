"""Flags on records, and everything that rests on them: one statement for the whole graph.

What rests on flags now is remembered until a write touches it, since every load asks for it where there are flags.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from scidb.store.duck.insert import insert_rows
from scidb.store.duck.sql import Condition, logged
from scidb.store.duck.state import Marked
from scidb.store.duck.tables import TABLES
from scidb.store.model import Flag, Flagged, Mark, Unflagged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import Batch, Event, Flags, Marks, Match

__all__ = ["add_flags", "find_flags", "find_marks", "leave_out", "marked", "touches"]

_KINDS: Final = {False: "flag", True: "pin"}


def add_flags(connection: Connection, draft: State, events: Sequence[Event], stamp: str) -> None:
    """Note flags, and those that are taken back, a line each."""
    said = [event for event in events if isinstance(event, Flagged | Unflagged)]
    lines = [(record_id, event) for event in said for record_id in dict.fromkeys(event.record_ids)]
    rows = [
        (record_id, _KINDS[event.is_pin], event.reason, stamp, event.user_id, isinstance(event, Unflagged), number)
        for number, (record_id, event) in enumerate(lines)
    ]
    insert_rows(connection, TABLES["_flags"], rows)
    draft.has_flags = draft.has_flags or bool(rows)


def find_flags(connection: Connection, query: Flags) -> list[Flag]:
    """Return the flags that stand, in the order of flagging."""
    condition = _until("timestamp", query.as_of)
    if query.record_ids is not None:
        condition.one_of("record_id", list(query.record_ids))
    rows = connection.rows(
        "SELECT record_id, reason, kind, timestamp, user_id, lifted FROM _flags "
        f"WHERE {condition.text()} ORDER BY timestamp, seq",
        condition.parameters,
    )
    standing: dict[tuple[str, str, str], Flag] = {}
    for record_id, reason, kind, stamp, user, lifted in rows:
        if lifted:
            standing.pop((record_id, kind, reason), None)
        else:
            standing.setdefault((record_id, kind, reason), Flag(record_id, reason, kind == "pin", stamp, user))
    return list(standing.values())


def find_marks(connection: Connection, state: State, query: Marks) -> list[Mark]:
    """Return on which flags records rest."""
    if not state.has_flags:
        return []
    is_past = query.as_of is not None and query.as_of < state.clockwork.timestamp
    by_record = (
        _read(connection, query.as_of, pruned=state.has_pruned) if is_past else marked(connection, state)
    ).by_record
    wanted = by_record if query.record_ids is None else dict.fromkeys(query.record_ids)
    return sorted(
        mark
        for record_id in wanted
        for mark in by_record.get(record_id, ())
        if query.reasons is None or mark.reason in query.reasons
    )


def marked(connection: Connection, state: State) -> Marked:
    """Return what rests on flags now."""
    if state.marked is None:
        state.marked = _read(connection, None, pruned=state.has_pruned) if state.has_flags else Marked({}, frozenset())
    return state.marked


def _read(connection: Connection, as_of: str | None, *, pruned: bool) -> Marked:
    text, parameters = _resting(None, as_of, pruned=pruned)
    rows = connection.rows(
        f"{text} SELECT record_id, flagged, reason, FALSE FROM rests UNION ALL SELECT call_id, flagged, reason, TRUE "
        "FROM reached",
        parameters,
    )
    by_record: dict[str, set[Mark]] = defaultdict(set)
    calls = set()
    for name, flagged, reason, is_call in rows:
        if is_call:
            calls.add(name)
        else:
            by_record[name].add(Mark(name, flagged, reason))
    return Marked({record_id: tuple(marks) for record_id, marks in by_record.items()}, frozenset(calls))


def touches(batch: Batch, known: Marked) -> bool:
    """Say whether what rests on flags may be other after a batch."""
    if any(isinstance(event, Flagged | Unflagged) for event in batch.events):
        return True
    if not known.by_record:
        return False
    if any(
        one.input_call_id in known.calls or one.record_id in known.by_record
        for call in batch.calls
        for one in call.inputs
    ):
        return True
    return any(
        record.record_id in known.by_record or record.call_id in known.calls
        for chunk in batch.chunks
        for record in chunk.records
    )


def _resting(reasons: Sequence[str] | None, as_of: str | None, *, pruned: bool) -> tuple[str, list[object]]:
    """Return tables for a query, with their parameters: what ``rests`` on flags, and the calls that are ``reached``.

    Which call a record comes from is what its newest entry says, so that what was made anew from better data is
    free. All arrows of the graph are drawn once, and then walked; the log is read for records of flagged calls only.
    """
    flags, entries = _until("timestamp", as_of), _until("m.timestamp", as_of)
    named = Condition()
    if reasons is not None:
        named.one_of("reason", list(reasons))
    record = "m.record_id" if pruned else "m.record_no"  # a number is quicker, and that of pruned lines is gone
    text = (
        "WITH RECURSIVE standing AS (SELECT record_id AS flagged, reason FROM (SELECT * FROM _flags "
        f"WHERE kind = 'flag' AND {flags.text()} QUALIFY row_number() OVER "
        f"(PARTITION BY record_id, reason ORDER BY timestamp DESC, seq DESC) = 1) "
        f"WHERE NOT lifted AND {named.text()}), "
        "origin AS MATERIALIZED (SELECT record_id, call_id FROM (SELECT m.record_id, m.call_id "
        f"FROM {logged(pruned=pruned)} m WHERE {entries.text()} QUALIFY row_number() OVER "
        f"(PARTITION BY {record} ORDER BY m.timestamp DESC, m.seq DESC) = 1) WHERE call_id IS NOT NULL), "
        "arrow AS MATERIALIZED (SELECT o.call_id AS maker, i.call_id AS taker FROM origin o "
        "JOIN _call_inputs i ON i.record_id = o.record_id UNION "
        "SELECT input_call_id, call_id FROM _call_inputs WHERE record_id IS NULL AND input_call_id IS NOT NULL), "
        "reached(flagged, reason, call_id) AS (SELECT s.flagged, s.reason, i.call_id FROM standing s "
        "JOIN _call_inputs i ON i.record_id = s.flagged UNION "
        "SELECT r.flagged, r.reason, a.taker FROM reached r JOIN arrow a ON a.maker = r.call_id), "
        "rests(record_id, flagged, reason) AS (SELECT flagged, flagged, reason FROM standing UNION ALL "
        "SELECT o.record_id, r.flagged, r.reason FROM reached r JOIN origin o ON o.call_id = r.call_id)"
    )
    return text, [*flags.parameters, *named.parameters, *entries.parameters]


def leave_out(entry: Condition, state: State, match: Match, as_of: str | None) -> None:
    """Add to what is asked of an entry ``m`` that its record rests on no flag that the match excludes."""
    if match.exclude is False:
        return
    reasons = None if match.exclude is True else match.exclude
    if state.marked is None or (as_of is not None and as_of < state.clockwork.timestamp):
        text, parameters = _resting(reasons, as_of, pruned=state.has_pruned)
        entry.add(f"m.record_id NOT IN ({text} SELECT record_id FROM rests)", *parameters)
        return
    excluded = [
        record_id
        for record_id, marks in state.marked.by_record.items()
        if reasons is None or any(mark.reason in reasons for mark in marks)
    ]
    if excluded:
        entry.add("m.record_id NOT IN (SELECT unnest(?))", excluded)


def _until(column: str, as_of: str | None) -> Condition:
    condition = Condition()
    if as_of is not None:
        condition.add(f"{column} <= ?", as_of)
    return condition
