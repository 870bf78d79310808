"""A file that is held still: its bytes can be read while others write to the database.

Between two checkpoints DuckDB writes to no part of its file that is in use, and only adds to its log. It makes no
checkpoint while a transaction is open that may change rows; one that changes none hinders nobody.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import duckdb

from scidb.exceptions import ConflictError, UnsupportedOperationError
from scidb.store.disk import log_of
from scidb.store.duck.sql import literal, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    Translated = Callable[[], AbstractContextManager[None]]

__all__ = ["Held", "Holding"]

# An UPDATE says to DuckDB that there may be changes, also where no row is meant.
_HOLD: Final = "UPDATE _format SET format_version = format_version WHERE FALSE"
_HEAD: Final = 3 * 4096
"""What stands in front of the blocks, and says which of them are in use."""

_COUNTED: Final = 100


class Holding:
    """What of one file is held, and the descriptors through which it is read beside DuckDB.

    A descriptor stays open as long as DuckDB has the file: to close any of them ends the lock of the whole process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: weakref.WeakSet[Held] = weakref.WeakSet()
        self._file: int | None = None

    def begin(self, root: duckdb.DuckDBPyConnection, translated: Translated, *, read_only: bool) -> Held:
        """Begin to hold the file, while nobody writes; `translated` turns what goes wrong into errors of ours."""
        if not hasattr(os, "pread"):
            raise UnsupportedOperationError(
                f"On this system {self._path} cannot be read while DuckDB has it open. Close it, and copy the file.",
                ability="snapshots",
            )
        with translated():
            held = Held.begin(root.cursor(), self._path, self._descriptor(), translated, read_only=read_only)
        self._held.add(held)
        return held

    @property
    def is_under_way(self) -> bool:
        """Whether something of the file is being read."""
        return any(not held.is_closed for held in self._held)

    def _descriptor(self) -> int:
        # A file that was put in the place of this one is another; nobody has the old one any more.
        if self._file is not None and not os.path.samestat(os.fstat(self._file), self._path.stat()):
            self.let_go()
            self.close_files()
        if self._file is None:
            self._file = os.open(self._path, os.O_RDONLY)
        return self._file

    def let_go(self) -> None:
        """Hold nothing any more; before DuckDB closes the file."""
        for held in list(self._held):
            held.close()

    def close_files(self) -> None:
        """Read it no more; after DuckDB has closed the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Held:
    """A database file that DuckDB does not put in order until this is closed, and how long it was at the beginning."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, path: Path, file: int, log: int | None, translated: Translated
    ) -> None:
        self._cursor = cursor
        self._closing = threading.Lock()
        self._path, self._file, self._log = path, file, log
        self._translated = translated
        self._closed = False
        self.database_bytes = os.fstat(file).st_size
        self.log_bytes = 0 if log is None else os.fstat(log).st_size
        self._head = os.pread(file, _HEAD, 0)

    @classmethod
    def begin(
        cls, cursor: duckdb.DuckDBPyConnection, path: Path, file: int, translated: Translated, *, read_only: bool
    ) -> Held:
        """Begin to hold a file, while nobody writes; `translated` turns what goes wrong into errors of ours."""
        try:
            cursor.execute("BEGIN TRANSACTION").fetchall()
            cursor.execute("SELECT 1 FROM _format" if read_only else _HOLD).fetchall()
            return cls(cursor, path, file, _open_log(path), translated)
        except BaseException:
            with suppress(duckdb.Error):
                cursor.execute("ROLLBACK").fetchall()
            cursor.close()
            raise

    @property
    def is_closed(self) -> bool:
        """Whether DuckDB may put the file in order again."""
        return self._closed

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Ask the database as it was when it was held."""
        with self._translated():
            return self._cursor.execute(query, list(parameters)).fetchall()

    def counts(self) -> dict[str, int]:
        """Return how many rows each table has."""
        names = [name for (name,) in self.rows("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1")]
        counts: dict[str, int] = {}
        for start in range(0, len(names), _COUNTED):
            some = names[start : start + _COUNTED]
            query = " UNION ALL ".join(f"SELECT {literal(name)}, count(*) FROM {quote(name)}" for name in some)
            counts.update(self.rows(query))
        return dict(sorted(counts.items()))

    def read_database(self, start: int, nbytes: int) -> bytes:
        """Return bytes of the file itself."""
        return self._read(self._file, start, nbytes)

    def read_log(self, start: int, nbytes: int) -> bytes:
        """Return bytes of what was written since DuckDB last put the file in order."""
        return self._read(-1 if self._log is None else self._log, start, nbytes)

    def _read(self, file: int, start: int, nbytes: int) -> bytes:
        with self._closing, self._translated():
            found = b"" if self._closed else os.pread(file, nbytes, start)
        if len(found) != nbytes:
            raise self._moved()
        return found

    def check_still(self) -> None:
        """Refuse what was read if the file was put in order meanwhile, as closing it does.

        Raises
        ------
        ConflictError
            When it was.

        """
        if self.read_database(0, _HEAD) != self._head:
            raise self._moved()

    def _moved(self) -> ConflictError:
        return ConflictError(
            f"{self._path} was closed, or rewritten, while it was copied. The copy is not used; make it again.",
            path=str(self._path),
        )

    def close(self) -> None:
        """Let DuckDB put the file in order again; closing twice does nothing."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            with suppress(duckdb.Error):
                self._cursor.execute("ROLLBACK").fetchall()
            self._cursor.close()
            if self._log is not None:
                os.close(self._log)


def _open_log(path: Path) -> int | None:
    try:
        return os.open(log_of(path), os.O_RDONLY)
    except FileNotFoundError:
        return None
