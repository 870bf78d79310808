"""The reference store: every rule of the protocol, in plain Python over a log in memory.

Clarity before speed: this is what the tests compare every other store with. It knows no file and no SQL.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar, cast

from scidb.exceptions import (
    StorageError,
    UnsupportedOperationError,
)
from scidb.store.memory.checks import check_state
from scidb.store.memory.entries import chunks_of, log_entries
from scidb.store.memory.events import add_key, apply
from scidb.store.memory.queries import answer
from scidb.store.memory.removing import remove
from scidb.store.memory.state import State
from scidb.store.memory.tracing import walk
from scidb.store.model import (
    Chunk,
    KeyAdded,
    SchemaKey,
    StoreInfo,
)
from scidb.store.names import (
    check_new_name,
    check_not_renamed,
    check_variable_name,
)
from scidb.store.texts import check_batch_texts, check_type_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scidb.store.model import (
        Batch,
        Checked,
        Compaction,
        Query,
        Record,
        Removal,
        Removed,
        Trace,
        TraceQuery,
        TypeInfo,
    )

__all__ = ["MemoryStore"]

T = TypeVar("T")

_TICK: Final = dt.timedelta(microseconds=1)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class MemoryStore:
    """A store that lasts as long as its process.

    Parameters
    ----------
    schema_keys
        The ordered keys of the dataset.
    clock
        Where the time comes from; a naive datetime is UTC.

    Examples
    --------
    >>> from scidb.store.model import SchemaKey, TypeInfo
    >>> store = MemoryStore([SchemaKey("subject", "int"), SchemaKey("trial", "int")])
    >>> store.register(TypeInfo("StepLength", units="m")).identity_name
    'StepLength'
    >>> [key.name for key in store.describe().schema_keys]
    ['subject', 'trial']

    """

    def __init__(self, schema_keys: Sequence[SchemaKey], *, clock: Callable[[], dt.datetime] = _now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Published states never change: a write works on a copy and replaces it, so that readers need no
        # lock after they have it, and a write that fails leaves nothing behind.
        self._state = State(last=dt.datetime.min.replace(tzinfo=dt.UTC))
        self._closed = False
        for key in schema_keys:
            add_key(self._state, KeyAdded(key, after=_last_name(self._state.keys)))

    def describe(self) -> StoreInfo:
        """Return schema keys and format version."""
        state = self._current()
        return StoreInfo(
            "memory:",
            tuple(state.keys),
            format_version=1,
            abilities=("maintenance",),
            renamed=dict(state.renamed),
            has_flags=bool(state.flags),
            has_pruned=bool(state.pruned),
        )

    def register(self, info: TypeInfo) -> TypeInfo:
        """Add or update a variable type."""
        check_type_texts(info)
        with self._lock:
            state = self._current().copy()
            check_variable_name(info.name)
            check_not_renamed(info.name, state.renamed)
            check_new_name(info.name, {*state.types, *state.renamed})
            first = state.types.get(info.name)
            state.types[info.name] = replace(
                info,
                identity_name=first.identity_name if first else info.name,
                created_at=first.created_at if first else _text(self._read_clock()),
                groups=first.groups if first else (),
            )
            self._state = state
            return _counted(state, info.name)

    def types(self) -> list[TypeInfo]:
        """Return every registered type by name, with counts and last change."""
        state = self._current()
        return [_counted(state, name) for name in sorted(state.types)]

    def write(self, batch: Batch) -> list[Record]:
        """Store a batch as a whole or not at all."""
        check_batch_texts(batch)
        with self._lock:
            state = self._current().copy()
            state.last = max(self._read_clock(), state.last + _TICK)
            stamp = _text(state.last)
            for event in batch.events:
                apply(state, event, stamp)
            records = log_entries(state, batch.chunks, stamp)
            for call in batch.calls:
                # The outputs of one call may be saved one by one, each time with the call.
                state.calls.setdefault(call.call_id, replace(call, timestamp=stamp))
            state.edges.extend(dict.fromkeys(replace(edge, timestamp=stamp) for edge in batch.edges))
            if batch.check is not None:
                batch.check()
            self._state = state
            return records

    def remove(self, removal: Removal) -> Removed:
        """Remove lines of the log, and what goes with them."""
        with self._lock:
            state = self._current().copy()
            state.last = max(self._read_clock(), state.last + _TICK)
            removed = remove(state, removal, _text(state.last))
            self._state = state
            return removed

    def compact(self) -> Compaction:
        """Refuse: there is no file.

        Raises
        ------
        UnsupportedOperationError
            Always.

        """
        raise UnsupportedOperationError(
            "A database in memory has no file that could be written anew; what was removed is gone from it.",
            ability="maintenance",
        )

    def find(self, query: Query[T]) -> list[T]:
        """Return the rows that answer the query."""
        return cast("list[T]", answer(self._current(), query))

    def fetch(self, query: Query[Record]) -> Iterator[Chunk]:
        """Stream the records that answer the query, with their payloads."""
        state = self._current()
        return chunks_of(state, cast("list[Record]", answer(state, query)))

    def trace(self, query: TraceQuery) -> Trace:
        """Walk the provenance up- or downstream."""
        return walk(self._current(), query)

    def check(self, *, repair: bool = False, head: str | None = None) -> Checked:  # noqa: ARG002 - no file, no chain
        """Say what refers to nothing."""
        return check_state(self._current())

    def close(self) -> None:
        """Refuse every further verb; what was stored is given up with the object."""
        with self._lock:
            self._closed = True

    def _current(self) -> State:
        if self._closed:
            raise StorageError("This store is closed; open it again to go on.")
        return self._state

    def _read_clock(self) -> dt.datetime:
        now = self._clock()
        return now.replace(tzinfo=dt.UTC) if now.tzinfo is None else now.astimezone(dt.UTC)


def _text(instant: dt.datetime) -> str:
    return instant.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _last_name(keys: list[SchemaKey]) -> str | None:
    return keys[-1].name if keys else None


# ------------------------------------------------------------------ types


def _counted(state: State, name: str) -> TypeInfo:
    entries = [entry for entry in state.log if entry.variable == name]
    given = {key for entry in entries for key in entry.schema}
    return replace(
        state.types[name],
        schema_level=_last_name([key for key in state.keys if key.name in given]),
        records=len({entry.record_id for entry in entries}),
        entries=len(entries),
        last_change=entries[-1].timestamp if entries else None,
    )
