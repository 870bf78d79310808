"""One DuckDB file and how it is reached: lock, threads, transactions, and opening it again when DuckDB gives up.

Every statement of the store passes through `Connection`; nothing here knows what the tables mean.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import weakref
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import duckdb

from scidb.exceptions import QueryError, SciDBError, StorageError
from scidb.store.disk import flush_folder, log_of
from scidb.store.duck import forks
from scidb.store.duck.asking import answer, check_query, explained, plain_parameters
from scidb.store.duck.failures import is_invalidated, is_lost, translated
from scidb.store.duck.held import Held, Holding
from scidb.store.duck.limits import stopped_after
from scidb.store.duck.lockfile import LockFile, held, refuse_while_held, remove_stale, retry_while_locked
from scidb.store.duck.seats import Seat
from scidb.store.duck.whereabouts import discard_empty_log, prepare_log, restrict, spill_folder
from scidb.store.stopping import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from scidb.store.duck.asking import Parameters

__all__ = ["Connection"]

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
    # So many keys are looked up through the index, where the default of 50 reads a table whole for more.
    "dynamic_or_filter_threshold": "256",
}
# Of a stream; fewer cost calls, more cost memory.
_BATCH_ROWS: Final = 122_880
# Seconds that a file which is to take the place of another waits for statements of other threads.
_PATIENCE: Final = 30.0
_AFTER_CONNECTING: Final = {
    "python_enable_replacements": "false",
    "TimeZone": "'UTC'",
    "lock_configuration": "true",  # the last one: it also keeps a query from undoing the others
}


class Connection:
    """A DuckDB file, open in this process.

    Each thread reads through a cursor of its own; one thread at a time writes. When DuckDB refuses to go on, as it
    does after a disk was full, the file is closed and opened again by whoever comes next.
    """

    def __init__(self, path: Path, *, read_only: bool, lock_timeout: float) -> None:
        self.path = path
        self.pid = os.getpid()
        self._read_only = read_only
        self._lock_timeout = lock_timeout
        self._lock_file: LockFile | None = None
        self._seats: weakref.WeakKeyDictionary[threading.Thread, Seat] = weakref.WeakKeyDictionary()
        self._seats_lock = threading.Lock()
        self.writer = threading.RLock()
        self._transaction: Seat | None = None
        self._writing_in: threading.Thread | None = None
        self._is_closing = False
        self._closed = False
        self._is_lost = False  # whether DuckDB refuses everything until the file is opened again
        self._openings = 0
        self.holding = Holding(path)
        self._root = self._connect()

    @classmethod
    def open(cls, path: Path, *, read_only: bool, lock_timeout: float) -> Connection:
        """Open an existing file, waiting up to `lock_timeout` seconds for another process to let it go."""
        forks.check_not_inherited(path)
        connection = cls(path, read_only=read_only, lock_timeout=lock_timeout)
        forks.watch(connection)
        return connection

    def _connect(self) -> duckdb.DuckDBPyConnection:
        def connect() -> duckdb.DuckDBPyConnection:
            if self._lock_file is None:
                refuse_while_held(self.path)
            with translated(self.path):
                # An empty name makes DuckDB do without.
                config: dict[str, Any] = {**_SETTINGS, "temp_directory": str(spill_folder(self.path) or "")}
                root = duckdb.connect(self.path, read_only=self._read_only, config=config)
            try:
                with translated(self.path):
                    for name, value in _AFTER_CONNECTING.items():
                        root.execute(f"SET GLOBAL {name} = {value}").fetchall()
                if self._read_only:
                    remove_stale(self.path)
                elif self._lock_file is None:
                    self._lock_file = LockFile.write(self.path)
            except BaseException:
                root.close()
                raise
            return root

        return retry_while_locked(connect, self.path, self._lock_timeout)

    # -------------------------------------------------------------- statements

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return self._do(query, lambda cursor: cursor.execute(query, list(parameters)).fetchall())

    def execute(self, query: str, parameters: Sequence[object] = ()) -> None:
        """Run a statement that returns nothing of interest."""
        # DuckDB 2 runs a statement to its end only when its result is fetched.
        self._do(query, lambda cursor: cursor.execute(query, list(parameters)).fetchall())

    def table(self, query: str, parameters: Sequence[object] = (), /, **tables: pa.Table) -> pa.Table:
        """Run a query, which may name the given Arrow tables, and return its rows as Arrow."""
        return self._do(query, lambda cursor: _as_arrow(cursor, query, list(parameters)), tables)

    def stream(self, query: str, begin: Callable[[], Callable[[pa.RecordBatch], None]], **tables: pa.Table) -> None:
        """Run such a query and hand over its rows in batches to what `begin` gives, which runs no statement.

        It begins again where the file had to be opened again meanwhile.
        """

        def run(cursor: duckdb.DuckDBPyConnection) -> None:
            take = begin()
            for batch in cursor.sql(query).to_arrow_reader(_BATCH_ROWS):
                take(batch)

        self._do(query, run, tables)

    def insert(self, query: str, **tables: pa.Table) -> None:
        """Run an INSERT that reads the given Arrow tables."""
        self._do(query, lambda cursor: cursor.execute(query).fetchall(), tables)

    def append(self, table: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Insert rows whose columns are those of the table in their order; to name them would take a view."""
        self._do(f"INSERT INTO {table}", lambda cursor: cursor.from_arrow(rows).insert_into(table))

    def select(
        self, query: str, parameters: Parameters, max_rows: int | None = None, max_seconds: float | None = None
    ) -> pa.Table:
        """Run one statement that a user wrote, unable to change or to leave the database, within limits."""
        values = plain_parameters(parameters)

        def run(cursor: duckdb.DuckDBPyConnection) -> pa.Table:
            with explained(query):
                check_query(cursor, query, values)
                try:
                    # What looks like a SELECT can hold an INSERT, so the transaction refuses to write.
                    self._run("BEGIN", lambda: cursor.execute("BEGIN TRANSACTION READ ONLY").fetchall())
                    with stopped_after(cursor, max_seconds):
                        return self._run(query, lambda: answer(cursor, query, values, max_rows))
                finally:
                    self._drop_seat()

        return self._repeated(lambda: self._seated(run, QueryError))

    def _do(
        self,
        query: str,
        call: Callable[[duckdb.DuckDBPyConnection], T],
        tables: Mapping[str, pa.Table] | None = None,
    ) -> T:
        def run(cursor: duckdb.DuckDBPyConnection) -> T:
            if not tables:
                return self._run(query, lambda: call(cursor))
            for name, table in tables.items():
                cursor.register(name, table)
            try:
                done = self._run(query, lambda: call(cursor))
            except BaseException:
                # Within a transaction that has failed not even a name can be taken away; the cursor goes with it.
                self._drop_seat()
                raise
            for name in tables:
                cursor.unregister(name)
            return done

        return self._repeated(lambda: self._seated(run))

    def _run(self, query: str, call: Callable[[], T]) -> T:  # noqa: ARG002
        """Make one statement; whoever wants to count or see statements wraps this method."""
        return call()

    def _repeated(self, work: Callable[[], T]) -> T:
        """Do something that only reads again, if it failed for what somebody else has met."""
        openings = self._openings
        try:
            return work()
        except SciDBError as error:
            if not self._was_struck(error, openings):
                raise
        return work()

    def _was_struck(self, error: SciDBError, openings: int) -> bool:
        """Say whether an error is one of a statement that was under way when DuckDB gave up in another one."""
        if self._is_writing_here():
            return False
        if isinstance(error.__cause__, (duckdb.IOException, duckdb.InterruptException, OSError)):
            with self.writer:  # of whom it is known afterwards
                return self._is_lost or self._openings != openings
        return is_invalidated(error)

    def _seated(self, work: Callable[[duckdb.DuckDBPyConnection], T], refused: type[SciDBError] = StorageError) -> T:
        """Work with the cursor of this thread, which nobody closes meanwhile without saying so."""
        while True:
            seat = self._seat()
            with seat.busy:
                if seat.is_gone:
                    continue
                try:
                    # What undoes a transaction must run in any case, and does not come by here.
                    interrupt = seat.cursor.interrupt
                    with translated(self.path, refused), running(interrupt, duckdb.Error, OSError, RuntimeError):
                        return work(seat.cursor)
                except SciDBError as error:
                    self._is_lost = self._is_lost or is_lost(error)
                    if self._closed:  # meanwhile
                        raise self._closed_error() from error
                    raise

    # -------------------------------------------------------------- threads and transactions

    def _seat(self) -> Seat:
        thread = threading.current_thread()
        while True:
            self.check_usable()
            if self._transaction is not None and self._writing_in is thread:
                return self._transaction
            if self._is_lost:
                self._open_again()
            seat = self._seats.get(thread)
            if seat is not None:
                return seat
            with self._seats_lock:
                if not self._closed and not self._is_lost:
                    seat = self._seats[thread] = Seat(self._root.cursor())
                    return seat

    def check_usable(self) -> None:
        """Refuse after close, and in a process that was forked with the file open."""
        if os.getpid() != self.pid:
            raise forks.refusal(self.path, self.pid)
        if self._closed or (self._is_closing and not self._is_writing_here()):
            raise self._closed_error()

    def _closed_error(self) -> StorageError:
        return StorageError(f"The database {self.path} is closed; open it again to go on.", path=str(self.path))

    def engine_objects(self) -> Iterator[object]:
        """Return DuckDB's objects through which the file is open."""
        if not self._closed:
            yield self._root
            yield from (seat.cursor for seat in (*self._seats.values(), self._transaction) if seat)

    def transaction(self, work: Callable[[], T]) -> T:
        """Do some work and commit it, or undo it as a whole; one thread at a time.

        Not a context manager: an interrupt that comes while one is entered would leave the transaction open.
        """
        self.check_usable()  # before the lock, which in a fork nobody may ever give back
        with self.writer:
            self._undo()  # from which a second interrupt may have kept the last one
            try:
                self._begin()
                done = work()
                prepare_log(self.path)
                self.execute("COMMIT")
            except BaseException:
                self._writing_in = None  # comes first, since an interrupt can come with any call
                self._undo()
                raise
            self._writing_in, written, self._transaction = None, self._transaction, None
            if written is not None:
                written.cursor.close()
        return done

    def _begin(self) -> None:
        for last in (False, True):
            self.check_usable()
            if self._is_lost:
                self._open_again()
            with self._seats_lock:
                self._transaction = Seat(self._root.cursor())
            self._writing_in = threading.current_thread()
            try:
                self.execute("BEGIN TRANSACTION")
            except SciDBError as error:
                if last or not is_invalidated(error):
                    raise
                self._writing_in = None
                self._undo()
            else:
                return

    @property
    def is_writing(self) -> bool:
        """Whether a transaction is under way."""
        return self._writing_in is not None

    def _is_writing_here(self) -> bool:
        return self._writing_in is threading.current_thread()

    def _undo(self) -> None:
        """Undo a transaction that did not come to its end."""
        if self._transaction is not None:
            self._give_up(self._transaction)
            self._transaction = None

    def _give_up(self, seat: Seat) -> None:
        # Closed within a transaction, an interrupted statement keeps DuckDB 1.x from ever opening the file again.
        try:
            with translated(self.path):
                seat.cursor.execute("ROLLBACK").fetchall()
        except SciDBError as error:
            # What cannot be undone, for want of memory for example, goes with the instance.
            if not isinstance(error.__cause__, duckdb.TransactionException):
                self._is_lost = True
        seat.is_gone = True
        seat.cursor.close()

    def _drop_seat(self) -> None:
        """Close this thread's cursor, and with it what it has begun; the next statement gets a new one."""
        with self._seats_lock:
            seat = self._seats.pop(threading.current_thread(), None)
        if seat is not None:
            self._give_up(seat)

    # -------------------------------------------------------------- the file itself

    def hold(self, *, read_only: bool) -> Held:
        """Keep DuckDB from moving what is in the file, while everybody reads and writes on; the caller closes it."""
        with self.writer:
            self.check_usable()
            if self._is_lost:
                self._open_again()
            return self.holding.begin(self._root, functools.partial(translated, self.path), read_only=read_only)

    def replace_file(self, other: Path) -> None:
        """Put another file in place of this one, and go on with it; statements of other threads wait that long.

        Raises
        ------
        StorageError
            When a statement of another thread takes too long, or something else has the file; it stays as it is.

        """
        with self.writer, ExitStack() as stack:
            if self.holding.is_under_way:
                raise StorageError(
                    f"{self.path} was not replaced: a backup of it is being made. Try again when that is done.",
                    path=str(self.path),
                )
            self._undo()
            self.execute("CHECKPOINT")
            self._is_lost = True  # so that who begins a statement waits for this thread
            try:
                self._await_statements(stack)
            except BaseException:
                self._is_lost = False
                raise
            self._let_go()
            self._put_in_place(other)
            self._open_again()

    def _await_statements(self, stack: ExitStack) -> None:
        """Keep every seat until the stack is left, as soon as its statement is done."""
        deadline = time.monotonic() + _PATIENCE
        with self._seats_lock:
            seats = list(self._seats.values())
        for seat in seats:
            if not seat.busy.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise StorageError(
                    f"{self.path} was not replaced: statements of other threads were still running after "
                    f"{_PATIENCE:g} s. Try again when they are done.",
                    path=str(self.path),
                )
            stack.callback(seat.busy.release)

    def _put_in_place(self, other: Path) -> None:
        target = self.path.resolve()
        with held(target), translated(self.path):
            if log_of(target).exists():
                raise StorageError(
                    f"{target} was not replaced: changes beside it are not part of it yet. Close every handle on it, "
                    "open it again, and try once more.",
                    path=str(target),
                )
            restrict(other, like=target)
            other.replace(target)
            flush_folder(target.parent)

    # -------------------------------------------------------------- opening again, and closing

    def _open_again(self) -> None:
        """Open the file anew after DuckDB has refused to go on; who waits for it finds it open."""
        with self.writer:
            self.check_usable()
            if self._is_lost:
                self._undo()
                self._let_go()
                root = self._connect()
                with self._seats_lock:
                    self._root, self._is_lost = root, False
                    self._openings += 1

    def _let_go(self, *, last: bool = False) -> None:
        with self._seats_lock:
            seats = dict(self._seats)
            self._seats.clear()
        with translated(self.path):
            for seat in seats.values():
                seat.leave()
            self.holding.let_go()
            if not self._read_only:
                discard_empty_log(self.path)
            if last and not self._read_only and not self._is_lost and self._has_log():
                # Where a disk is full, DuckDB 1.5 was seen to crash when it first met that as it closed.
                with suppress(duckdb.Error):
                    self._root.execute("CHECKPOINT").fetchall()
            self._root.close()
            self.holding.close_files()

    def _has_log(self) -> bool:
        log = log_of(self.path)
        return log.exists() and log.stat().st_size > 0

    def close(self) -> None:
        """Let go of the file; a write under way is awaited, what reads is interrupted. Closing twice does nothing."""
        if os.getpid() != self.pid:
            return
        try:
            self._is_closing = True  # so that who writes again and again lets this thread in between
            with self.writer:
                if not self._closed:
                    self._undo()
                    self._closed = True
                    if self._lock_file:
                        self._lock_file.remove()  # while it is ours for sure
                    self._let_go(last=True)
        finally:
            self._is_closing = False


def _as_arrow(cursor: duckdb.DuckDBPyConnection, query: str, parameters: list[object]) -> pa.Table:
    if not parameters:
        return cursor.sql(query).to_arrow_table()
    if int(duckdb.__version__.split(".")[0]) > 1:
        return cursor.sql(query, params=parameters).to_arrow_table()
    # DuckDB 1.x takes the rows of a relation with parameters through Python.
    return cursor.execute(query, parameters).to_arrow_table()
