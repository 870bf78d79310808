"""Everything that is in a file, so that before and after can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.store.duck.sql import quote

if TYPE_CHECKING:
    from scidb.store.duck import DuckStore

Dump = dict[str, list[tuple[object, ...]]]


def dump(store: DuckStore) -> Dump:
    """Return the rows of every table, those of values as digests, and what every view shows, through a handle."""
    rows = store._connection.rows
    tables = [name for (name,) in rows("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL")]
    found: Dump = {}
    small = [name for name in tables if name.startswith("_")]
    # As text, since a NaN equals nothing.
    parts = [f"SELECT '{name}', CAST(t AS VARCHAR) FROM {quote(name)} t" for name in small]
    found["tables"] = rows(f"{' UNION ALL '.join(parts)} ORDER BY ALL")
    views = [name for (name,) in rows("SELECT view_name FROM duckdb_views() WHERE NOT internal")]
    # Not their text, which DuckDB 1.x writes anew when it opens a file.
    for name in {*tables, *views} - {*small}:
        found[name] = rows(f"SELECT count(*), bit_xor(hash(t)), sum(hash(t)) FROM {quote(name)} t")
    return found
