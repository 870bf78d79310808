"""Entries of the log and the data of their records: kept by the reference store, and given back in chunks."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from scidb.exceptions import (
    NotFoundError,
    NotRegisteredError,
    SchemaKeyError,
    SerializationError,
    did_you_mean,
)
from scidb.store.memory.state import Payload, State
from scidb.store.model import (
    Chunk,
    SchemaKey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scidb.store.model import (
        KeyValue,
        Record,
    )

__all__ = ["chunks_of", "log_entries"]

_PYTHON_TYPES: Final = {"int": int, "float": float, "str": str, "date": dt.date, "datetime": dt.datetime}


def log_entries(state: State, chunks: Iterable[Chunk], stamp: str) -> list[Record]:
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


def chunks_of(state: State, records: list[Record]) -> Iterator[Chunk]:
    """Return entries with their data, as few chunks as neighbours of one kind allow."""

    def kind(entry: Record) -> tuple[str, str, pa.Schema]:
        return (entry.variable, entry.encoding, state.payloads[entry.record_id].row.schema)

    for _, group in itertools.groupby(records, key=kind):
        members = tuple(group)
        rows = [state.payloads[entry.record_id].row for entry in members]
        yield Chunk(members, pa.concat_tables(rows).combine_chunks())
