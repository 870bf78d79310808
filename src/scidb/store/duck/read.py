"""Reading records: the rows that answer a question, and their payloads, one Arrow row per record."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from scidb.store.duck.filtering import where_it_holds
from scidb.store.duck.payloads import Payloads
from scidb.store.duck.sql import (
    NEWEST_FIRST,
    Condition,
    Question,
    check_keys,
    entry_conditions,
    latest,
    located,
    place_conditions,
    quote,
    version_fits,
)
from scidb.store.duck.state import Row
from scidb.store.duck.types import KEY_SQL_TYPES, fitting_text, key_order, key_value
from scidb.store.model import Change, Chunk, Entries, Form, Latest, Location, Match, Record, Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import Changes, Forms, Locations, SchemaKey

__all__ = ["chunks", "find_changes", "find_forms", "find_locations", "find_rows", "is_one_place", "newest_entries"]

_COLUMNS: Final = (
    "m.record_id, m.variable_name, m.schema_id, m.version_keys, m.content_hash, m.schema_version, r.encoding, "
    "r.nbytes, m.lineage_id, m.call_id, m.output_num, m.piece, m.pieces, m.user_id, m.timestamp, m.seq, "
    "m.record_no, r.layout"
)

_FEW: Final = 2_000

# A window of records is read with one statement per layout; so much of it is in memory at once.
_WINDOW_RECORDS: Final = 16_384
_WINDOW_BYTES: Final = 64 * 2**20


# ------------------------------------------------------------------ rows


def find_rows(connection: Connection, state: State, query: Latest | Records | Entries) -> list[Row]:
    """Return the entries that answer a question, in its order."""
    match = query.match
    if match.where is not None:
        return _filtered_rows(connection, state, query)
    if isinstance(query, Latest) and (known := _remembered(state, match)) is not None:
        return known
    place, until = _place(connection, state, match)
    if isinstance(query, Latest) and (few := _latest_of_few(connection, state, match, place)) is not None:
        return few
    return _rows(connection, state, _question(state, query, place, until))


def _filtered_rows(connection: Connection, state: State, query: Latest | Records | Entries) -> list[Row]:
    """Ask first where something is, then whether the filter holds there, and then for what is at those locations."""
    match = query.match
    everywhere = Entries(match) if isinstance(query, Entries) else query  # the limit counts what the filter leaves
    holding = where_it_holds(connection, state, match, _question(state, everywhere, *_place(connection, state, match)))
    place, until = _place(connection, state, match)
    if holding is not None:
        place.one_of("m.schema_id", holding)
    return _rows(connection, state, _question(state, query, place, until))


def _place(connection: Connection, state: State, match: Match) -> tuple[Condition, Condition]:
    """Return what is asked of variable, location, version keys and time, and the part on the time."""
    place = place_conditions(state.keys, match, _versions(connection, match))
    schema_id = _one_place(state, match)
    if schema_id is not None:
        place.one_of("m.schema_id", [schema_id])
    until = Condition()
    if match.as_of is not None:
        until.add("m.timestamp <= ?", match.as_of)
        place.add("m.timestamp <= ?", match.as_of)
    return place, until


def _question(state: State, query: Latest | Records | Entries, place: Condition, until: Condition) -> Question:
    entry = entry_conditions(query.match)
    if isinstance(query, Latest):
        source, kept = latest(state.keys, place, until, pieces=state.has_pieces)
        place.add(entry.text(), *entry.parameters)
        return Question(source, f"{kept} AND {entry.text()}", place.parameters, _order(state.keys))
    place.add(entry.text(), *entry.parameters)
    newest = ""
    order, limit = NEWEST_FIRST, ""
    if isinstance(query, Records):
        newest = f" QUALIFY row_number() OVER (PARTITION BY m.record_no ORDER BY {NEWEST_FIRST}) = 1"
        order = _order(state.keys)
    elif query.limit is not None:
        limit = f" LIMIT {int(query.limit)}"
    source = (
        f"(SELECT {located(state.keys)} FROM _record_metadata m JOIN _schema s USING (schema_id) "
        f"WHERE {place.text()}{newest}) m"
    )
    return Question(source, "TRUE", place.parameters, order + limit)


def _latest_of_few(connection: Connection, state: State, match: Match, place: Condition) -> list[Row] | None:
    """Pick the newest of few entries here, since planning that in SQL takes longer than all the rest.

    None when they are many, or when the question needs more than the newest.
    """
    asks_entry = match.record_ids, match.record_prefix, match.lineage_ids, match.call_ids
    typed = {key.value_type for key in state.keys}
    if state.has_pieces or "datetime" in typed or any(part is not None for part in asks_entry):
        return None
    # A join as flat as this is planned in two thirds of the time that the one around a subquery takes.
    columns = ", ".join([_COLUMNS, *(f"s.{quote(key.name)}" for key in state.keys)])
    found = connection.rows(
        f"SELECT {columns} FROM _record_metadata m JOIN _schema s ON s.schema_id = m.schema_id "
        f"JOIN _records r ON r.record_no = m.record_no WHERE {place.text()} LIMIT {_FEW + 1}",
        place.parameters,
    )
    if len(found) > _FEW:
        return None
    rows = [_row(state, row) for row in found]
    newest: dict[tuple[str, int, str], Row] = {}
    for row in sorted(rows, key=lambda row: (row.record.timestamp, row.record.seq)):
        newest[row.record.variable, row.schema_id, row.record.version_keys] = row
    names = [key.name for key in state.keys]

    def natural(row: Row) -> tuple[Any, ...]:
        record = row.record
        place = ((0,) if (value := record.schema.get(name)) is None else (1, value) for name in names)
        return (*place, record.version_keys, record.timestamp, record.seq)

    return sorted(newest.values(), key=natural)


def find_locations(connection: Connection, state: State, query: Locations) -> list[Location]:
    """Return the distinct values of some keys, where something was saved."""
    check_keys(state.keys, query.keys)
    columns = [quote(name) for name in query.keys]
    given = " AND ".join([f"{column} IS NOT NULL" for column in columns] or ["TRUE"])
    until = Condition()
    if query.as_of is not None:
        until.add("timestamp <= ?", query.as_of)
    rows = connection.rows(
        f"SELECT DISTINCT {', '.join(columns) or '1'} FROM _schema "
        f"WHERE {given} AND schema_id IN (SELECT schema_id FROM _record_metadata WHERE {until.text()})",
        until.parameters,
    )
    types = {key.name: key.value_type for key in state.keys}
    # zip ends with the keys: without any, one row says that there is something.
    places = {tuple(key_value(types[name], text) for name, text in zip(query.keys, row, strict=False)) for row in rows}
    ordered = sorted(places, key=lambda values: [key_order(value) for value in values])
    return [Location(dict(zip(query.keys, values, strict=True))) for values in ordered]


def find_forms(connection: Connection, state: State, query: Forms) -> list[Form]:
    """Return the distinct forms of everything that was ever saved of some variables."""
    named = Condition()
    named.one_of("m.variable_name", query.variables)
    given = "".join(f", s.{quote(key.name)} IS NOT NULL" for key in state.keys)
    rows = connection.rows(
        f"SELECT DISTINCT m.variable_name, r.encoding, r.schema_version{given} FROM _record_metadata m "
        f"JOIN _schema s ON s.schema_id = m.schema_id JOIN _records r ON r.record_no = m.record_no "
        f"WHERE {named.text()}",
        named.parameters,
    )
    names = [key.name for key in state.keys]
    return sorted(
        Form(variable, encoding, version, tuple(itertools.compress(names, has)))
        for variable, encoding, version, *has in rows
    )


def newest_entries(connection: Connection, state: State, record_ids: Iterable[str]) -> list[Record]:
    """Return the newest entry of each of these records, in the order of saving."""
    wanted = list(dict.fromkeys(record_ids))
    condition = Condition()
    condition.one_of("m.record_id", wanted)
    newest = (
        f"(SELECT {located(state.keys)} FROM _record_metadata m JOIN _schema s USING (schema_id) "
        f"WHERE {condition.text()} "
        f"QUALIFY row_number() OVER (PARTITION BY m.record_id ORDER BY {NEWEST_FIRST}) = 1) m"
    )
    found = _rows(connection, state, Question(newest, "TRUE", condition.parameters, "m.timestamp, m.seq"))
    return [row.record for row in found]


def _rows(connection: Connection, state: State, question: Question) -> list[Row]:
    keys = "".join(f", m.k{number}" for number in range(len(state.keys)))
    query = (
        f"SELECT {_COLUMNS}{keys} FROM {question.source} JOIN _records r ON r.record_no = m.record_no "
        f"WHERE {question.condition} ORDER BY {question.order}"
    )
    return [_row(state, row) for row in connection.rows(query, question.parameters)]


def _row(state: State, row: tuple[Any, ...]) -> Row:
    place = state.show(row[2], row[18:])
    record = Record(row[0], row[1], place, *row[3:16])
    return Row(record, row[2], row[16], row[17])


def _order(keys: Sequence[SchemaKey]) -> str:
    places = "".join(f"{part} NULLS FIRST, " for number, key in enumerate(keys) for part in _sortable(number, key))
    return f"{places}m.version_keys, m.timestamp, m.seq"


def _sortable(number: int, key: SchemaKey) -> list[str]:
    text = f"m.k{number}"
    if key.value_type != "int":
        return [f"TRY_CAST({text} AS {KEY_SQL_TYPES[key.value_type]})"]
    # Of any size: those below zero by length downwards, the others upwards.
    is_below = f"starts_with({text}, '-')"
    length = f"CASE WHEN {is_below} THEN -length({text}) ELSE length({text}) END"
    return [length, f"CASE WHEN {is_below} THEN NULL ELSE {text} END", f"{text} DESC"]


def _versions(connection: Connection, match: Match) -> list[str] | None:
    """Return the texts of version keys that fit; JSON is compared here since SQL would rewrite its numbers."""
    if not match.version:
        return None
    condition = Condition()
    if match.variables is not None:
        condition.one_of("variable_name", match.variables)
    texts = connection.rows(
        f"SELECT DISTINCT version_keys FROM _record_metadata WHERE {condition.text()}", condition.parameters
    )
    return [text for (text,) in texts if version_fits(text, match.version)]


# ------------------------------------------------------------------ what changed


def find_changes(connection: Connection, state: State, query: Changes) -> list[Change]:
    """Return where the latest record differs from the one at an earlier instant."""
    group = "m.variable_name, m.schema_id, m.version_keys"
    versions = _versions(connection, query.match)
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
        f"AND e.timestamp <= ?), {_COLUMNS}{keys} FROM ({differing}) m "
        f"JOIN _records r ON r.record_no = m.record_no ORDER BY m.variable_name, {_order(state.keys)}, m.side",
        [query.since, *parameters],
    )
    return _paired([(side, was_logged, _row(state, tuple(row))) for side, was_logged, *row in found])


def _latest_at(
    state: State, query: Changes, versions: list[str] | None, instant: str | None
) -> tuple[str, list[object]]:
    """Return the statement for the latest entries at an instant."""
    place = place_conditions(state.keys, query.match, versions)
    if not state.has_pieces:  # a piece goes also when others are written
        first = min(query.since, query.match.as_of or query.since)
        place.add("m.schema_id IN (SELECT schema_id FROM _record_metadata WHERE timestamp > ?)", first)
    until = Condition()
    if instant is not None:
        until.add("m.timestamp <= ?", instant)
        place.add("m.timestamp <= ?", instant)
    source, kept = latest(state.keys, place, until, pieces=state.has_pieces)
    entry = entry_conditions(query.match)
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


# ------------------------------------------------------------------ the latest at one place, remembered


def _remembered(state: State, match: Match) -> list[Row] | None:
    """Answer from memory what asks for one variable at one complete location; None: ask the file."""
    asks_entry = match.record_ids, match.record_prefix, match.lineage_ids, match.call_ids, match.as_of
    if any(part is not None for part in asks_entry):
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
    return state.memory.places.get(tuple(texts))


def is_one_place(state: State, query: object) -> bool:
    """Say whether a question is for everything that is the latest of one variable at one complete location."""
    if not isinstance(query, Latest) or state.has_pieces:
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


def chunks(connection: Connection, state: State, rows: Sequence[Row]) -> Iterator[Chunk]:
    """Stream rows with their payloads; those that follow each other with one encoding come together."""
    for window in _windows(rows):
        payloads = Payloads(connection, state, window)
        for (_, encoding, _), group in itertools.groupby(
            window, key=lambda row: (row.layout, row.record.encoding, row.record.variable)
        ):
            del encoding
            members = list(group)
            # A value that kept its part of a table with others in it would keep all of it.
            yield Chunk(tuple(row.record for row in members), payloads.of(members), given=len(window) == 1)


def _windows(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start = size = 0
    for position, row in enumerate(rows):
        if position > start and (position - start >= _WINDOW_RECORDS or size + row.record.nbytes > _WINDOW_BYTES):
            yield rows[start:position]
            start, size = position, 0
        size += row.record.nbytes
    if start < len(rows):
        yield rows[start:]
