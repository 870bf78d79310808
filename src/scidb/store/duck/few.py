"""Few entries: joined in the plainest way and picked here, since to plan that in SQL takes longer than the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scidb.store.duck.flags import leave_out
from scidb.store.duck.found import COLUMNS, LINE
from scidb.store.duck.rows import row_of, rows_of
from scidb.store.duck.sql import (
    NEWEST_FIRST,
    Condition,
    Question,
    entry_conditions,
    identified,
    located,
    near,
    of_records,
    quote,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import Row, State
    from scidb.store.model import Entries, Match, Record

__all__ = ["FEW", "few_entries", "few_identified", "latest_among", "latest_within", "newest_entries"]

FEW: Final = 2_000

# What is stored once of a record, after its id.
_STORED: Final = "r.content_hash, r.schema_version, r.encoding, r.nbytes, r.layout"


def latest_among(connection: Connection, state: State, place: Condition) -> list[Row] | None:
    """Return what is the latest of each variable at each place; None where the entries may be many."""
    return _newest(
        state,
        lambda: _few(connection, state, place),
        lambda row: (row.record.variable, row.schema_id, row.record.version_keys),
    )


def latest_within(connection: Connection, state: State, variable: str, first: int, last: int) -> list[Row]:
    """Return what is the latest of a variable at each place from one number to another; nothing where that is much."""
    condition = Condition(["m.variable_name = ?", "m.schema_id BETWEEN ? AND ?"], [variable, first, last])
    return latest_among(connection, state, condition) or []


def newest_entries(connection: Connection, state: State, record_ids: Iterable[str]) -> list[Record]:
    """Return the newest entry of each of these records, in the order of saving."""
    wanted = list(dict.fromkeys(record_ids))
    few = None if len(wanted) > FEW else _few_of(connection, state, wanted, Condition())
    if few is not None and len(few) <= FEW:
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


def _newest(state: State, entries: Callable[[], list[Row]], of: Callable[[Row], object]) -> list[Row] | None:
    """Return the newest entry of each thing, in natural order; None where they are many, or of keys in time zones."""
    if "datetime" in {key.value_type for key in state.keys}:
        return None
    rows = entries()
    if len(rows) > FEW:
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


# ------------------------------------------------------------------ asked for


def _few(connection: Connection, state: State, condition: Condition) -> list[Row]:
    """Return the entries that fulfil a condition on entries and their places, in no order; up to one too many."""
    # A join as flat as this is planned in two thirds of the time that the one around a subquery takes.
    columns = ", ".join([COLUMNS, *(f"s.{quote(key.name)}" for key in state.keys)])
    found = connection.rows(
        f"SELECT {columns} FROM _record_metadata m JOIN _schema s ON s.schema_id = m.schema_id "
        f"JOIN _records r ON r.record_no = m.record_no WHERE {condition.text()} LIMIT {FEW + 1}",
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


def few_entries(connection: Connection, state: State, query: Entries, place: Condition) -> list[Row] | None:
    """Return entries wherever they are; None when a place is asked for, or they are or may be many."""
    match, limit = query.match, query.limit
    if match.schema or (limit is None and match.call_ids is None) or (limit is not None and limit > FEW):
        return None
    both = _with_entry(state, match, place)
    few = _few_anywhere(connection, state, both, FEW + 1 if limit is None else limit)
    return few if len(few) <= FEW else None


def few_identified(connection: Connection, state: State, match: Match, place: Condition) -> list[Row] | None:
    """Return the newest entry of each record that a match names, or of an id with this beginning; None: maybe many."""
    return _newest(state, lambda: _identified(connection, state, match, place), lambda row: row.record.record_id)


def _identified(connection: Connection, state: State, match: Match, place: Condition) -> list[Row]:
    if match.schema:
        return _few(connection, state, _with_entry(state, match, place))
    record_ids, rest = identified(match)
    if record_ids is None or len(record_ids) > FEW:
        return _few_anywhere(connection, state, _with_entry(state, match, place), FEW + 1)
    return _few_of(connection, state, record_ids, _with_entry(state, rest, place))


def _with_entry(state: State, match: Match, place: Condition) -> Condition:
    """Return a condition on places, and what a match asks of entries themselves."""
    asked = entry_conditions(match)
    leave_out(asked, state, match, match.as_of)
    return Condition([*place.parts, *asked.parts], [*place.parameters, *asked.parameters])


def _few_of(connection: Connection, state: State, record_ids: Sequence[str], condition: Condition) -> list[Row]:
    """Return the entries of these records that fulfil a condition on entries alone, newest first; up to one too many.

    The numbers of several are asked for first, by the key: of numbers that it knows beforehand DuckDB reads what is
    near them, and of others, when they are far apart, all that lies in between (decision 166).
    """
    known = state.memory.window.known(record_ids)
    if known is None and len(record_ids) == 1:
        named = Condition()
        named.one_of("r.record_id", record_ids)
        lines = connection.rows(
            f"SELECT {LINE}, r.record_id, {_STORED} FROM _records r JOIN _record_metadata m "
            f"ON m.record_no = r.record_no WHERE {named.text()} AND {condition.text()} LIMIT {FEW + 1}",
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
    lines = connection.rows(f"{' UNION ALL '.join(parts)} LIMIT {FEW + 1}", parameters)
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
