"""The reference store: every rule of the protocol, in plain Python over a log in memory.

Clarity before speed: this is what the tests compare every other store with. It knows no file and no SQL.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import threading
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final, TypeVar, cast

import pyarrow as pa

from scidb.exceptions import (
    NotFoundError,
    NotRegisteredError,
    SchemaKeyError,
    SerializationError,
    StorageError,
    UnsupportedOperationError,
    did_you_mean,
)
from scidb.store.labels import check_group, check_tag, not_in_group
from scidb.store.memory_checks import check_state
from scidb.store.memory_memo import invalidate
from scidb.store.memory_queries import answer, walk
from scidb.store.memory_removing import remove
from scidb.store.memory_state import Payload, State, answer_once
from scidb.store.model import (
    Acceptance,
    Accepted,
    Answered,
    BackedUp,
    Backup,
    Chunk,
    EnvironmentSeen,
    Export,
    Exported,
    Failed,
    Failure,
    Flagged,
    Grouped,
    Hit,
    Invalidated,
    KeyAdded,
    KeyTyped,
    Renamed,
    Run,
    RunEnded,
    RunStarted,
    SchemaKey,
    Source,
    SourceSeen,
    StoreInfo,
    Tag,
    Tagged,
    Unflagged,
    Ungrouped,
)
from scidb.store.names import (
    check_new_name,
    check_no_version_key,
    check_not_renamed,
    check_renaming,
    check_variable_name,
    renamed_now,
)
from scidb.store.texts import check_batch_texts, check_type_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from scidb.store.model import (
        Batch,
        Checked,
        Compaction,
        Event,
        KeyValue,
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

_PYTHON_TYPES: Final = {"int": int, "float": float, "str": str, "date": dt.date, "datetime": dt.datetime}
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
            _add_key(self._state, KeyAdded(key, after=_last_name(self._state.keys)))

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
                _apply(state, event, stamp)
            records = _log(state, batch.chunks, stamp)
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
        return _chunks(state, cast("list[Record]", answer(state, query)))

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


# ------------------------------------------------------------------ records


def _log(state: State, chunks: Iterable[Chunk], stamp: str) -> list[Record]:
    """Keep the first data of each record, then add an entry for each in order of seq."""
    for chunk in chunks:
        _keep_payloads(state, chunk)
    entries = sorted((entry for chunk in chunks for entry in chunk.records), key=lambda entry: entry.seq)
    stored = [_entry(state, entry, stamp) for entry in entries]
    state.log.extend(stored)
    return stored


def _keep_payloads(state: State, chunk: Chunk) -> None:
    if chunk.table is None:
        return
    if chunk.table.num_rows != len(chunk.records):
        raise SerializationError(
            f"A chunk of {len(chunk.records)} records came with {chunk.table.num_rows} rows of data; it "
            "needs one row per record, in the same order.",
        )
    table = _own_copy(chunk.table)
    for position, entry in enumerate(chunk.records):
        row = table.slice(position, 1)
        state.payloads.setdefault(entry.record_id, Payload(entry.encoding, entry.nbytes, row))


def _own_copy(table: pa.Table) -> pa.Table:
    """Copy a table, which may share memory with the caller's arrays."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def _entry(state: State, entry: Record, stamp: str) -> Record:
    if entry.variable not in state.types:
        raise NotRegisteredError(
            f"The store knows no variable {entry.variable!r}; register it first."
            f"{did_you_mean(entry.variable, state.types)}",
            name=entry.variable,
        )
    if entry.record_id not in state.payloads:
        raise NotFoundError(
            f"Record {entry.record_id[:12]} of {entry.variable} was to be logged again without data, but the "
            "store does not have it. Save it with its data.",
            record_id=entry.record_id,
        )
    payload = state.payloads[entry.record_id]
    return replace(
        entry,
        schema=_location(state, entry.schema),
        encoding=payload.encoding,
        nbytes=payload.nbytes,
        timestamp=stamp,
    )


def _location(state: State, schema: Mapping[str, KeyValue]) -> dict[str, KeyValue]:
    for name, value in schema.items():
        _check_value(state.key(name), value)
    return {key.name: schema[key.name] for key in state.keys if key.name in schema}


def _check_value(key: SchemaKey, value: KeyValue) -> None:
    if key.value_type is None:
        raise SchemaKeyError(
            f"Schema key {key.name!r} has no type yet; send KeyTyped with its first value.", name=key.name
        )
    # Exactly this type: a bool is an int and a datetime a date, but neither is meant.
    if type(value) is not _PYTHON_TYPES[key.value_type] or (isinstance(value, float) and math.isnan(value)):
        raise SchemaKeyError(
            f"Schema key {key.name!r} holds {key.value_type} values; {value!r} ({type(value).__name__}) is none.",
            name=key.name,
            value_type=key.value_type,
        )


def _chunks(state: State, records: list[Record]) -> Iterator[Chunk]:
    def kind(entry: Record) -> tuple[str, str, pa.Schema]:
        return (entry.variable, entry.encoding, state.payloads[entry.record_id].row.schema)

    for _, group in itertools.groupby(records, key=kind):
        members = tuple(group)
        rows = [state.payloads[entry.record_id].row for entry in members]
        yield Chunk(members, pa.concat_tables(rows).combine_chunks())


