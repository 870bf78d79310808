"""Reading records: the rows that answer a question, and their payloads, one Arrow row per record."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from scidb.store.columns import column_of
from scidb.store.duck.filtering import where_it_holds
from scidb.store.duck.flags import leave_out, marked
from scidb.store.duck.found import COLUMNS, LINE, LOGGED, Found, newest_of
from scidb.store.duck.large import unread
from scidb.store.duck.payloads import Payloads
from scidb.store.duck.rows import natural_order, row_of, rows_of, versions_that_fit
from scidb.store.duck.sql import (
    NEWEST_FIRST,
    Condition,
    Question,
    entry_conditions,
    identified,
    latest,
    located,
    near,
    not_superseded,
    of_records,
    place_conditions,
    quote,
    sibling_conditions,
)
from scidb.store.duck.types import fitting_text
from scidb.store.model import Chunk, Entries, Latest, Match, Record, Records
from scidb.store.versions import version_fits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import Row, State

__all__ = ["chunks", "find_rows", "is_one_place", "latest_within", "newest_entries"]

# What is stored once of a record, after its id.
_STORED: Final = "r.content_hash, r.schema_version, r.encoding, r.nbytes, r.layout"
_FEW: Final = 2_000
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
    if match.where is None and isinstance(query, Latest) and (known := _remembered(state, match)) is not None:
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
    if isinstance(query, Entries) and (few := _few_entries(connection, state, query, place)) is not None:
        return Found.of(few)
    if isinstance(query, Records) and (query.match.record_ids, query.match.record_prefix) != (None, None):
        newest = _newest_of_few(
            state, lambda: _few_identified(connection, state, query.match, place), lambda row: row.record.record_id
        )
        if newest is not None:
            return Found.of(newest)
    return Found.of(rows_of(connection, state, _question(state, query, place, until)))


def _locations(connection: Connection, state: State, query: Latest | Records | Entries) -> Question:
    """Return a question with the same locations, and at each the same newest records, that picks them if it must."""
    place, until = _place(connection, state, query)
    if isinstance(query, Latest) and not state.has_pieces(query.match.variables) and not _asks_entry(query.match):
        return Question("_record_metadata m JOIN _schema s USING (schema_id)", place.text(), place.parameters, "")
    return _question(state, query, place, until)


def _asks_entry(match: Match) -> bool:
    asked = match.record_ids, match.record_prefix, match.lineage_ids, match.call_ids
    return match.exclude is not False or any(part is not None for part in asked)


def _place(connection: Connection, state: State, query: Latest | Records | Entries) -> tuple[Condition, Condition]:
    """Return what is asked of variable, location, version keys and time, and the part on the time."""
    match = query.match
    place = place_conditions(state.keys, match, versions_that_fit(connection, state.keys, match))
    schema_id = _one_place(state, match)
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
    if state.has_pieces(query.match.variables) or _asks_entry(query.match):
        return None
    if query.match.schema and all(len(wanted) <= _FEW for wanted in query.match.schema.values()):
        few = _newest_of_few(
            state,
            lambda: _few(connection, state, place, _FEW + 1),
            lambda row: (row.record.variable, row.schema_id, row.record.version_keys),
        )
        if few is not None:
            return Found.of(few[: query.limit])
    # Only what is asked of a location needs it here.
    joined = " JOIN _schema s ON s.schema_id = m.schema_id" if query.match.schema else ""
    logged = connection.table(
        f"SELECT {LOGGED} FROM _record_metadata m{joined} WHERE {place.text()} LIMIT {_MANY + 1}", place.parameters
    )
    return None if logged.num_rows > _MANY else newest_of(connection, state, logged, query.limit)


def _newest_of_few(state: State, entries: Callable[[], list[Row]], of: Callable[[Row], object]) -> list[Row] | None:
    """Pick the newest of few entries for each thing, since planning that in SQL takes longer than all the rest."""
    if "datetime" in {key.value_type for key in state.keys}:
        return None
    rows = entries()
    if len(rows) > _FEW:
        return None
    newest: dict[object, Row] = {}
    for row in sorted(rows, key=_age):
        newest[of(row)] = row
    names = [key.name for key in state.keys]

    def natural(row: Row) -> tuple[Any, ...]:
        record = row.record
        place = ((0,) if (value := record.schema.get(name)) is None else (1, value) for name in names)
        return (*place, record.version_keys, record.timestamp, record.seq)

    return sorted(newest.values(), key=natural)


def _few(connection: Connection, state: State, condition: Condition, limit: int) -> list[Row]:
    """Return the entries that fulfil a condition on entries and their places, up to a number, in no order."""
    # A join as flat as this is planned in two thirds of the time that the one around a subquery takes.
    columns = ", ".join([COLUMNS, *(f"s.{quote(key.name)}" for key in state.keys)])
    found = connection.rows(
        f"SELECT {columns} FROM _record_metadata m JOIN _schema s ON s.schema_id = m.schema_id "
        f"JOIN _records r ON r.record_no = m.record_no WHERE {condition.text()} LIMIT {limit}",
        condition.parameters,
    )
    return [row_of(state, row) for row in found]


def _few_anywhere(connection: Connection, state: State, condition: Condition, limit: int) -> list[Row]:
    """Return the newest entries that fulfil a condition on entries alone, up to a number, newest first."""
    found = connection.rows(
        f"SELECT {COLUMNS} FROM (SELECT m.* FROM _record_metadata m WHERE {condition.text()} "
        f"ORDER BY {NEWEST_FIRST} LIMIT {limit}) m JOIN _records r ON r.record_no = m.record_no",
        condition.parameters,
    )
    return _with_places(connection, state, found)


def _few_entries(connection: Connection, state: State, query: Entries, place: Condition) -> list[Row] | None:
    """Return entries wherever they are; None when a place is asked for, or they are or may be many."""
    match, limit = query.match, query.limit
    if match.schema or (limit is None and match.call_ids is None) or (limit is not None and limit > _FEW):
        return None
    asked = entry_conditions(match)
    leave_out(asked, state, match, match.as_of)
    both = Condition([*place.parts, *asked.parts], [*place.parameters, *asked.parameters])
    few = _few_anywhere(connection, state, both, _FEW + 1 if limit is None else limit)
    return few if len(few) <= _FEW else None


def _few_identified(connection: Connection, state: State, match: Match, place: Condition) -> list[Row]:
    """Return the entries of records that a match names, or that have an id of some beginning, in no order."""
    record_ids, rest = identified(match)
    asked = entry_conditions(rest if record_ids is not None and not match.schema else match)
    leave_out(asked, state, match, match.as_of)
    both = Condition([*place.parts, *asked.parts], [*place.parameters, *asked.parameters])
    if match.schema:
        return _few(connection, state, both, _FEW + 1)
    if record_ids is None or len(record_ids) > _FEW:
        return _few_anywhere(connection, state, both, _FEW + 1)
    return _few_of(connection, state, record_ids, both, _FEW + 1)


def _few_of(
    connection: Connection, state: State, record_ids: Sequence[str], condition: Condition, limit: int
) -> list[Row]:
    """Return the entries of these records that fulfil a condition on entries alone, up to a number, newest first.

    The numbers of several are asked for first, by the key: of numbers that it knows beforehand DuckDB reads what is
    near them, and of others, when they are far apart, all that lies in between (decision 166).
    """
    known = state.memory.window.known(record_ids)
    if known is None and len(record_ids) == 1:
        named = Condition()
        named.one_of("r.record_id", record_ids)
        lines = connection.rows(
            f"SELECT {LINE}, r.record_id, {_STORED} FROM _records r JOIN _record_metadata m "
            f"ON m.record_no = r.record_no WHERE {named.text()} AND {condition.text()} LIMIT {limit}",
            [*named.parameters, *condition.parameters],
        )
        return _with_places(connection, state, [_columns(line[:12], line[12:]) for line in lines])
    stored = {number: kept for number, *kept in _stored(connection, record_ids, known)}
    if not stored:
        return []
    parts, parameters = [], []
    for numbers in near(sorted(stored)):
        own = Condition()
        own.one_of_numbers("m.record_no", numbers)
        parts.append(f"SELECT {LINE} FROM _record_metadata m WHERE {own.text()} AND {condition.text()}")
        parameters += [*own.parameters, *condition.parameters]
    lines = connection.rows(f"{' UNION ALL '.join(parts)} LIMIT {limit}", parameters)
    return _with_places(connection, state, [_columns(line, stored[line[-1]]) for line in lines])


def _columns(line: Sequence[Any], stored: Sequence[Any]) -> tuple[Any, ...]:
    """Return the columns `COLUMNS` from what a line says, and what is stored once of its record."""
    record_id, *kept, layout = stored
    return (record_id, *line[:2], *kept, *line[2:], layout)


def _stored(connection: Connection, record_ids: Sequence[str], known: Sequence[Row] | None) -> list[tuple[Any, ...]]:
    """Return what is stored once of each of these records, after its number."""
    if known is not None:
        of = ((row, row.record) for row in known)
        return [
            (row.record_no, one.record_id, one.content_hash, one.schema_version, one.encoding, one.nbytes, row.layout)
            for row, one in of
        ]
    condition = Condition()
    condition.one_of("r.record_id", list(dict.fromkeys(record_ids)))
    return connection.rows(
        f"SELECT r.record_no, r.record_id, {_STORED} FROM _records r WHERE {condition.text()}", condition.parameters
    )


def _with_places(connection: Connection, state: State, found: Sequence[tuple[Any, ...]]) -> list[Row]:
    """Return entries with their places, newest first.

    These are asked for by number: in a join with entries of which nobody knows beforehand how few they are, every
    place would be read.
    """
    texts: dict[int, list[str | None]] = {}
    if new := sorted({row[15] for row in found} - state.memory.shown.keys()):
        numbers = Condition()
        numbers.one_of("schema_id", new)
        keys = "".join(f", {quote(key.name)}" for key in state.keys)
        places = connection.rows(f"SELECT schema_id{keys} FROM _schema WHERE {numbers.text()}", numbers.parameters)
        texts = {number: given for number, *given in places}
    return sorted((row_of(state, (*row, *texts.get(row[15], ()))) for row in found), key=_age, reverse=True)


def _age(row: Row) -> tuple[str, int]:
    return row.record.timestamp, row.record.seq


def newest_entries(connection: Connection, state: State, record_ids: Iterable[str]) -> list[Record]:
    """Return the newest entry of each of these records, in the order of saving."""
    wanted = list(dict.fromkeys(record_ids))
    few = None if len(wanted) > _FEW else _few_of(connection, state, wanted, Condition(), _FEW + 1)
    if few is not None and len(few) <= _FEW:
        last = {row.record.record_id: row.record for row in reversed(few)}
        return sorted(last.values(), key=lambda record: (record.timestamp, record.seq))
    condition = Condition()
    condition.add(*of_records(wanted))
    newest = (
        f"(SELECT {located(state.keys)} FROM _record_metadata m JOIN _schema s USING (schema_id) "
        f"WHERE {condition.text()} "
        f"QUALIFY row_number() OVER (PARTITION BY m.record_id ORDER BY {NEWEST_FIRST}) = 1) m"
    )
    found = rows_of(connection, state, Question(newest, "TRUE", condition.parameters, "m.timestamp, m.seq"))
    return [row.record for row in found]


# ------------------------------------------------------------------ the latest at one place, remembered


def _remembered(state: State, match: Match) -> list[Row] | None:
    """Answer from memory what asks for one variable at one complete location; None: ask the file."""
    if match.as_of is not None or _asks_entry(match):
        return None
    if match.variables is None or len(match.variables) != 1 or len(match.schema) != len(state.keys):
        return None
    schema_id = _one_place(state, match)
    if schema_id is None:
        return None
    [variable] = match.variables
    group = state.memory.latest.get((variable, schema_id))
    if group is None:
        return None
    rows = [group[text] for text in sorted(group)]
    if any(row.record.piece is not None for row in rows):
        return None
    return [
        row
        for row in rows
        if (variable not in match.version_keys or row.record.version_keys in match.version_keys[variable])
        and version_fits(row.record.version_keys, match.version)
    ]


def _one_place(state: State, match: Match) -> int | None:
    texts: list[str | None] = []
    for key in state.keys:
        wanted = match.schema.get(key.name, ())
        if len(wanted) != 1:
            return None
        [value] = wanted
        text = None if value is None else fitting_text(key, value)
        if value is not None and text is None:
            return None
        texts.append(text)
    place = state.memory.places.get(tuple(texts))
    return None if place is None else place.schema_id


def latest_within(connection: Connection, state: State, variable: str, first: int, last: int) -> list[Row]:
    """Return what is the latest of a variable at each place from one number to another; nothing where that is much."""
    condition = Condition(["m.variable_name = ?", "m.schema_id BETWEEN ? AND ?"], [variable, first, last])
    found = _newest_of_few(
        state,
        lambda: _few(connection, state, condition, _FEW + 1),
        lambda row: (row.schema_id, row.record.version_keys),
    )
    return found or []


def is_one_place(state: State, query: object) -> bool:
    """Say whether a question is for everything that is the latest of one variable at one complete location."""
    if not isinstance(query, Latest) or query.limit is not None or state.has_pieces(query.match.variables):
        return False
    match = query.match
    plain = Match(variables=match.variables, schema=match.schema)
    return (
        match == plain
        and match.variables is not None
        and len(match.variables) == 1
        and len(match.schema) == len(state.keys)
        and all(len(wanted) == 1 for wanted in match.schema.values())
    )


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
