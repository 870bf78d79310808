"""Behaviour added around a store: a wrapper is a store itself, and adds one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from scidb.exceptions import StorageError, UnsupportedOperationError
from scidb.store.abilities import maintained
from scidb.store.protocol import Claims, Snapshots, Sql

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
    from scidb.store.protocol import Store

__all__ = ["ReadOnly", "Wrapper"]

T = TypeVar("T")


class Wrapper:
    """A store that hands everything on to another one; subclasses change what they are about.

    Closing a wrapper closes the store inside.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> StoreInfo:
        """Describe the store inside."""
        return self._store.describe()

    def register(self, info: TypeInfo) -> TypeInfo:
        """Register in the store inside."""
        return self._store.register(info)

    def types(self) -> list[TypeInfo]:
        """Return the types of the store inside."""
        return self._store.types()

    def write(self, batch: Batch) -> list[Record]:
        """Write to the store inside."""
        return self._store.write(batch)

    def find(self, query: Query[T]) -> list[T]:
        """Find in the store inside."""
        return self._store.find(query)

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        """Fetch from the store inside."""
        return self._store.fetch(query)

    def trace(self, query: TraceQuery) -> Trace:
        """Trace in the store inside."""
        return self._store.trace(query)

    def close(self) -> None:
        """Close the store inside."""
        self._store.close()

    def sql(
        self,
        query: str,
        parameters: Sequence[object] | Mapping[str, object] = (),
        *,
        max_rows: int | None = None,
        max_seconds: float | None = None,
    ) -> pa.Table:
        """Ask the store inside, when it has the ability.

        Raises
        ------
        UnsupportedOperationError
            When it has not.

        """
        return self._sql().sql(query, parameters, max_rows=max_rows, max_seconds=max_seconds)

    def _sql(self) -> Sql:
        if not isinstance(self._store, Sql):
            raise UnsupportedOperationError(
                f"The store {self._store.describe().target!r} answers no SQL. Ask with find or load_all, or "
                "open a DuckDB file.",
                ability="sql",
            )
        return self._store

    def check(self, *, repair: bool = False, head: str | None = None) -> Checked:
        """Check the store inside, when it has the ability.

        Raises
        ------
        UnsupportedOperationError
            When it has not.

        """
        return maintained(self._store).check(repair=repair, head=head)

    def remove(self, removal: Removal) -> Removed:
        """Remove from the store inside, likewise."""
        return maintained(self._store).remove(removal)

    def compact(self) -> Compaction:
        """Compact the store inside, likewise."""
        return maintained(self._store).compact()

    def snapshot(self, known: Collection[str] = frozenset()) -> Snapshot:
        """Return a snapshot of the store inside, when it has the ability."""
        if not isinstance(self._store, Snapshots):
            raise UnsupportedOperationError(
                f"The store {self._store.describe().target!r} is no file, and cannot be backed up. Keep the data in a "
                "DuckDB file.",
                ability="snapshots",
            )
        return self._store.snapshot(known)

    def claim(
        self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0, *, most: int | None = None
    ) -> list[str]:
        """Claim in the store inside, when it has the ability."""
        return self._claims().claim(lineage_ids, owner, seconds, most=most)

    def renew(self, lineage_ids: Sequence[str], owner: str, seconds: float = 60.0) -> list[str]:
        """Renew in the store inside, likewise."""
        return self._claims().renew(lineage_ids, owner, seconds)

    def release(self, lineage_ids: Sequence[str], owner: str) -> None:
        """Release in the store inside, likewise."""
        self._claims().release(lineage_ids, owner)

    def _claims(self) -> Claims:
        if not isinstance(self._store, Claims):
            raise UnsupportedOperationError(
                f"The store {self._store.describe().target!r} keeps no claims: only this process writes to it.",
                ability="claims",
            )
        return self._store


class ReadOnly(Wrapper):
    """A store that can be read and not changed.

    Examples
    --------
    >>> from scidb.store.memory import MemoryStore
    >>> ReadOnly(MemoryStore([])).describe().read_only
    True

    """

    def describe(self) -> StoreInfo:
        """Describe the store inside, as read-only."""
        return replace(super().describe(), read_only=True)

    def register(self, info: TypeInfo) -> TypeInfo:
        """Refuse to register."""
        raise self._refusal(f"variable {info.name!r} was not registered")

    def write(self, batch: Batch) -> list[Record]:
        """Refuse to write."""
        count = sum(len(chunk.records) for chunk in batch.chunks)
        raise self._refusal(f"a batch of {count} records was not written")

    def check(self, *, repair: bool = False, head: str | None = None) -> Checked:
        """Check the store inside; refuse to repair."""
        if repair:
            raise self._refusal("nothing was repaired")
        return super().check(head=head)

    def remove(self, removal: Removal) -> Removed:
        """Refuse to remove."""
        raise self._refusal(f"{len(removal.lines)} lines of the log were not removed")

    def compact(self) -> Compaction:
        """Refuse to compact."""
        raise self._refusal("the file was not written anew")

    def _refusal(self, consequence: str) -> StorageError:
        return StorageError(
            f"The store {self.describe().target!r} is open read-only; {consequence}. Open it for writing, or "
            "ask whoever runs it for the right to write.",
        )