# ------------------------------------------------------------------ events


def _apply(state: State, event: Event, stamp: str) -> None:  # noqa: C901, PLR0912 - one case for each kind of event
    match event:
        case KeyAdded():
            _add_key(state, event)
        case KeyTyped():
            _type_key(state, event)
        case Renamed():
            _rename(state, event)
        case RunStarted(run_id, name, function_hash, total, user_id, configuration):
            run = Run(run_id, name, function_hash, total, user_id, started=stamp, configuration=configuration)
            state.runs.setdefault(run_id, run)
        case RunEnded():
            _end_run(state, event, stamp)
        case Failed():
            state.failures.append(_failure(event, stamp))
        case SourceSeen(function_hash, name, manifest, sources, ref):
            source = Source(function_hash, name, manifest, dict(sources), ref)
            state.sources.setdefault((function_hash, ref), source)
        case EnvironmentSeen(environment_id, description):
            state.environments.setdefault(environment_id, description)
        case Tagged(name, timestamp, user_id):
            check_tag(event, stamp, {tag.name: tag.timestamp for tag in state.tags.values()})
            state.tags[name] = Tag(name, timestamp or stamp, user_id)
        case Grouped() | Ungrouped():
            _regroup(state, event)
        case Exported(path, sha256, record_ids, user_id):
            state.exports.append(Export(path, sha256, stamp, user_id, tuple(record_ids)))
        case Accepted(name, old_hash, new_hash, reason, user_id):
            state.acceptances.append(Acceptance(name, old_hash, new_hash, reason, stamp, user_id))
        case Flagged() | Unflagged():
            state.flags.append((stamp, event))
        case Invalidated():
            invalidate(state, event, stamp)
        case Hit():
            state.hits.append((event, stamp))
        case BackedUp(path, nbytes, written, user_id):
            state.backups.append(Backup(path, stamp, nbytes, written, user_id))
        case Answered():
            answer_once(state, event, stamp)


def _add_key(state: State, event: KeyAdded) -> None:
    for key in state.keys:
        if key.name.casefold() == event.key.name.casefold():
            raise SchemaKeyError(
                f"Schema key {event.key.name!r} cannot be added: there is {key.name!r} already.",
                name=event.key.name,
            )
    check_no_version_key(event.key.name, ((entry.variable, entry.version_keys) for entry in state.log))
    place = 0 if event.after is None else state.keys.index(state.key(event.after)) + 1
    state.keys.insert(place, event.key)


def _type_key(state: State, event: KeyTyped) -> None:
    key = state.key(event.name)
    if key.value_type not in {None, event.value_type}:
        raise SchemaKeyError(
            f"Schema key {key.name!r} holds {key.value_type} values and cannot become {event.value_type}.",
            name=key.name,
            value_type=key.value_type,
        )
    state.keys[state.keys.index(key)] = SchemaKey(key.name, event.value_type)


def _rename(state: State, event: Renamed) -> None:
    old, new = event.old, event.new
    check_renaming(old, new, state.types, state.renamed)
    state.types[new] = replace(state.types.pop(old), name=new)
    state.renamed = renamed_now(state.renamed, old, new)
    state.log = [replace(entry, variable=new) if entry.variable == old else entry for entry in state.log]
    state.edges = [
        replace(
            edge, source=new if edge.source == old else edge.source, target=new if edge.target == old else edge.target
        )
        for edge in state.edges
    ]
    for call in state.calls.values():
        inputs = tuple(
            replace(one, type_name=new) if one.kind == "record" and one.type_name == old else one for one in call.inputs
        )
        state.calls[call.call_id] = replace(call, inputs=inputs)


def _regroup(state: State, event: Grouped | Ungrouped) -> None:
    check_group(event, state.types)
    members = {name for name, info in state.types.items() if event.group in info.groups}
    if isinstance(event, Ungrouped) and not members.issuperset(event.variables):
        groups = {group for info in state.types.values() for group in info.groups}
        raise not_in_group(event, members, groups)
    for name in event.variables:
        others = set(state.types[name].groups) - {event.group}
        groups = others | {event.group} if isinstance(event, Grouped) else others
        state.types[name] = replace(state.types[name], groups=tuple(sorted(groups)))


def _end_run(state: State, event: RunEnded, stamp: str) -> None:
    if event.run_id not in state.runs:
        raise NotFoundError(f"Run {event.run_id[:12]} cannot end: the store saw no start of it.", run_id=event.run_id)
    counts = {part.name: getattr(event, part.name) for part in fields(event) if part.name != "run_id"}
    state.runs[event.run_id] = replace(state.runs[event.run_id], ended=stamp, **counts)


def _failure(event: Failed, stamp: str) -> Failure:
    values = {part.name: getattr(event, part.name) for part in fields(event)}
    return Failure(**{**values, "schema": dict(event.schema)}, timestamp=stamp)
