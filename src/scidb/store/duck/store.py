"""The seven verbs over one DuckDB file."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from scidb.exceptions import (
    SciDBError,
    StorageError,
    UnsupportedOperationError,
)
from scidb.store.duck import state as states
from scidb.store.duck.ahead import known_chunks, look_up, places_ahead
from scidb.store.duck.checking import check_connection
from scidb.store.duck.compacting import compact, require_room_to_compact
from scidb.store.duck.connection import Connection
from scidb.store.duck.finders import FINDERS
from scidb.store.duck.occurring import find_locations
from scidb.store.duck.opening import check_format, create, is_file, note_writer, warn_of_interrupted
from scidb.store.duck.read import chunks, find_rows
from scidb.store.duck.registered import add_type, find_types, update_type
from scidb.store.duck.remembered import is_one_place, know_places, note_written
from scidb.store.duck.removing import remove_lines
from scidb.store.duck.snapshot import snapshot_of
from scidb.store.duck.state import Row, Variable
from scidb.store.duck.tables import FORMAT_VERSION
from scidb.store.duck.trace import walk
from scidb.store.duck.whereabouts import check_room, warn_if_shared
from scidb.store.duck.write import Written, write_batch
from scidb.store.model import (
    Entries,
    Latest,
    Locations,
    Match,
    Records,
    Results,
    Stored,
    StoreInfo,
    TypeInfo,
)
from scidb.store.names import check_new_name, check_not_renamed, check_same_keys, check_variable_name
from scidb.store.texts import check_batch_texts, check_type_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from scidb.store.duck.found import Found
    from scidb.store.duck.state import State
    from scidb.store.model import (
        Batch,
        Checked,
        Chunk,
        Compaction,
        Query,
        Record,
        Removal,
        Removed,
        Result,
        SchemaKey,
        Snapshot,
        Trace,
        TraceQuery,
    )

__all__ = ["DuckStore"]

T = TypeVar("T")

_TICK: Final = dt.timedelta(microseconds=1)
_STAMP: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class DuckStore:
    """A database in one DuckDB file, open in this process alone; made with `DuckStore.open`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from scidb.store.model import SchemaKey
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = DuckStore.open(Path(folder, "study.duckdb"), [SchemaKey("subject", "int")])
    ...     print([key.name for key in store.describe().schema_keys])
    ...     store.close()
    ['subject']

    """

    def __init__(self, connection: Connection, *, read_only: bool, clock: Callable[[], dt.datetime]) -> None:
        self._connection = connection
        self._read_only = read_only
        self._clock = clock
        self._publishing = threading.Lock()
        self._state = states.load(connection)
        self._described: tuple[State | None, StoreInfo | None] = (None, None)
        self._is_settled = True  # whether the state is known to be that of the file

    @classmethod
    def open(
        cls,
        path: str | Path,
        schema_keys: Sequence[SchemaKey] | None = None,
        *,
        read_only: bool = False,
        lock_timeout: float = 10.0,
        clock: Callable[[], dt.datetime] | None = None,
    ) -> DuckStore:
        """Open a database file, or make one where there is none and the keys are given.

        A file of an older format is brought up to date when it is opened for writing; a copy of what it was is kept
        beside it.

        Parameters
        ----------
        path
            The file.
        schema_keys
            The ordered keys of the dataset. An existing file must have the same ones; None takes what it has.
        read_only
            Refuse to write, and allow other readers in other processes.
        lock_timeout
            How many seconds to wait for another process to close the file.
        clock
            Where the time comes from; a naive datetime is UTC.

        Raises
        ------
        CorruptDatabaseError
            When the file is not a SciDB database, which leaves it as it is.
        DatabaseLockedError
            When another process has the file open.
        FormatVersionError
            When the file was written by a newer SciDB, or by an older one and is opened read-only.
        MigrationError
            When a file of an older format could not be brought up to date; it is left as it was.
        SchemaKeyError
            When the keys are missing for a new file, or differ from those of an existing one.
        StorageError
            When the path cannot be a file, or permissions do not suffice.

        """
        path = Path(path).absolute()
        found = is_file(path)
        warn_if_shared(path)
        if not found:
            if read_only:
                raise StorageError(f"There is no database {path} to read.", path=str(path))
            create(path, schema_keys)
        connection = Connection.open(path, read_only=read_only, lock_timeout=lock_timeout)
        try:
            check_format(connection, read_only=read_only)
            store = cls(connection, read_only=read_only, clock=clock or _now)
            check_same_keys(path, store.describe().schema_keys, schema_keys)
            if not read_only:
                note_writer(connection)
                warn_of_interrupted(connection)
        except BaseException:
            connection.close()
            raise
        return store

    # -------------------------------------------------------------- description

    def describe(self) -> StoreInfo:
        """Return schema keys, format version, abilities and whether it is read-only."""
        self._connection.check_usable()
        state = self._current()
        described_state, info = self._described
        if info is None or described_state is not state:  # this is asked for every value that is saved
            info = StoreInfo(
                target=str(self._connection.path),
                schema_keys=state.keys,
                format_version=FORMAT_VERSION,
                abilities=("sql", "maintenance", "snapshots"),
                read_only=self._read_only,
                renamed=state.renamed,
                has_flags=state.has_flags,
                has_pruned=state.has_pruned,
            )
            self._described = (state, info)
        return info

    def register(self, info: TypeInfo) -> TypeInfo:
        """Add or update a variable type; return it as stored."""
        check_variable_name(info.name)
        check_type_texts(info)

        def register(draft: State) -> Written:
            check_not_renamed(info.name, draft.renamed)
            check_new_name(info.name, {*draft.variables, *draft.renamed})
            if info.name in draft.variables:
                update_type(self._connection, info)
            else:
                created.append(add_type(self._connection, info, self._read_clock().strftime(_STAMP)))
            draft.variables.setdefault(info.name, Variable(info.name))
            return Written((), {})

        created: list[TypeInfo] = []
        self._change(register)
        # Of a new one everything is known, and to count what it has takes longer than to write it.
        return created[0] if created else find_types(self._connection, info.name)[0]

    def types(self) -> list[TypeInfo]:
        """Return every registered type by name, with counts and last change."""
        return find_types(self._connection) if self._current().variables else []

    # -------------------------------------------------------------- writing

    def write(self, batch: Batch) -> list[Record]:
        """Store a batch in one transaction and return its records, time-stamped, in order of `seq`."""
        check_batch_texts(batch)
        check_room(self._connection.path, batch.chunks)

        def write(draft: State) -> Written:
            written = write_batch(self._connection, draft, batch, self._next_stamp(draft))
            if batch.check is not None:
                batch.check()
            return written

        return [row.record for row in self._change(write).rows]

    def remove(self, removal: Removal) -> Removed:
        """Remove lines of the log, and what goes with them; what is erased, from the file as well."""

        def work(draft: State) -> None:
            done.append(remove_lines(self._connection, draft, removal, self._next_stamp(draft)))

        done: list[Removed] = []
        with self._connection.writer:
            self._check_writable()
            if removal.kind == "erase":
                require_room_to_compact(self._connection)
            draft = self._current().draft()
            self._is_settled = False  # and so it stays, until the file is asked anew what is in it
            self._connection.transaction(lambda: work(draft))
            if done[0].is_rewritten:  # nothing to do, or done before
                return done[0]
            try:
                self.compact()
            except SciDBError as error:
                raise StorageError(
                    f"The records are gone from {self._connection.path}, and their bytes are still in the file: "
                    f"{error} Then run `scidb compact`, or db.admin.compact().",
                    path=str(self._connection.path),
                ) from error
        return replace(done[0], is_rewritten=True)

    def compact(self) -> Compaction:
        """Write the file anew, which gives back the space of what is gone; other threads read meanwhile."""
        with self._connection.writer:
            self._check_writable()
            try:
                return compact(self._connection)
            finally:
                self._is_settled = False  # numbers of rows are others now

    def _change(self, work: Callable[[State], Written]) -> Written:
        """Change the file and then the state, or neither."""
        self._connection.check_usable()  # before the lock, which in a fork nobody may ever give back
        with self._connection.writer:
            self._check_writable()
            draft = self._current().draft()
            # An interrupt can come also between the commit and its publication.
            self._is_settled = False
            written = self._connection.transaction(lambda: work(draft))
            with self._publishing:
                self._state = draft
                note_written(draft, written)
                self._is_settled = True
        return written

    def _current(self) -> State:
        """Return the state, from the file if a change failed or was interrupted, in whatever moment."""
        self._connection.check_usable()
        if not self._is_settled and not self._connection.is_writing:
            with self._connection.writer:
                if not self._is_settled:
                    state = states.load(self._connection)
                    with self._publishing:
                        self._state = state
                        self._is_settled = True
        return self._state

    def _check_writable(self) -> None:
        self._connection.check_usable()
        if self._read_only:
            raise StorageError(
                f"The database {self._connection.path} was opened read-only. Open it without read_only to write.",
                path=str(self._connection.path),
            )

    def _read_clock(self) -> dt.datetime:
        now = self._clock()
        return now.replace(tzinfo=dt.UTC) if now.tzinfo is None else now.astimezone(dt.UTC)

    def _next_stamp(self, state: State) -> str:
        """Return the time as it is stored: later than any before, also when the clock is not."""
        return max(self._read_clock().strftime(_STAMP), _after(state.clockwork.timestamp))

    # -------------------------------------------------------------- reading

    def find(self, query: Query[T]) -> list[T]:
        """Return the rows that answer the query, without payloads."""
        return cast("list[T]", self._find(query))

    def _find(self, query: Query[Any]) -> Sequence[object]:
        self._connection.check_usable()
        if isinstance(query, Results):  # first, since a hit takes microseconds
            return self._results(query)
        if isinstance(query, Latest | Locations):
            return self._answered(query)
        if isinstance(query, Stored):
            query = Records(Match(record_ids=query.record_ids))
        if isinstance(query, Records | Entries):
            state = self._current()
            found = self._found(query)
            rows = list(found.records)
            if query.match.record_prefix is not None:  # what somebody names is mostly loaded next
                state.memory.window.know(map(Row, rows, found.schema_ids, found.numbers, found.layouts))
            return rows
        if type(query) not in FINDERS:
            raise UnsupportedOperationError(f"A DuckDB store cannot answer a {type(query).__name__}.")
        return FINDERS[type(query)](self._connection, self._current(), query)

    def _answered(self, query: Latest | Locations) -> Sequence[object]:
        """Answer from memory a question that was asked before, when nothing was saved meanwhile."""
        state = self._current()
        known = state.memory.answers.get(query)
        if known is not None:
            return list(known)
        if isinstance(query, Locations):
            rows: Sequence[Any] = find_locations(self._connection, state, query)
        else:
            found = self._found(query)
            rows = list(found.records)
            # What was found is mostly loaded next.
            state.memory.window.know(map(Row, rows, found.schema_ids, found.numbers, found.layouts))
        with self._publishing:
            if self._state is state:
                state.memory.answers.put(query, rows)
        return rows

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        """Stream the records that answer the query with their payloads, in the query's order."""
        self._connection.check_usable()
        if isinstance(query, Stored):
            state = self._current()
            known = state.memory.window.known(query.record_ids)
            if known is not None:
                return known_chunks(self._connection, state, known)
            query = Records(Match(record_ids=query.record_ids))
        if not isinstance(query, Latest | Records | Entries):
            raise UnsupportedOperationError(f"Records cannot be fetched by a {type(query).__name__}.")
        found, state = self._found(query), self._current()
        if len(found) == 1 and is_one_place(state, query):
            return known_chunks(self._connection, state, list(found.rows()))
        return chunks(self._connection, state, found)

    def _found(self, query: Latest | Records | Entries) -> Found:
        state = self._current()
        found = find_rows(self._connection, state, query)
        if len(found) and is_one_place(state, query):
            rows = list(found.rows())
            if (rows[0].record.variable, rows[0].schema_id) not in state.memory.latest:
                rows += places_ahead(self._connection, state, rows[0])
                with self._publishing:
                    # After a write meanwhile, what was found may be out of date.
                    if self._state is state:
                        know_places(state, rows)
        return found

    def _results(self, query: Results) -> list[Result]:
        """Return results from memory, and the rest from the file; a result that counts is looked up once."""
        state = self._current()
        remembered = state.memory.results
        if len(query.lineage_ids) == 1 and (known := remembered.get(query.lineage_ids[0])) is not None:
            state.memory.window.used(query.lineage_ids[0])
            return [known]
        found = {one: remembered.get(one) for one in query.lineage_ids}
        missing = [one for one, result in found.items() if result is None]
        for one in found.keys() - missing:
            state.memory.window.used(one)
        if missing:
            results, rows, absent = look_up(self._connection, state, missing)
            fresh = {one.computation.lineage_id: one for one in results}
            found.update((one, fresh[one]) for one in missing if one in fresh)
            with self._publishing:
                # After a write meanwhile, what was found may be out of date.
                if self._state is state:
                    state.memory.bound()
                    # Other code may write over a generated file, which changes nothing about its computation.
                    remembered.update((one, result) for one, result in fresh.items() if result.records)
                    state.memory.window.know(rows)
                    state.memory.absent |= absent
        return [result for result in found.values() if result is not None]

    def trace(self, query: TraceQuery) -> Trace:
        """Walk the provenance up- or downstream."""
        return walk(self._connection, self._current(), query)

    def sql(
        self,
        query: str,
        parameters: Sequence[object] | Mapping[str, object] = (),
        *,
        max_rows: int | None = None,
        max_seconds: float | None = None,
    ) -> pa.Table:
        """Run one SELECT over the views and return its result."""
        return self._connection.select(query, parameters, max_rows, max_seconds)

    def check(self, *, repair: bool = False, head: str | None = None) -> Checked:
        """Say what of the file is not as it must be; with `repair`, put right what follows from the rest."""
        if not repair:
            self._connection.check_usable()
            return check_connection(self._connection, head=head)
        with self._connection.writer:
            self._check_writable()
            self._is_settled = False  # the state is read again from what was repaired
            return check_connection(self._connection, repair=True, head=head)

    def snapshot(self, known: Collection[str] = frozenset()) -> Snapshot:
        """Return the database as it is now in pieces, those that are known without their bytes."""
        with self._connection.writer:
            taken = self._next_stamp(self._current())
            held = self._connection.hold(read_only=self._read_only)
        return snapshot_of(held, self._connection.path, taken, known)

    def close(self) -> None:
        """Release the file; closing twice does nothing."""
        self._connection.close()


def _after(stamp: str) -> str:
    """Return the next instant."""
    if not stamp:
        return ""
    return (dt.datetime.strptime(stamp, _STAMP).replace(tzinfo=dt.UTC) + _TICK).strftime(_STAMP)
