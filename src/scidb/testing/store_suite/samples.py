"""Small records, payloads and calls from which the cases are built; ids are digests of what is said."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pytest

from scidb.store.model import (
    Batch,
    Call,
    CallInput,
    Chunk,
    Computation,
    Entries,
    Record,
    SchemaKey,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scidb.store.model import KeyValue, Query
    from scidb.store.protocol import Store

__all__ = [
    "KEYS",
    "LIST",
    "SCALAR",
    "Clock",
    "again",
    "assert_refused",
    "call",
    "digest",
    "log",
    "record",
    "save",
    "scalars",
    "used",
    "values",
]

KEYS: Final = (SchemaKey("subject", "int"), SchemaKey("session", "str"), SchemaKey("trial", "int"))
SCALAR: Final = '{"kind":"scalar"}'
LIST: Final = '{"kind":"list"}'


class Clock:
    """A clock that shows what it is set to."""

    def __init__(self) -> None:
        self.instant = dt.datetime(2024, 3, 31, 1, 30, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        """Return the instant that is shown."""
        return self.instant

    def move(self, seconds: float) -> None:
        """Move the hands, backwards too."""
        self.instant += dt.timedelta(seconds=seconds)


def digest(*parts: object) -> str:
    """Return 64 hex characters for what is said."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def record(
    variable: str,
    content: object,
    schema: Mapping[str, KeyValue],
    version: str = "{}",
    *,
    seq: int = 0,
    encoding: str = SCALAR,
    lineage_id: str | None = None,
    call_id: str | None = None,
    output_num: int | None = None,
    piece: int | None = None,
    pieces: int | None = None,
) -> Record:
    """Return a record that is not stored yet, identified by variable, content and address."""
    return Record(
        record_id=digest("record", variable, encoding, repr(content), schema, version),
        variable=variable,
        schema=schema,
        version_keys=version,
        content_hash=digest("content", encoding, repr(content)),
        schema_version=1,
        encoding=encoding,
        nbytes=8,
        lineage_id=lineage_id,
        call_id=call_id,
        output_num=output_num,
        piece=piece,
        pieces=pieces,
        user_id="ada",
        seq=seq,
    )


def scalars(records: Sequence[Record], data: Sequence[object], of: pa.DataType | None = None) -> Chunk:
    """Return a chunk of one scalar per record."""
    return Chunk(tuple(records), pa.table({"value": pa.array(data, of)}))


def save(
    store: Store,
    variable: str,
    value: float,
    version: str = "{}",
    *,
    calls: Sequence[Call] = (),
    lineage_id: str | None = None,
    call_id: str | None = None,
    output_num: int | None = None,
    piece: int | None = None,
    pieces: int | None = None,
    **schema: KeyValue,
) -> Record:
    """Write one scalar as one batch, and return its entry as stored."""
    entry = record(
        variable,
        value,
        schema,
        version,
        lineage_id=lineage_id,
        call_id=call_id,
        output_num=output_num,
        piece=piece,
        pieces=pieces,
    )
    [stored] = store.write(Batch(chunks=(scalars([entry], [value], pa.float64()),), calls=tuple(calls)))
    return stored


def again(store: Store, entry: Record) -> Record:
    """Log a stored record once more, without its data."""
    [stored] = store.write(Batch(chunks=(Chunk((entry,), None),)))
    return stored


def values(store: Store, query: Query[Record]) -> list[object]:
    """Return the first column of what a fetch brings."""
    return [
        value for chunk in store.fetch(query) if chunk.table is not None for value in chunk.table.column(0).to_pylist()
    ]


def log(store: Store) -> list[Record]:
    """Return the entries in the order of saving."""
    return store.find(Entries())[::-1]


def call(call_id: str, *inputs: CallInput, function: str = "f") -> Call:
    """Return a call of a function on these inputs."""
    contents = [one.content_hash for one in inputs]
    computation = Computation(
        lineage_id=digest("lineage", function, contents),
        function_name=function,
        function_hash=digest("function", function),
        inputs_hash=digest("inputs", contents),
        outputs="1",
    )
    return Call(call_id, computation, tuple(inputs), user_id="ada", seconds=0.5)


def used(entry: Record, name: str = "x") -> CallInput:
    """Return how a call names a record as its input."""
    return CallInput(
        name=name,
        kind="record",
        record_id=entry.record_id,
        input_call_id=entry.call_id,
        output_num=entry.output_num,
        type_name=entry.variable,
        content_hash=entry.content_hash,
    )


def assert_refused(store: Store, bad: Record, error: type[Exception]) -> None:
    """Write a good record and a bad one together; see that neither is stored."""
    good = record("Force", 77.0, {})
    before = store.find(Entries()), store.types()
    with pytest.raises(error):
        store.write(Batch(chunks=(scalars([good], [77.0]), scalars([replace(bad, seq=1)], [1.0]))))
    assert (store.find(Entries()), store.types()) == before
