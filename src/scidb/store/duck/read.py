"""Reading records: the rows that answer a question, and their payloads, one Arrow row per record."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from scidb.store.columns import column_of
from scidb.store.duck.few import FEW, few_entries, few_identified, latest_among
from scidb.store.duck.filtering import where_it_holds
from scidb.store.duck.flags import leave_out, marked
from scidb.store.duck.found import LOGGED, Found, newest_of
from scidb.store.duck.large import unread
from scidb.store.duck.payloads import Payloads
from scidb.store.duck.remembered import one_place, remembered
from scidb.store.duck.rows import natural_order, rows_of, versions_that_fit
from scidb.store.duck.sql import (
    NEWEST_FIRST,
    Condition,
    Question,
    asks_entry,
    entry_conditions,
    latest,
    located,
    not_superseded,
    of_records,
    place_conditions,
    sibling_conditions,
)
from scidb.store.model import Chunk, Entries, Latest, Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State

__all__ = ["chunks", "find_rows"]

_MANY: Final = 100_000

# A window of records is read with one statement per layout; so much of it is in memory at once.
_WINDOW_RECORDS: Final = 16_384
_WINDOW_BYTES: Final = 64 * 2**20


# ------------------------------------------------------------------ rows


def find_rows(connection: Connection, state: State, query: Latest | Records | Entries) -> Found:
    """Return the entries that answer a question, in its order."""
    if query.match.exclude and not state.has_flags:
        query = replace(query, match=replace(query.match, exclude=False))
    elif query.match.exclude and query.match.as_of is None:
        marked(connection, state)  # is then remembered
    match = query.match
    if match.where is None and isinstance(query, Latest) and (known := remembered(state, match)) is not None:
        return Found.of(known[: query.limit])
    if match.where is not None:
        # The log only grows, so that filter and answer see one state as of one instant, whoever writes in between.
        instant = state.clockwork.timestamp
        pinned = instant if match.as_of is None else min(match.as_of, instant)
        query = replace(query, match=replace(match, as_of=pinned))
        holding = where_it_holds(connection, state, match, _locations(connection, state, query), pinned)
    place, until = _place(connection, state, query)
    if match.where is not None and holding is not None:
        place.one_of("m.schema_id", holding)
    if isinstance(query, Latest) and (picked := _picked(connection, state, query, place)) is not None:
        return picked
    if isinstance(query, Entries) and (few := few_entries(connection, state, query, place)) is not None:
        return Found.of(few)
    if isinstance(query, Records) and (query.match.record_ids, query.match.record_prefix) != (None, None):
        newest = few_identified(connection, state, query.match, place)
        if newest is not None:
            return Found.of(newest)
    return Found.of(rows_of(connection, state, _question(state, query, place, until)))


def _locations(connection: Connection, state: State, query: Latest | Records | Entries) -> Question:
    """Return a question with the same locations, and at each the same newest records, that picks them if it must."""
    place, until = _place(connection, state, query)
    if isinstance(query, Latest) and not state.has_pieces(query.match.variables) and not asks_entry(query.match):
        return Question("_record_metadata m JOIN _schema s USING (schema_id)", place.text(), place.parameters, "")
    return _question(state, query, place, until)


def _place(connection: Connection, state: State, query: Latest | Records | Entries) -> tuple[Condition, Condition]:
    """Return what is asked of variable, location, version keys and time, and the part on the time."""
    match = query.match
    place = place_conditions(state.keys, match, versions_that_fit(connection, state.keys, match))
    schema_id = one_place(state, match)
    if schema_id is not None:
        place.one_of("m.schema_id", [schema_id])
    until = Condition()
    if match.as_of is not None:
        until.add("m.timestamp <= ?", match.as_of)
        place.add("m.timestamp <= ?", match.as_of)
        if isinstance(query, Latest) and state.has_pruned:
            not_superseded(place, match.as_of)
    return place, until


def _question(state: State, query: Latest | Records | Entries, place: Condition, until: Condition) -> Question:
    entry = entry_conditions(query.match)
    leave_out(entry, state, query.match, query.match.as_of)
    if isinstance(query, Latest):
        if query.match.record_ids is not None:
            # What is the latest is decided among all at a place, but only at places of these records.
            among, *given = of_records(query.match.record_ids)
            place.add(f"s.schema_id IN (SELECT m.schema_id FROM _record_metadata m WHERE {among})", *given)
        until = sibling_conditions(state.keys, query.match, until)
        source, kept = latest(state.keys, place, until, pieces=state.has_pieces(query.match.variables))
        place.add(entry.text(), *entry.parameters)
        order = natural_order(state.keys) + _limit(query.limit)
        return Question(source, f"{kept} AND {entry.text()}", place.parameters, order)
    place.add(entry.text(), *entry.parameters)
    if isinstance(query, Records):
        newest = f" QUALIFY row_number() OVER (PARTITION BY m.record_no ORDER BY {NEWEST_FIRST}) = 1"
        order = natural_order(state.keys)
    else:
        newest, order = "", NEWEST_FIRST + _limit(query.limit)
    source = (
        f"(SELECT {located(state.keys)} FROM _record_metadata m JOIN _schema s USING (schema_id) "
        f"WHERE {place.text()}{newest}) m"
    )
    return Question(source, "TRUE", place.parameters, order)


def _limit(count: int | None) -> str:
    return "" if count is None else f" LIMIT {int(count)}"


def _picked(connection: Connection, state: State, query: Latest, place: Condition) -> Found | None:
    """Find what may be the latest, and pick the newest here, where that is faster than in SQL.

    None when they are too many to be had at once, or when the question needs more than the newest.
    """
    if state.has_pieces(query.match.variables) or asks_entry(query.match):
        return None
    if query.match.schema and all(len(wanted) <= FEW for wanted in query.match.schema.values()):
        few = latest_among(connection, state, place)
        if few is not None:
            return Found.of(few[: query.limit])
    # Only what is asked of a location needs it here.
    joined = " JOIN _schema s ON s.schema_id = m.schema_id" if query.match.schema else ""
    logged = connection.table(
        f"SELECT {LOGGED} FROM _record_metadata m{joined} WHERE {place.text()} LIMIT {_MANY + 1}", place.parameters
    )
    return None if logged.num_rows > _MANY else newest_of(connection, state, logged, query.limit)


# ------------------------------------------------------------------ payloads


def chunks(connection: Connection, state: State, found: Found) -> Iterator[Chunk]:
    """Stream entries with their payloads; those that follow each other with one encoding come together."""
    for window in _windows(found):
        if (large := unread(connection, state, window)) is not None:
            yield large
            continue
        payloads = Payloads(connection, state, window)
        columns = [*(column_of(window.records, name) for name in ("encoding", "variable")), window.layouts]
        starts = [0, *_changes(columns), len(window)]
        # Columns are for records that come together; cut into pieces they cost more.
        records = window.records if len(starts) < 3 + len(window) // 16 else tuple(window.records)
        for start, stop in itertools.pairwise(starts):
            # A value that kept its part of a table with others in it would keep all of it.
            yield Chunk(records[start:stop], payloads.of(window[start:stop]), given=len(window) == 1)
        del payloads  # before the next one is read


def _changes(columns: Sequence[Sequence[str]]) -> list[int]:
    """Return where a row is not as the one before."""
    if all(len(set(column)) == 1 for column in columns):
        return []
    rows = list(zip(*columns, strict=True))
    return [at for at in range(1, len(rows)) if rows[at] != rows[at - 1]]


def _windows(found: Found) -> Iterator[Found]:
    sizes = column_of(found.records, "nbytes")
    if 0 < len(found) <= _WINDOW_RECORDS and sum(sizes) <= _WINDOW_BYTES:
        yield found
        return
    start = size = 0
    for position, nbytes in enumerate(sizes):
        if position > start and (position - start >= _WINDOW_RECORDS or size + nbytes > _WINDOW_BYTES):
            yield found[start:position]
            start, size = position, 0
        size += nbytes
    if start < len(found):
        yield found[start:]
