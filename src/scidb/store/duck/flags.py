"""Flags on records, and everything that rests on them: one statement for the whole graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scidb.store.duck.insert import insert_rows
from scidb.store.duck.sql import Condition
from scidb.store.duck.tables import TABLES
from scidb.store.model import Flag, Flagged, Mark, Unflagged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import Event, Flags, Marks, Match

__all__ = ["add_flags", "find_flags", "find_marks", "leave_out"]

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
    text, parameters = _resting(query.reasons, query.as_of)
    wanted = Condition()
    if query.record_ids is not None:
        wanted.one_of("record_id", list(query.record_ids))
    rows = connection.rows(
        f"SELECT DISTINCT record_id, flagged, reason FROM ({text}) WHERE {wanted.text()}",
        [*parameters, *wanted.parameters],
    )
    return sorted(Mark(*row) for row in rows)


def _resting(reasons: Sequence[str] | None, as_of: str | None) -> tuple[str, list[object]]:
    """Return a query for the records that rest on flags, each with the flagged one and the reason, and its parameters.

    Which call a record comes from is what its newest entry says, so that what was made anew from better data is
    free. All arrows of the graph are drawn once, and then walked; the log is read for records of flagged calls only.
    """
    flags, entries = _until("timestamp", as_of), _until("m.timestamp", as_of)
    named = Condition()
    if reasons is not None:
        named.one_of("reason", list(reasons))
    text = (
        "WITH RECURSIVE standing AS (SELECT record_id AS flagged, reason FROM (SELECT * FROM _flags "
        f"WHERE kind = 'flag' AND {flags.text()} QUALIFY row_number() OVER "
        f"(PARTITION BY record_id, reason ORDER BY timestamp DESC, seq DESC) = 1) "
        f"WHERE NOT lifted AND {named.text()}), "
        "origin AS MATERIALIZED (SELECT record_id, call_id FROM (SELECT m.record_id, m.call_id "
        f"FROM _record_metadata m WHERE {entries.text()} QUALIFY row_number() OVER "
        "(PARTITION BY m.record_no ORDER BY m.timestamp DESC, m.seq DESC) = 1) WHERE call_id IS NOT NULL), "
        "arrow AS MATERIALIZED (SELECT o.call_id AS maker, i.call_id AS taker FROM origin o "
        "JOIN _call_inputs i ON i.record_id = o.record_id UNION "
        "SELECT input_call_id, call_id FROM _call_inputs WHERE record_id IS NULL AND input_call_id IS NOT NULL), "
        "reached(flagged, reason, call_id) AS (SELECT s.flagged, s.reason, i.call_id FROM standing s "
        "JOIN _call_inputs i ON i.record_id = s.flagged UNION "
        "SELECT r.flagged, r.reason, a.taker FROM reached r JOIN arrow a ON a.maker = r.call_id) "
        "SELECT flagged AS record_id, flagged, reason FROM standing UNION ALL "
        "SELECT o.record_id, r.flagged, r.reason FROM reached r JOIN origin o ON o.call_id = r.call_id"
    )
    return text, [*flags.parameters, *named.parameters, *entries.parameters]


def leave_out(entry: Condition, match: Match, as_of: str | None) -> None:
    """Add to what is asked of an entry ``m`` that its record rests on no flag that the match excludes."""
    if match.exclude is not False:
        text, parameters = _resting(None if match.exclude is True else match.exclude, as_of)
        entry.add(f"m.record_id NOT IN (SELECT record_id FROM ({text}))", *parameters)


def _until(column: str, as_of: str | None) -> Condition:
    condition = Condition()
    if as_of is not None:
        condition.add(f"{column} <= ?", as_of)
    return condition
