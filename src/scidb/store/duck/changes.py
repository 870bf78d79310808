"""What changed between two instants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.store.duck.flags import leave_out
from scidb.store.duck.found import COLUMNS
from scidb.store.duck.rows import natural_order, row_of, versions_that_fit
from scidb.store.duck.sql import Condition, entry_conditions, latest, not_superseded, place_conditions
from scidb.store.model import Change

if TYPE_CHECKING:
    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import Row, State
    from scidb.store.model import Changes

__all__ = ["find_changes"]


def find_changes(connection: Connection, state: State, query: Changes) -> list[Change]:
    """Return where the latest record differs from the one at an earlier instant."""
    group = "m.variable_name, m.schema_id, m.version_keys"
    versions = versions_that_fit(connection, state.keys, query.match)
    texts, parameters = [], []
    for side, instant in enumerate((query.since, query.match.as_of)):
        text, given = _latest_at(state, query, versions, instant)
        texts.append(f"SELECT *, {side} AS side FROM ({text})")
        parameters += given
    differing = (
        f"SELECT m.* FROM ({' UNION ALL '.join(texts)}) m QUALIFY count(*) OVER (PARTITION BY {group}) = 1 "
        f"OR min(m.record_no) OVER (PARTITION BY {group}) <> max(m.record_no) OVER (PARTITION BY {group})"
    )
    keys = "".join(f", m.k{number}" for number in range(len(state.keys)))
    found = connection.rows(
        f"SELECT m.side, EXISTS (SELECT 1 FROM _record_metadata e WHERE e.record_no = m.record_no "
        f"AND e.timestamp <= ?), {COLUMNS}{keys} FROM ({differing}) m "
        f"JOIN _records r ON r.record_no = m.record_no ORDER BY m.variable_name, {natural_order(state.keys)}, m.side",
        [query.since, *parameters],
    )
    return _paired([(side, was_logged, row_of(state, tuple(row))) for side, was_logged, *row in found])


def _latest_at(
    state: State, query: Changes, versions: list[str] | None, instant: str | None
) -> tuple[str, list[object]]:
    """Return the statement for the latest entries at an instant."""
    place = place_conditions(state.keys, query.match, versions)
    # A piece goes also when others are written, and what is excluded when it is flagged.
    if not state.has_pieces(query.match.variables) and query.match.exclude is False:
        first = min(query.since, query.match.as_of or query.since)
        place.add("m.schema_id IN (SELECT schema_id FROM _record_metadata WHERE timestamp > ?)", first)
    until = Condition()
    if instant is not None:
        until.add("m.timestamp <= ?", instant)
        place.add("m.timestamp <= ?", instant)
        if state.has_pruned:
            not_superseded(place, instant)
    source, kept = latest(state.keys, place, until, pieces=state.has_pieces(query.match.variables))
    entry = entry_conditions(query.match)
    leave_out(entry, state, query.match, instant)
    return f"SELECT m.* FROM {source} WHERE {kept} AND {entry.text()}", [*place.parameters, *entry.parameters]


def _paired(found: list[tuple[int, bool, Row]]) -> list[Change]:
    sides: dict[tuple[str, int, str], list[Row | None]] = {}
    logged: dict[str, bool] = {}
    for side, was_logged, row in found:
        key = row.record.variable, row.schema_id, row.record.version_keys
        sides.setdefault(key, [None, None])[side] = row
        logged[row.record.record_id] = was_logged
    return [
        Change(
            before.record if before else None,
            after.record if after else None,
            after is not None and logged[after.record.record_id],
        )
        for before, after in sides.values()
    ]
