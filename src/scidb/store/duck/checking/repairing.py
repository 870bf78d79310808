"""What can be put right without guessing: rows of no record, views, and what is noted of records."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from scidb.store.duck import state as states
from scidb.store.duck.checking.layouts import ORPHANS
from scidb.store.duck.checking.numbers import NUMBERS, number_anew
from scidb.store.duck.checking.shown import LEVEL, VIEW, expected_dtypes, expected_levels, level_of_places
from scidb.store.duck.keeping import keep_copy
from scidb.store.duck.sql import literal, quote
from scidb.store.duck.state import layout_table
from scidb.store.duck.views import create_views

if TYPE_CHECKING:
    from pathlib import Path

    from scidb.store.duck.checking.findings import Findings
    from scidb.store.duck.connection import Connection

__all__ = ["copy_beside", "repair_all"]


def copy_beside(connection: Connection) -> Path:
    """Copy the file as it is to one beside it, and return that; called with the writer's lock held."""
    connection.execute("CHECKPOINT")  # since nobody opens a copy of what may be damaged
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S%f")
    return keep_copy(connection, "before-repair", stamp)


def repair_all(connection: Connection, found: Findings) -> None:
    """Put right all that was found and can be, in one transaction."""

    def repair() -> None:
        meant = [one for one in found.problems if one.repair]
        for table in {one.table for one in meant if one.repair == ORPHANS and one.table}:
            connection.execute(
                f"DELETE FROM {quote(table)} WHERE record_no NOT IN (SELECT record_no FROM _records "
                f"WHERE layout = {literal(table)})"
            )
        if any(one.repair == NUMBERS for one in meant):
            number_anew(connection)
        if any(one.repair == LEVEL for one in meant):
            _note_again(connection, found)
        variables = {one.variable for one in meant if one.repair == VIEW and one.variable}
        if variables:
            create_views(connection, states.load(connection), sorted(variables))

    connection.transaction(repair)


def _note_again(connection: Connection, found: Findings) -> None:
    for name, dtype in expected_dtypes(found).items():
        connection.execute("UPDATE _variables SET dtype = ? WHERE variable_name = ?", [dtype, name])
    for name, level in expected_levels(found).items():
        connection.execute("UPDATE _variables SET schema_level = ? WHERE variable_name = ?", [level, name])
    for schema_id, _, deepest in connection.rows(level_of_places(found)):
        connection.execute("UPDATE _schema SET schema_level = ? WHERE schema_id = ?", [deepest, schema_id])
    for (name,) in connection.rows("SELECT type_name FROM _registered_types"):
        connection.execute(
            "UPDATE _registered_types SET table_name = ? WHERE type_name = ?", [layout_table(name, 1), name]
        )
