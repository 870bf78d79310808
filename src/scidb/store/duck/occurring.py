"""What occurs in a file: the key values at which something was saved, and the forms and levels of what was."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from scidb.store.duck.sql import Condition, check_keys, quote
from scidb.store.duck.types import key_order, key_value
from scidb.store.model import Form, Level, Location

if TYPE_CHECKING:
    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import Forms, Levels, Locations

__all__ = ["find_forms", "find_levels", "find_locations"]


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


def find_forms(connection: Connection, query: Forms) -> list[Form]:
    """Return the distinct forms of everything that was ever saved of some variables."""
    named = Condition()
    named.one_of("variable_name", query.variables)
    rows = connection.rows(
        f"SELECT DISTINCT variable_name, encoding, schema_version FROM _records WHERE {named.text()}", named.parameters
    )
    return sorted(Form(*row) for row in rows)


def find_levels(connection: Connection, state: State, query: Levels) -> list[Level]:
    """Return the distinct levels of everything that was ever saved of some variables."""
    named = Condition()
    named.one_of("m.variable_name", query.variables)
    given = "".join(f", s.{quote(key.name)} IS NOT NULL" for key in state.keys)
    rows = connection.rows(
        f"SELECT DISTINCT m.variable_name{given} FROM _record_metadata m JOIN _schema s ON s.schema_id = m.schema_id "
        f"WHERE {named.text()}",
        named.parameters,
    )
    names = [key.name for key in state.keys]
    return sorted(Level(variable, tuple(itertools.compress(names, has))) for variable, *has in rows)
