"""What is kept of a variable for convenience, and follows from the rest: views, descriptions, deepest levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scidb.exceptions import CorruptDatabaseError, SciDBError
from scidb.store.duck.checking.layouts import data_tables
from scidb.store.duck.sql import literal, quote
from scidb.store.duck.state import layout_table, variable_of
from scidb.store.duck.types import Shape

if TYPE_CHECKING:
    from scidb.store.duck.checking.findings import Findings

__all__ = ["LEVEL", "VIEW", "check_shown", "expected_dtypes", "expected_levels", "level_of_places"]

VIEW: Final = "make the views anew"
LEVEL: Final = "note again what follows from the records"


def check_shown(found: Findings) -> None:
    """Check views, and what is noted of each variable."""
    if not found.has("_variables", "_records", "_record_metadata", "_schema", "_registered_types"):
        return
    _check_views(found)
    rows = found.ask("_variables", "SELECT variable_name, dtype, schema_level FROM _variables")
    dtypes, levels = expected_dtypes(found), expected_levels(found)
    for name, dtype, level in rows:
        if name in dtypes and dtypes[name] != dtype:
            what = f"{name} is said to hold {dtype or 'nothing'!r}, and holds {dtypes[name]!r}."
            found.add("stale", what, table="_variables", variable=name, repair=LEVEL)
        # A level that was seen once stays, also when what stood there was removed.
        deepest = levels.get(name)
        if _depth(found, deepest) > _depth(found, level):
            what = f"{name} is said to be of the level {level}, and is of {deepest}."
            found.add("stale", what, table="_variables", variable=name, repair=LEVEL)
    for schema_id, level, deepest in found.ask("_schema", level_of_places(found)):
        what = f"Place {schema_id} is said to be of the level {level}, and is of {deepest}."
        found.add("stale", what, table="_schema", repair=LEVEL)
    rows = found.ask("_registered_types", "SELECT type_name, table_name FROM _registered_types")
    for name, table in rows:
        if table != layout_table(name, 1):
            what = f"The values of {name} are said to be in {table}."
            found.add("stale", what, table="_registered_types", variable=name, repair=LEVEL)


def _depth(found: Findings, level: str | None) -> int:
    names = [key.name for key in found.keys]
    return names.index(level) if level in names else -1


def expected_dtypes(found: Findings) -> dict[str, str]:
    """Return the description of what each variable holds, as its tables have it."""
    described: dict[str, list[str]] = {}
    tables = sorted(data_tables(found).items(), key=lambda pair: (len(pair[0]), pair[0]))
    for table, comment in tables:
        if comment is not None and "_data" in table:
            try:
                described.setdefault(variable_of(table), []).append(Shape.from_json(comment).describe())
            except (ValueError, TypeError, LookupError):
                continue
    return {name: "; ".join(texts) for name, texts in described.items()}


def expected_levels(found: Findings) -> dict[str, str]:
    """Return the deepest level at which each variable stands."""
    order = [key.name for key in found.keys]
    deepest: dict[str, str] = {}
    rows = found.ask(
        "_record_metadata",
        "SELECT DISTINCT m.variable_name, s.schema_level FROM _record_metadata m JOIN _schema s USING (schema_id) "
        "WHERE s.schema_level IS NOT NULL",
    )
    for name, level in rows:
        if level in order and order.index(level) > _depth(found, deepest.get(name)):
            deepest[name] = level
    return deepest


def level_of_places(found: Findings) -> str:
    """Return a query for places whose level is not that of their deepest key, with number, level and deepest key."""
    cases = " ".join(
        f"WHEN {quote(key.name)} IS NOT NULL THEN {literal(key.name)}"
        for key in reversed(found.keys)
        if key.name in found.columns["_schema"]
    )
    deepest = f"CASE {cases} END" if cases else "NULL"
    return (
        f"SELECT schema_id, schema_level, {deepest} AS deepest FROM _schema "
        f"WHERE schema_level IS DISTINCT FROM ({deepest})"
    )


def _check_views(found: Findings) -> None:
    """Check that each variable with values has its views, and that they answer."""
    views = {name for (name,) in found.connection.rows("SELECT view_name FROM duckdb_views() WHERE NOT internal")}
    tables = {variable_of(table) for table in data_tables(found) if "_data" in table}
    known = {name for (name,) in found.ask("_variables", "SELECT variable_name FROM _variables")}
    for variable in sorted(tables & known):
        for view in (variable, f"{variable}__rows"):
            if view not in views:
                found.add("view", f"The view {view} is missing.", table=view, variable=variable, repair=VIEW)
                continue
            try:
                found.connection.rows(f"SELECT * FROM {quote(view)} LIMIT 0")
            except CorruptDatabaseError as error:
                found.unreadable(view, error)
            except SciDBError as error:
                found.add("view", f"The view {view} does not run: {error}", table=view, variable=variable, repair=VIEW)
    found.counts["views"] = len(views)
