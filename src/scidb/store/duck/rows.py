"""The rows behind entries: how they are asked for, in natural order, and made into records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scidb.store.duck.found import COLUMNS
from scidb.store.duck.sql import place_conditions
from scidb.store.duck.state import Row
from scidb.store.duck.types import KEY_SQL_TYPES
from scidb.store.model import Record
from scidb.store.versions import version_fits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.sql import Question
    from scidb.store.duck.state import State
    from scidb.store.model import Match, SchemaKey

__all__ = ["natural_order", "row_of", "rows_of", "versions_that_fit"]


def rows_of(connection: Connection, state: State, question: Question) -> list[Row]:
    """Return the entries that a question asks for, in its order."""
    keys = "".join(f", m.k{number}" for number in range(len(state.keys)))
    query = (
        f"SELECT {COLUMNS}{keys} FROM {question.source} JOIN _records r ON r.record_no = m.record_no "
        f"WHERE {question.condition} ORDER BY {question.order}"
    )
    return [row_of(state, row) for row in connection.rows(query, question.parameters)]


def row_of(state: State, row: tuple[Any, ...]) -> Row:
    """Return an entry from the columns `COLUMNS` and the texts of its keys."""
    place = state.show(row[15], row[18:])
    return Row(Record(row[0], row[1], place, *row[2:15]), *row[15:18])


def natural_order(keys: Sequence[SchemaKey]) -> str:
    """Return the order of answers: by each key in its own type, by version keys, by time."""
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


def versions_that_fit(
    connection: Connection, keys: Sequence[SchemaKey], match: Match, log: str = "_record_metadata"
) -> list[str] | None:
    """Return the texts of version keys that fit; JSON is compared here since SQL would rewrite its numbers."""
    if not match.version:
        return None
    place = place_conditions(keys, match, None)
    # Where a location is named, of all that has ever been saved only what is there is looked at.
    joined = " JOIN _schema s ON s.schema_id = m.schema_id" if match.schema else ""
    texts = connection.rows(
        f"SELECT DISTINCT m.version_keys FROM {log} m{joined} WHERE {place.text()}", place.parameters
    )
    return [text for (text,) in texts if version_fits(text, match.version)]
