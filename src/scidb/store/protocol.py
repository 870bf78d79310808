"""The waist itself: what a store can do. Seven verbs and `close`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from scidb.store.model import (
        Batch,
        Checked,
        Chunk,
        Compaction,
        Query,
        Record,
        Removal,
        Removed,
        Snapshot,
        StoreInfo,
        Trace,
        TraceQuery,
        TypeInfo,
    )

__all__ = ["Claims", "Maintenance", "Snapshots", "Sql", "Store"]

T = TypeVar("T")


class Store(Protocol):
    """Records, their payloads and their provenance, kept somewhere.

    Errors are those of ``scidb.exceptions``; nothing of the engine beneath leaks out. A store may be used
    from several threads. After `close`, every verb raises StorageError.
    """

    def describe(self) -> StoreInfo:
        """Return schema keys, format version, abilities and whether it is read-only."""
        ...

    def register(self, info: TypeInfo) -> TypeInfo:
        """Add or update a variable type; return it as stored, with its identity_name.

        Raises
        ------
        VariableDefinitionError
            When another type has the same name but for case, or the name is not allowed.
        NotRegisteredError
            When the variable of that name was renamed.

        """
        ...

    def types(self) -> list[TypeInfo]:
        """Return every registered type by name, with counts and last change."""
        ...

    def write(self, batch: Batch) -> list[Record]:
        """Store a batch in one transaction and return its records, time-stamped, in order of `seq`.

        The instant is one per write and strictly increases within the database. A record_id that is
        already there keeps its first data and encoding; its entry is logged all the same. Two records of
        one batch may share a record_id. A call that is written again stays as it was first written. When
        anything fails, nothing is stored.

        Raises
        ------
        NotRegisteredError
            When a record's variable was never registered, or one that is to be renamed.
        VariableDefinitionError
            When a variable cannot have its new name.
        NotFoundError
            When a chunk without a table names a record that the store does not have, or a run ends that
            never started.
        SchemaKeyError
            When a record uses a key that does not exist, or one that has no type and gets none in this batch,
            or a value of another type than the key's; or when a key is added that some record has as a version key.
        SerializationError
            When a chunk has more or fewer rows than records.
        StorageError
            When the store is read-only or closed, or the file system refuses.

        """
        ...

    def find(self, query: Query[T]) -> list[T]:
        """Return the rows that answer the query, without payloads."""
        ...

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        """Stream the records that answer the query with their payloads, in the query's order.

        Consecutive records of one encoding come as one chunk; memory stays bounded whatever the total.
        """
        ...

    def trace(self, query: TraceQuery) -> Trace:
        """Walk the provenance up- or downstream; ids that the store does not know give nothing.

        Downstream also goes through calls whose result was handed on without being saved.
        """
        ...

    def close(self) -> None:
        """Release this handle; closing twice does nothing."""
        ...


@runtime_checkable
class Sql(Protocol):
    """Optional ability ``sql``: read-only SQL over the views."""

    def sql(
        self,
        query: str,
        parameters: Sequence[object] | Mapping[str, object] = (),
        *,
        max_rows: int | None = None,
        max_seconds: float | None = None,
    ) -> pa.Table:
        """Run one SELECT and return its result.

        Raises
        ------
        QueryError
            When the statement fails, is not a single SELECT, or reaches outside the database.
        LimitExceededError
            When the result has more rows than `max_rows`, or is not there after `max_seconds`; the statement is
            then stopped.

        """
        ...


@runtime_checkable
class Maintenance(Protocol):
    """Optional ability ``maintenance``: the owner's work on a store as a whole."""

    def check(self, *, repair: bool = False, head: str | None = None) -> Checked:
        """Say what is not as it must be: tables, references, counts, the chain of the log; values are not read.

        Parameters
        ----------
        repair
            Put right what follows from the rest, after a copy of the store was made.
        head
            A link of the log's chain that was noted earlier, and must still be there.

        Raises
        ------
        StorageError
            When a repair is asked for, and the store is read-only or cannot be copied.

        """
        ...

    def remove(self, removal: Removal) -> Removed:
        """Remove lines of the log, and what goes with them, in one transaction; return the proof.

        What is erased is gone from the file, too, when this returns.

        Raises
        ------
        StorageError
            When the store is read-only or closed, or there is no room for the file that is written in its place.

        """
        ...

    def compact(self) -> Compaction:
        """Write the file anew, which gives back the space of what is gone.

        Raises
        ------
        StorageError
            When the store is read-only or closed, or there is no room.
        UnsupportedOperationError
            When there is no file.

        """
        ...


@runtime_checkable
class Claims(Protocol):
    """Optional ability ``claims``: who computes what, so that several machines share the work of one call.

    A claim ends when its time is up, when it is released, and when a call or a failure of its computation is written,
    by whomever. It keeps nobody from writing: a result that comes late is stored like any other.
    """

    def claim(
        self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0, *, most: int | None = None
    ) -> list[str]:
        """Claim these computations, or at most so many of them; return those obtained, in the order given.

        What the owner has already is obtained, too, for that time from now on.

        Raises
        ------
        LimitExceededError
            When more is claimed than the store keeps, or for longer.

        """
        ...

    def renew(self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0) -> list[str]:
        """Keep these claims for that time from now on; return those that the owner still has."""
        ...

    def release(self, lineage_ids: Sequence[str], owner: str) -> None:
        """Give these claims up; those of others stay."""
        ...


@runtime_checkable
class Snapshots(Protocol):
    """Optional ability ``snapshots``: the whole database as it was at one instant, while others write."""

    def snapshot(self, known: Collection[str] = frozenset()) -> Snapshot:
        """Return the database as it is now, in pieces; those whose digests are `known` come without their bytes.

        The pieces are read as they are asked for. Until they are at their end, or are closed, the store keeps what
        they need; readers and writers go on.

        Raises
        ------
        ConflictError
            While the pieces are read: when the database was closed or rewritten meanwhile.
        StorageError
            When the file cannot be read.

        """
        ...
