"""What a piece of work asks of a file: its statements, and the rows of each table that they read, by DuckDB's count.

Counts do not wobble, so tests use them, too.
"""

from __future__ import annotations

import json
import weakref
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from scidb.store.duck import connection as connections
from scidb.store.duck.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

__all__ = ["Reading", "Statement", "counted", "profiled"]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that was run, and how many rows of which table it read."""

    text: str
    rows: Counter[str]


@dataclass(slots=True)
class Reading:
    """What was asked of a file."""

    statements: list[Statement] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many statements there were."""
        return len(self.statements)

    @property
    def writes(self) -> int:
        """How many transactions there were."""
        return sum(one.text.startswith("BEGIN") for one in self.statements)

    @property
    def rows(self) -> Counter[str]:
        """The rows that were read, by table."""
        return sum((one.rows for one in self.statements), Counter())

    def most(self) -> Statement:
        """Return the statement that read the most rows."""
        return max(self.statements, key=lambda one: one.rows.total())


@contextmanager
def profiled() -> Iterator[None]:
    """Let handles that are opened meanwhile tell the rows that they read: their settings are not locked."""
    with patch.dict(connections._AFTER_CONNECTING):  # noqa: SLF001 - what is measured is how the store reads
        connections._AFTER_CONNECTING.pop("lock_configuration", None)  # noqa: SLF001
        yield


@contextmanager
def counted() -> Iterator[Reading]:
    """Note the statements of every open file; rows are known of handles that were opened `profiled`."""
    reading = Reading()
    run = Connection._run  # noqa: SLF001
    telling: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
    mute: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()

    def noting(self: Connection, query: str, call: Callable[[], Any]) -> Any:
        cursor = self._seat().cursor
        if cursor not in telling and cursor not in mute:
            (telling if _can_tell(cursor) else mute).add(cursor)
        done = run(self, query, call)
        rows = _rows_read(json.loads(cursor.get_profiling_information())) if cursor in telling else Counter[str]()
        reading.statements.append(Statement(query.lstrip(), rows))
        return done

    with patch.object(Connection, "_run", noting):
        yield reading


def _can_tell(cursor: duckdb.DuckDBPyConnection) -> bool:
    [(locked,)] = cursor.execute("SELECT current_setting('lock_configuration')").fetchall()
    if not locked:
        cursor.execute("SET enable_profiling = 'no_output'").fetchall()
    return not locked


def _rows_read(told: dict[str, Any]) -> Counter[str]:
    rows: Counter[str] = Counter()
    waiting: list[dict[str, Any]] = [*told.get("operator", ()), *told.get("children", ())]
    while waiting:
        node = waiting.pop()
        waiting += node.get("children", ())
        # DuckDB 1.x and 2.x name it differently.
        count = node.get("rows_scanned", node.get("operator_rows_scanned", 0))
        if count and (table := node.get("extra_info", {}).get("Table")):
            rows[table.rpartition(".")[2]] += int(count)
    return rows
