"""A thread's cursor, and who may close it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scidb.store.duck.limits import stopped_after

if TYPE_CHECKING:
    import duckdb

__all__ = ["Seat"]


@dataclass(slots=True)
class Seat:
    """A cursor and the thread's right to it, which it has for the length of a statement."""

    cursor: duckdb.DuckDBPyConnection
    busy: threading.RLock = field(default_factory=threading.RLock)
    is_gone: bool = False

    def leave(self) -> None:
        """Close the cursor, whoever uses it; a statement that runs is interrupted."""
        if self.busy.acquire(blocking=False):
            try:
                self._close()
            finally:
                self.busy.release()
        else:
            # DuckDB 2 refuses to close under a running statement, and DuckDB 1 takes away what it reads.
            with stopped_after(self.cursor, 0.0), self.busy:
                self._close()

    def _close(self) -> None:
        self.is_gone = True
        self.cursor.close()
