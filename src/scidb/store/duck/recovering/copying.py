"""What reads a damaged file: a program of its own, since what DuckDB makes of damaged bytes may end the process.

It says on stdout, as JSON, what it has read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import duckdb

from scidb.store.duck.creating import create_file
from scidb.store.duck.sql import literal, quote
from scidb.store.duck.state import variable_of
from scidb.store.duck.tables import TABLES, create_all
from scidb.store.duck.types import Shape
from scidb.store.model import SchemaKey

__all__ = ["Copying", "main"]

_OWN: Final = ("_format", "_schema_keys")  # which the new file has by itself
_VECTOR: Final = 2_048
"""So many rows DuckDB reads at once: of fewer, none is readable if one is not."""

_NO_SHAPE: Final = (ValueError, TypeError, LookupError)


class Copying:
    """A damaged file on one side, a new one on the other; rows go over in ranges, ever smaller where they must."""

    def __init__(self, source: Path, target: Path) -> None:
        self._source, self._target = source, target
        self._connection: duckdb.DuckDBPyConnection | None = None
        self.said: dict[str, Any] = {"tables": {}, "unread": []}

    def run(self) -> dict[str, Any]:
        """Copy everything; return how many rows came of each table, and how many did not."""
        keys = self._keys()
        create_file(self._target, create_all(keys))
        self._connect()
        columns = self._columns()
        for name, table in TABLES.items():
            if name in _OWN:
                continue
            wanted = [*table.names, *(key.name for key in keys if name == "_schema")]
            has = columns.get(name)
            if has is None:
                self.said["unread"].append(name)
                continue
            self._copy(name, [one for one in wanted if one in has], ignoring=table.primary_key is not None, least=1)
        for table_name, comment in self._rows(
            "SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'old' "
            "AND NOT starts_with(table_name, '_')"
        ):
            self._copy_values(table_name, comment, columns.get(table_name, {}))
        self._close()
        return self.said

    def _keys(self) -> list[SchemaKey]:
        with duckdb.connect(self._source, read_only=True) as connection:
            rows = connection.execute("SELECT key, value_type FROM _schema_keys ORDER BY position").fetchall()
        return [SchemaKey(name, kind) for name, kind in rows]

    def _copy_values(self, table: str, comment: str | None, has: dict[str, str]) -> None:
        try:
            variable_of(table)
            shape = Shape.from_json(comment or "")
            expected = {"record_no": "BIGINT"} | ({"row": "BIGINT"} if shape.lists else {}) | dict(shape.physical())
        except _NO_SHAPE:
            expected = {}
        if not expected or expected != has:
            self.said["unread"].append(table)
            return
        columns = ", ".join(f"{quote(name)} {kind}" for name, kind in expected.items())
        self._rows(f"CREATE TABLE {quote(table)} ({columns})")
        self._rows(f"COMMENT ON TABLE {quote(table)} IS {literal(comment or '')}")
        self._copy(table, list(expected), ignoring=False, least=_VECTOR)

    def _copy(self, table: str, columns: list[str], *, ignoring: bool, least: int) -> None:
        """Copy rows in ranges, and of a range that cannot be read its halves."""
        copied = lost = 0
        try:
            [(total,)] = self._rows(f"SELECT count(*) FROM old.{quote(table)}")
        except duckdb.Error:
            self._again()
            self.said["unread"].append(table)
            return
        names = ", ".join(map(quote, columns))
        insert = "INSERT OR IGNORE" if ignoring else "INSERT"
        into = f"{insert} INTO {quote(table)} ({names}) SELECT {names} FROM old.{quote(table)}"
        pending = [(0, total)]
        while pending:
            start, stop = pending.pop()
            try:
                self._rows(f"{into} WHERE rowid >= {start} AND rowid < {stop}")
            except (duckdb.Error, RuntimeError, ValueError):
                self._again()
                # Ranges begin where DuckDB's do, and few rows are not worth a question each.
                small = least if total > 100 * least or (least == 1 and total < 5_000) else _VECTOR
                if stop - start <= small:
                    lost += stop - start
                    continue
                half = start + (stop - start) // 2
                half = half // _VECTOR * _VECTOR if half // _VECTOR * _VECTOR > start else half
                pending += [(half, stop), (start, half)]
            else:
                copied += stop - start
        self.said["tables"][table] = {"copied": copied, "lost": lost}

    # -------------------------------------------------------------- the connection

    def _connect(self) -> None:
        self._connection = duckdb.connect(self._target)
        quoted = str(self._source).replace("'", "''")
        self._connection.execute(f"ATTACH '{quoted}' AS old (READ_ONLY)")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _again(self) -> None:
        """Open both anew where damage makes DuckDB refuse everything from then on."""
        try:
            self._rows("SELECT count(*) FROM duckdb_tables() WHERE database_name = 'old'")
        except duckdb.Error:
            self._close()
            self._connect()

    def _rows(self, query: str) -> list[Any]:
        assert self._connection is not None  # noqa: S101
        return self._connection.execute(query).fetchall()

    def _columns(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in self._rows(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = 'old' "
            "AND NOT internal ORDER BY table_name, column_index"
        ):
            found.setdefault(table, {})[column] = kind
        return found


def main(source: str, target: str) -> None:
    """Copy, and say what came of it; what DuckDB refused altogether is said, too."""
    try:
        said = Copying(Path(source), Path(target)).run()
    except duckdb.Error as error:
        said = {"error": str(error)}
    sys.stdout.write(json.dumps(said))
