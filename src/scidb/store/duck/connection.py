"""One DuckDB file and how it is reached: lock, threads, transactions, and errors in our own words.

Every statement of the store passes through `Connection`; nothing here knows what the tables mean.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import duckdb

from scidb.exceptions import (
    ConflictError,
    CorruptDatabaseError,
    QueryError,
    SciDBError,
    StorageError,
    UnsupportedOperationError,
)
from scidb.store.duck.asking import answer, check_query, explained, plain_parameters
from scidb.store.duck.limits import stopped_after
from scidb.store.duck.lockfile import LockFile, retry_while_locked
from scidb.store.stopping import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from scidb.store.duck.asking import Parameters

__all__ = ["Connection", "create_file"]

T = TypeVar("T")

_SETTINGS: Final = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    # No statement of ours needs another file, so none that a user or a client sends may reach one.
    "enable_external_access": "false",
    # Rows of an array come back in the order of writing without a sort.
    "preserve_insertion_order": "true",
    "checkpoint_threshold": "64MB",
    # More than 2 GiB of text in one column fit.
    "arrow_large_buffer_size": "true",
}
# Of a stream; fewer cost calls, more cost memory.
_BATCH_ROWS: Final = 122_880
_AFTER_CONNECTING: Final = {
    "python_enable_replacements": "false",
    "TimeZone": "'UTC'",
    "lock_configuration": "true",  # the last one: it also keeps a query from undoing the others
}


class Connection:
    """A DuckDB file, open in this process.

    Each thread reads through a cursor of its own; one thread at a time writes.
    """

    def __init__(self, root: duckdb.DuckDBPyConnection, path: Path, lock: LockFile | None) -> None:
        self.path = path
        self._root = root
        self._lock_file = lock
        self._pid = os.getpid()
        self._cursors: weakref.WeakKeyDictionary[threading.Thread, duckdb.DuckDBPyConnection] = (
            weakref.WeakKeyDictionary()
        )
        self._cursors_lock = threading.Lock()
        self.writer = threading.RLock()
        self._transaction: duckdb.DuckDBPyConnection | None = None
        self._writing_in: threading.Thread | None = None
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, read_only: bool, lock_timeout: float) -> Connection:
        """Open an existing file, waiting up to `lock_timeout` seconds for another process to let it go."""

        def connect() -> duckdb.DuckDBPyConnection:
            with _translated(path):
                return duckdb.connect(path, read_only=read_only, config=dict(_SETTINGS))

        root = retry_while_locked(connect, path, lock_timeout)
        try:
            with _translated(path):
                for name, value in _AFTER_CONNECTING.items():
                    root.execute(f"SET GLOBAL {name} = {value}").fetchall()
        except BaseException:
            root.close()
            raise
        return cls(root, path, None if read_only else LockFile.write(path))

    # -------------------------------------------------------------- statements

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        with _translated(self.path):
            return self._run(query, lambda cursor: cursor.execute(query, list(parameters)).fetchall())

    def execute(self, query: str, parameters: Sequence[object] = ()) -> None:
        """Run a statement that returns nothing of interest."""
        with _translated(self.path):
            # DuckDB 2 runs a statement to its end only when its result is fetched.
            self._run(query, lambda cursor: cursor.execute(query, list(parameters)).fetchall())

    def table(self, query: str, parameters: Sequence[object] = (), /, **tables: pa.Table) -> pa.Table:
        """Run a query, which may name the given Arrow tables, and return its rows as Arrow."""
        with _translated(self.path), self._registered(tables) as cursor:
            return self._run(query, lambda _: _as_arrow(cursor, query, list(parameters)))

    def stream(self, query: str, take: Callable[[pa.RecordBatch], None], **tables: pa.Table) -> None:
        """Run such a query and hand over its rows in batches; `take` runs no statement."""

        def run(cursor: duckdb.DuckDBPyConnection) -> None:
            for batch in cursor.sql(query).to_arrow_reader(_BATCH_ROWS):
                take(batch)

        with _translated(self.path), self._registered(tables):
            self._run(query, run)

    def insert(self, query: str, **tables: pa.Table) -> None:
        """Run an INSERT that reads the given Arrow tables."""
        with _translated(self.path), self._registered(tables):
            self._run(query, lambda cursor: cursor.execute(query).fetchall())

    def append(self, table: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Insert rows whose columns are those of the table in their order; to name them would take a view."""
        with _translated(self.path):
            self._run(f"INSERT INTO {table}", lambda cursor: cursor.from_arrow(rows).insert_into(table))

    def select(
        self, query: str, parameters: Parameters, max_rows: int | None = None, max_seconds: float | None = None
    ) -> pa.Table:
        """Run one statement that a user wrote, unable to change or to leave the database, within limits."""
        values = plain_parameters(parameters)
        with _translated(self.path, QueryError), explained(query):
            check_query(self._cursor(), query, values)
            try:
                # What looks like a SELECT can hold an INSERT, so the transaction refuses to write.
                self._run("BEGIN", lambda cursor: cursor.execute("BEGIN TRANSACTION READ ONLY").fetchall())
                with stopped_after(self._cursor(), max_seconds):
                    return self._run(query, lambda cursor: answer(cursor, query, values, max_rows))
            finally:
                self._drop_cursor()

    @contextmanager
    def _registered(self, tables: Mapping[str, pa.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._cursor()
        for name, table in tables.items():
            cursor.register(name, table)
        try:
            yield cursor
        except BaseException:
            # Within a transaction that has failed not even a name can be taken away; the cursor goes with it.
            self._drop_cursor()
            raise
        for name in tables:
            cursor.unregister(name)

    def _run(self, query: str, call: Callable[[duckdb.DuckDBPyConnection], T]) -> T:  # noqa: ARG002
        """Make one statement; whoever wants to count or see statements wraps this method."""
        cursor = self._cursor()
        # What undoes a transaction must run in any case, and does not come by here.
        with running(cursor.interrupt, duckdb.Error, OSError, RuntimeError):
            return call(cursor)

    # -------------------------------------------------------------- threads and transactions

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        self.check_usable()
        thread = threading.current_thread()
        if self._transaction is not None and self._writing_in is thread:
            return self._transaction
        cursor = self._cursors.get(thread)
        if cursor is None:
            with self._cursors_lock:
                self.check_usable()
                cursor = self._cursors[thread] = self._root.cursor()
        return cursor

    def check_usable(self) -> None:
        """Refuse after close, and in a process that was forked with the file open."""
        if os.getpid() != self._pid:
            raise StorageError(
                f"{self.path} was opened by process {self._pid} and this is its fork {os.getpid()}; what a fork "
                "writes is lost. Open the database in the child itself, or start workers by 'spawn'.",
                pid=self._pid,
            )
        if self._closed:
            raise StorageError(f"The database {self.path} is closed; open it again to go on.")

    def transaction(self, work: Callable[[], T]) -> T:
        """Do some work and commit it, or undo it as a whole; one thread at a time.

        Not a context manager: an interrupt that comes while one is entered would leave the transaction open.
        """
        with self.writer:
            self._undo()  # from which a second interrupt may have kept the last one
            try:
                self._transaction = self._root.cursor()
                self._writing_in = threading.current_thread()
                self.execute("BEGIN TRANSACTION")
                done = work()
                self.execute("COMMIT")
            except BaseException:
                self._writing_in = None  # comes first, since an interrupt can come with any call
                self._undo()
                raise
            self._writing_in, written, self._transaction = None, self._transaction, None
            written.close()
        return done

    @property
    def is_writing(self) -> bool:
        """Whether a transaction is under way."""
        return self._writing_in is not None

    def _undo(self) -> None:
        """Undo a transaction that did not come to its end."""
        if self._transaction is not None:
            self._give_up(self._transaction)
            self._transaction = None

    def _give_up(self, cursor: duckdb.DuckDBPyConnection) -> None:
        # Closed within a transaction, an interrupted statement keeps DuckDB 1.x from ever opening the file again.
        with suppress(SciDBError), _translated(self.path):
            cursor.execute("ROLLBACK").fetchall()
        cursor.close()

    def _drop_cursor(self) -> None:
        """Close this thread's cursor, and with it what it has begun; the next statement gets a new one."""
        with self._cursors_lock:
            cursor = self._cursors.pop(threading.current_thread(), None)
        if cursor is not None:
            self._give_up(cursor)

    def close(self) -> None:
        """Let go of the file; closing twice does nothing."""
        with self.writer, self._cursors_lock:
            if self._closed or os.getpid() != self._pid:
                return
            self._undo()
            self._closed = True
            with _translated(self.path):
                # Closes its cursors too, those of other threads among them.
                self._root.close()
            if self._lock_file:
                self._lock_file.remove()


def _as_arrow(cursor: duckdb.DuckDBPyConnection, query: str, parameters: list[object]) -> pa.Table:
    if not parameters:
        return cursor.sql(query).to_arrow_table()
    if int(duckdb.__version__.split(".")[0]) > 1:
        return cursor.sql(query, params=parameters).to_arrow_table()
    # DuckDB 1.x takes the rows of a relation with parameters through Python.
    return cursor.execute(query, parameters).to_arrow_table()


# ------------------------------------------------------------------ making a file


def create_file(path: Path, statements: Sequence[str]) -> None:
    """Make a database file from these statements, whole or not at all; one that is there is left alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    # DuckDB 1.x writes this version by itself and knows no newer one.
    version = "(STORAGE_VERSION 'v1.5.0')" if int(duckdb.__version__.split(".")[0]) > 1 else ""
    try:
        with _translated(path), closing(duckdb.connect(":memory:")) as connection:
            quoted = str(draft).replace("'", "''")
            connection.execute(f"ATTACH '{quoted}' AS draft {version}")
            connection.execute("USE draft")
            connection.execute("BEGIN")
            for statement in statements:
                connection.execute(statement)
            connection.execute("COMMIT")
            connection.execute("USE memory")
            connection.execute("DETACH draft")
        _publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)
        draft.with_name(f"{draft.name}.wal").unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    try:
        # Unlike a rename, a link never replaces what another process made meanwhile.
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:
        if not path.exists():
            draft.rename(path)


# ------------------------------------------------------------------ errors


@contextmanager
def _translated(path: Path, refused: type[SciDBError] = StorageError) -> Iterator[None]:
    """Turn DuckDB's exceptions into ours; `refused` stands for statements that do not work."""
    try:
        yield
    except duckdb.Error as error:
        # Met while DuckDB asked Python for Arrow data, it survives as text only; a user's SQL may say anything.
        if "KeyboardInterrupt" in str(error) and refused is not QueryError:
            raise KeyboardInterrupt from error
        raise _our_error(path, error, refused) from error
    except OSError as error:
        if isinstance(error, SciDBError):
            raise
        raise StorageError(f"{path}: {error.strerror or error}.", path=str(path)) from error
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        # So DuckDB reports that a signal handler raised; DuckDB 1.x says what, and 2.0 forgets it.
        if error.__cause__ is not None:
            raise error.__cause__ from None
        raise KeyboardInterrupt from error


def _our_error(path: Path, error: duckdb.Error, refused: type[SciDBError]) -> SciDBError:
    said = _first_line(error)
    match error:
        case duckdb.FatalException() | duckdb.InternalException() | duckdb.SerializationException():
            return CorruptDatabaseError(
                f"The database {path} is damaged, or was written by a newer DuckDB than {duckdb.__version__}: {said}. "
                "Close it, keep a copy, and open a backup.",
                path=str(path),
            )
        case duckdb.TransactionException() | duckdb.ConstraintException():
            return _transaction_error(path, error, refused)
        case duckdb.IOException() | duckdb.ConnectionException():
            is_other = "not a valid DuckDB database file" in str(error)
            return _not_a_database(path) if is_other else StorageError(f"{path}: {said}.", path=str(path))
        case duckdb.PermissionException() if refused is not QueryError:
            # A file of another engine, for which DuckDB would load an extension.
            return _not_a_database(path)
        case duckdb.NotImplementedException():
            return UnsupportedOperationError(f"DuckDB cannot do that: {said}.")
    what = str(error) if refused is QueryError else said
    return refused(f"{type(error).__name__.removesuffix('Exception')}: {what}")


def _not_a_database(path: Path) -> CorruptDatabaseError:
    return CorruptDatabaseError(
        f"{path} is not a DuckDB database, so it cannot be a SciDB database; it was left as it is. Choose another "
        "path to make a new database.",
        path=str(path),
    )


def _transaction_error(path: Path, error: duckdb.Error, refused: type[SciDBError]) -> SciDBError:
    if "read-only" in str(error):
        return refused(f"Nothing can be written here: {_first_line(error)}.")
    return ConflictError(f"{path} was changed by somebody else meanwhile: {_first_line(error)}. Try again.")


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0].rstrip(".")
