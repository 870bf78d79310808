"""Writing a file anew: what is in it is copied, compared, and put in its place in one step.

The old file stays open, and readable, until the new one is complete; killed at any moment, one of them is there.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from scidb.exceptions import CorruptDatabaseError, UnsupportedOperationError
from scidb.store.disk import flush_file, require_room
from scidb.store.duck.creating import new_file
from scidb.store.duck.failures import translated
from scidb.store.duck.sql import literal, quote
from scidb.store.duck.whereabouts import sole_folder
from scidb.store.model import Compaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import duckdb

    from scidb.store.duck.connection import Connection

__all__ = ["compact", "require_room_to_compact"]

# Beside the blocks that are copied: the catalog, and what is rounded up.
_MARGIN: Final = 4 * 2**20
# What a plain DuckDB shell can put into the file, and what cannot be carried over as it is.
_FOREIGN: Final = {
    "sequence": "SELECT sequence_name FROM duckdb_sequences()",
    "macro": "SELECT function_name FROM duckdb_functions() WHERE NOT internal",
    "type": "SELECT type_name FROM duckdb_types() WHERE NOT internal AND database_name = current_database()",
    "schema": "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND schema_name <> 'main' "
    "AND database_name = current_database()",
}


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the file: its name, how it is made, what it says of itself, and in which order its rows are."""

    name: str
    ddl: str
    comment: str | None
    order: tuple[str, ...]


def require_room_to_compact(connection: Connection) -> None:
    """Refuse to begin where the new file would not fit beside the old one; see `require_room`."""
    connection.execute("CHECKPOINT")
    [(size, used)] = connection.rows("SELECT block_size, used_blocks FROM pragma_database_size()")
    path = connection.path.resolve()
    require_room(path, size * used + _MARGIN, f"{path.name}, which is written anew,")


def compact(connection: Connection) -> Compaction:
    """Write the file anew, and go on with the new one; nobody writes meanwhile."""
    with connection.writer:
        require_room_to_compact(connection)
        path = connection.path.resolve()
        before = path.stat().st_size
        with translated(path), sole_folder(path, "compact") as folder:
            draft = folder / path.name
            _check_nothing_foreign(connection)
            _write(connection, draft)
            flush_file(draft)
            connection.replace_file(draft)
        return Compaction(before, path.stat().st_size)


def _check_nothing_foreign(connection: Connection) -> None:
    for kind, query in _FOREIGN.items():
        if found := connection.rows(f"{query} LIMIT 1"):
            raise UnsupportedOperationError(
                f"{connection.path} holds the {kind} {found[0][0]!r}, which is not of SciDB and would be lost. Drop "
                "it, or move it to a file of its own; nothing was changed.",
                path=str(connection.path),
            )


# ------------------------------------------------------------------ copying


def _write(connection: Connection, draft: Path) -> None:
    """Copy every table, its comment and every view, and compare all that was copied."""
    tables = _tables(connection)
    views = connection.rows(
        "SELECT view_name, sql, comment FROM duckdb_views() WHERE NOT internal AND NOT temporary ORDER BY view_oid"
    )
    indexes = connection.rows("SELECT sql FROM duckdb_indexes() WHERE sql IS NOT NULL")
    with translated(connection.path), closing(new_file(draft)) as copy:
        for table in tables:
            copy.execute(table.ddl)
            if table.comment is not None:
                copy.execute(f"COMMENT ON TABLE {quote(table.name)} IS {literal(table.comment)}")
            _copy_rows(connection, copy, table)
        for (ddl,) in indexes:
            copy.execute(ddl)
        for name, ddl, comment in views:
            copy.execute(ddl)
            if comment is not None:
                copy.execute(f"COMMENT ON VIEW {quote(name)} IS {literal(comment)}")
        for table in tables:
            _compare(connection, copy, table)
        # With the bytes of what was erased, that they are still there goes as well.
        copy.execute("UPDATE _removals SET rewritten = TRUE WHERE NOT rewritten")
        copy.execute("USE memory")
        copy.execute("DETACH draft")


def _tables(connection: Connection) -> list[_Table]:
    columns: dict[str, list[str]] = {}
    for table, column in connection.rows(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal ORDER BY column_index"
    ):
        columns.setdefault(table, []).append(column)
    rows = connection.rows(
        "SELECT table_name, sql, comment FROM duckdb_tables() WHERE NOT internal AND NOT temporary ORDER BY table_oid"
    )
    return [
        _Table(name, ddl, comment, tuple(one for one in ("record_no", "row") if one in columns[name]))
        if not name.startswith("_") and comment is not None
        else _Table(name, ddl, comment, ())
        for name, ddl, comment in rows
    ]


def _copy_rows(connection: Connection, copy: duckdb.DuckDBPyConnection, table: _Table) -> None:
    """Copy the rows as they stand; those of a data table by the numbers of their records, as they mostly do."""
    if not _copy(connection, copy, table, ordered=False):
        copy.execute(f"DELETE FROM {quote(table.name)}")
        copy.execute("CHECKPOINT draft")
        _copy(connection, copy, table, ordered=True)


def _copy(connection: Connection, copy: duckdb.DuckDBPyConnection, table: _Table, *, ordered: bool) -> bool:
    """Copy the rows; say whether the numbers of their records ascend, if they have any."""
    ascends, last = True, -1
    order = f" ORDER BY {', '.join(map(quote, table.order))}" if ordered else ""

    def take(batch: pa.RecordBatch) -> None:
        nonlocal ascends, last
        if table.order and batch.num_rows:
            numbers = batch.column(0).to_numpy()
            ascends = ascends and bool(numbers[0] >= last) and bool((np.diff(numbers) >= 0).all())
            last = int(numbers[-1])
        copy.from_arrow(pa.Table.from_batches([batch])).insert_into(quote(table.name))

    def begin() -> Callable[[pa.RecordBatch], None]:
        nonlocal ascends, last
        ascends, last = True, -1
        copy.execute(f"DELETE FROM {quote(table.name)}")  # of a reading that did not come to its end
        return take

    copy.execute("BEGIN")
    connection.stream(f"SELECT * FROM {quote(table.name)}{order}", begin)
    copy.execute("COMMIT")
    return ascends


# ------------------------------------------------------------------ comparing


def _compare(connection: Connection, copy: duckdb.DuckDBPyConnection, table: _Table) -> None:
    """Refuse a copy that has other rows than the original, or fewer of them.

    Raises
    ------
    CorruptDatabaseError
        Which leaves the file as it was.

    """
    query = f"SELECT count(*), bit_xor(hash(t)), sum(hash(t) % 4294967291) FROM {quote(table.name)} t"
    [original] = connection.rows(query)
    copied = copy.execute(query).fetchone()
    if copied != original:
        raise CorruptDatabaseError(
            f"{connection.path}: the copy of table {table.name!r} is not like the original ({copied[0]:,} rows for "
            f"{original[0]:,}). The file was left as it is; `scidb fsck` says what is wrong with it."
            if copied is not None
            else f"{connection.path}: table {table.name!r} could not be read back.",
            path=str(connection.path),
            table=table.name,
        )
