"""The tables of a file: that they are there, with their columns, and that no key stands twice."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from scidb.store.duck.sql import literal, quote
from scidb.store.duck.tables import FORMAT_VERSION, TABLES

if TYPE_CHECKING:
    from scidb.store.duck.checking.findings import Findings

__all__ = ["check_keys", "check_tables"]

# What is unique without being a primary key.
_UNIQUE: Final = {
    "_records": ("record_no",),
    "_record_metadata": ("timestamp", "seq"),
    "_erased": ("timestamp", "seq"),
    "_schema_keys": ("position",),
    "_registered_types": (),
}


def check_tables(found: Findings) -> None:
    """Compare tables and columns with what they must be."""
    rows = found.connection.rows(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal AND table_name IN "
        "(SELECT table_name FROM duckdb_tables() WHERE NOT internal) ORDER BY table_name, column_index"
    )
    for table, column, kind in rows:
        found.columns.setdefault(table, {})[column] = kind
    found.counts["tables"] = len(found.columns)
    for name, table in TABLES.items():
        if name not in found.columns:
            found.add("format", f"The table {name} is missing.", table=name)
            continue
        own = found.columns[name]
        lacking = [column for column, kind in table.columns if own.get(column) != kind]
        for column in lacking:
            found.add("format", f"{name} has no column {column} of the type that it must have.", table=name)
        if lacking:  # nothing that is asked of it would be answered
            del found.columns[name]
    found.notes += [
        f"{name} is no table of SciDB's; it was left out."
        for name in sorted(found.columns)
        if name.startswith("_") and name not in TABLES
    ]
    if found.has("_format"):
        _check_format(found)
    found.load_keys()
    _check_places(found)
    # Each is read to its end: other questions read some columns of some rows.
    for name in sorted(TABLES.keys() & found.columns.keys()):
        found.ask(name, f"SELECT bit_xor(hash(t)) FROM {quote(name)} t")


def _check_format(found: Findings) -> None:
    rows = found.ask("_format", "SELECT format_version FROM _format")
    if "_format" not in found.damaged and rows != [(FORMAT_VERSION,)]:
        said = ", ".join(str(version) for (version,) in rows) or "nothing"
        found.add("format", f"_format says {said}; one row with {FORMAT_VERSION} was expected.", table="_format")


def _check_places(found: Findings) -> None:
    """Check that each key has its column, and that the texts of places are values of their keys."""
    if not found.has("_schema"):
        return
    for key in found.keys:
        if found.columns["_schema"].get(key.name) != "VARCHAR":
            found.add("format", f"_schema has no column of text for the schema key {key.name!r}.", table="_schema")
            continue
        name = quote(key.name)
        for schema_id, text in found.ask("_schema", f"SELECT schema_id, {name} FROM _schema WHERE {name} IS NOT NULL"):
            if not _fits(key.value_type, text):
                found.add(
                    "place",
                    f"Place {schema_id} has {key.name}={text!r}, which is no value of type {key.value_type}.",
                    table="_schema",
                )
    unknown = set(found.columns["_schema"]) - {"schema_id", "schema_level"} - {key.name for key in found.keys}
    for column in sorted(unknown):
        found.add("format", f"_schema has a column {column!r} of no schema key.", table="_schema")


def _fits(kind: str | None, text: str) -> bool:
    try:
        match kind:
            case "int":
                return str(int(text)) == text
            case "float":
                return repr(float(text)) == text
            case "date":
                return dt.date.fromisoformat(text).isoformat() == text
            case "datetime":
                return dt.datetime.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
    return kind == "str"


def check_keys(found: Findings) -> None:
    """Check that keys are declared, that none is missing, and none stands twice."""
    declared = {
        table: set(columns)
        for table, columns in found.connection.rows(
            "SELECT table_name, constraint_column_names FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'"
        )
    }
    for name, table in TABLES.items():
        if not found.has(name):
            continue
        keys = [table.primary_key.split(", ")] if table.primary_key else []
        if keys and declared.get(name) != set(keys[0]):
            found.add("key", f"{name} has lost its primary key ({table.primary_key}).", table=name)
        if extra := _UNIQUE.get(name):
            keys.append(list(extra))
        for columns in keys:
            _check_unique(found, name, columns)
    if found.has("_schema"):
        _check_unique(found, "_schema", [key.name for key in found.keys if key.name in found.columns["_schema"]])
    if found.has("_erased", "_record_metadata"):
        query = "SELECT NULL, 'An erased line of the log stands there again, at ' || e.timestamp || '.' FROM _erased e"
        rows = found.ask("_erased", f"{query} JOIN _record_metadata m USING (timestamp, seq) WHERE e.line IS NOT NULL")
        found.add_each("key", rows, "_erased")


def _check_unique(found: Findings, table: str, columns: list[str]) -> None:
    # NULLs are equal here, as they are for a place.
    names = ", ".join(map(quote, columns))
    shown = " || ', ' || ".join(f"coalesce(CAST({quote(name)} AS VARCHAR), '')" for name in columns) or "''"
    record = '"record_id"' if "record_id" in columns else "NULL"
    if table == "_records" and "record_id" not in columns:
        record = 'min("record_id")'
    grouped = f"GROUP BY {names}" if columns else ""
    what = f"{literal(f'{table} has ')} || count(*) || {literal(f' rows of one key ({chr(44).join(columns)}): ')}"
    rows = found.ask(
        table, f"SELECT {record}, {what} || {shown} || '.' FROM {quote(table)} {grouped} HAVING count(*) > 1"
    )
    found.add_each("key", rows, table)
