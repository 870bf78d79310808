"""Rows into tables: as parameters when they are few, as Arrow when they are many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from scidb.exceptions import SciDBError, UnsupportedValueError
from scidb.store.duck.sql import Condition, quote
from scidb.store.duck.types import element_type, elements, negative_zeros

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import Layout
    from scidb.store.duck.tables import Table

__all__ = ["insert_data", "insert_missing", "insert_named", "insert_rows"]

# Registering an Arrow table costs more than so many rows of parameters.
_FEW: Final = 6
_ARROW_TYPES: Final = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "VARCHAR[]": pa.list_(pa.string()),
}
_AS_PARAMETERS: Final = ("bool", "int64", "double", "string", "large_string", "binary", "large_binary")
# DuckDB 1.x holds on to hundreds of them, so they are no larger than a row group of its own.
_PIECE: Final = 122_880


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of a table of our own, which has its columns in this order."""
    if len(rows) > _FEW:
        connection.append(quote(table.name), _as_arrow(table, rows))
    elif rows:
        _insert_values(connection, f"{quote(table.name)} ({_columns(table)})", rows)


def insert_named(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of a table whose columns may be in another order, because it has got more of them."""
    if len(rows) > _FEW:
        query = f"INSERT INTO {quote(table.name)} ({_columns(table)}) SELECT {_columns(table)} FROM incoming"
        connection.insert(query, incoming=_as_arrow(table, rows))
    elif rows:
        _insert_values(connection, f"{quote(table.name)} ({_columns(table)})", rows)


def _columns(table: Table) -> str:
    return ", ".join(map(quote, table.names))


def _as_arrow(table: Table, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    cells = zip(zip(*rows, strict=True), table.columns, strict=True)
    return pa.table([pa.array(column, _ARROW_TYPES[kind]) for column, (_, kind) in cells], names=table.names)


def insert_missing(
    connection: Connection,
    table: Table,
    rows: Sequence[tuple[Any, ...]],
    *,
    key_columns: int = 1,
) -> list[Any]:
    """Insert those rows, the first for each key, whose key is not in the table; return what is first in each key.

    The key is the first column, or so many of the first ones.
    """
    first = {row[:key_columns]: row for row in reversed(rows)}
    if asked := list(dict.fromkeys(key[0] for key in first)):
        keys = [quote(name) for name in table.names[:key_columns]]
        condition = Condition()
        condition.one_of(keys[0], asked)
        query = f"SELECT {', '.join(keys)} FROM {quote(table.name)} WHERE {condition.text()}"
        for known in connection.rows(query, condition.parameters):
            first.pop(tuple(known), None)
    insert_rows(connection, table, list(first.values()))
    return [key[0] for key in first]


def _insert_values(connection: Connection, target: str, rows: Sequence[Sequence[Any]]) -> None:
    marks = f"({', '.join('?' * len(rows[0]))})"
    parameters = [cell for row in rows for cell in row]
    connection.execute(f"INSERT INTO {target} VALUES {', '.join([marks] * len(rows))}", parameters)


def insert_data(connection: Connection, layout: Layout, parts: Sequence[tuple[pa.Table, list[int]]]) -> None:
    """Insert the data of records, given as tables with the numbers of their records, which ascend."""
    shape = layout.shape
    if shape.lists:
        batches = _element_batches(layout, parts, [_counts(table) for table, _ in parts])
    else:
        if sum(len(numbers) for _, numbers in parts) <= _FEW and all(
            column.type in _AS_PARAMETERS and not column.zeros for column in shape.columns
        ):
            rows = [
                [number, *cells]
                for table, numbers in parts
                for number, *cells in zip(numbers, *(column.to_pylist() for column in table.columns), strict=True)
            ]
            _insert_values(connection, quote(layout.table), rows)
            return
        batches = _record_batches(layout, parts)
    stream = _Stream(batches)
    reader = pa.RecordBatchReader.from_batches(_physical_schema(layout), stream)
    try:
        connection.append(quote(layout.table), reader)
    except SciDBError:
        if stream.failure is not None:
            raise stream.failure from None
        raise


class _Stream:
    """Batches on their way to DuckDB, which would put an error of its own in place of theirs."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._batches
        except BaseException as failure:
            self.failure = failure
            raise


def _physical_schema(layout: Layout) -> pa.Schema:
    fields = [pa.field("record_no", pa.int64())]
    if layout.shape.lists:
        fields.append(pa.field("row", pa.int64()))
    fields += [pa.field(column.name, column.arrow) for column in layout.shape.columns]
    fields += [pa.field(column.zeros, pa.bool_()) for column in layout.shape.columns if column.zeros]
    return pa.schema(fields)


def _record_batches(layout: Layout, parts: Sequence[tuple[pa.Table, list[int]]]) -> Iterator[pa.RecordBatch]:
    schema = _physical_schema(layout)
    for table, numbers in parts:
        flat = [column.combine_chunks() for column in table.columns]
        arrays = [pa.array(numbers, pa.int64()), *_with_marks(layout, flat)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _element_batches(
    layout: Layout, parts: Sequence[tuple[pa.Table, list[int]]], lengths_of: Sequence[NDArray[np.int64]]
) -> Iterator[pa.RecordBatch]:
    """Cut the lists into elements, each with the number of its record and its place, a piece at a time."""
    schema = _physical_schema(layout)
    for (table, numbers), counts in zip(parts, lengths_of, strict=True):
        flat = [_flat(column) for column in table.columns]
        ends = np.cumsum(counts)
        owners = np.asarray(numbers, np.int64)
        total = int(ends[-1]) if len(ends) else 0
        for start in range(0, total, _PIECE):
            stop = min(total, start + _PIECE)
            first, last = np.searchsorted(ends, [start, stop - 1], side="right")
            inside = slice(first, last + 1)
            begins = ends[inside] - counts[inside]
            lengths = np.minimum(ends[inside], stop) - np.maximum(begins, start)
            owner = np.repeat(owners[inside], lengths)
            place = np.arange(start, stop, dtype=np.int64) - np.repeat(begins, lengths)
            piece = [column.slice(start, stop - start) for column in flat]
            arrays = [pa.array(owner), pa.array(place), *_with_marks(layout, piece)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _counts(table: pa.Table) -> NDArray[np.int64]:
    """Return how many elements each row has; all columns must agree."""
    # Chunk by chunk, since to combine even a single chunk is to copy the data.
    lengths = [
        pa.chunked_array([part.value_lengths().cast(pa.int64()) for part in column.chunks], pa.int64())
        for column in table.columns
    ]
    if any(one.null_count for one in lengths) or not all(one.equals(lengths[0]) for one in lengths[1:]):
        raise UnsupportedValueError(
            "The list columns of a table differ in length, or a cell is no list at all; in each row every column "
            f"needs a list of the same length: {', '.join(table.schema.names)}."
        )
    return np.asarray(lengths[0].to_numpy(), np.int64)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    parts = [elements(part) for part in column.chunks]
    if len(parts) == 1:
        return parts[0]
    return pa.concat_arrays(parts) if parts else pa.array([], element_type(column.type))


def _with_marks(layout: Layout, columns: list[pa.Array]) -> list[pa.Array]:
    """Add, for columns with negative zeros, which elements those are."""
    marks = [negative_zeros(column) for column, spec in zip(columns, layout.shape.columns, strict=True) if spec.zeros]
    return columns + marks
