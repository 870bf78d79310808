"""The payloads of a window of records: one statement per layout, then slices of what it brought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scidb.exceptions import CorruptDatabaseError
from scidb.store.duck.sql import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import Layout, Row, State
    from scidb.store.duck.types import Column

__all__ = ["Payloads"]

# Python values come faster than Arrow for a few rows, for types that both hold exactly.
_FEW: Final = 4
_SIMPLE: Final = ("bool", "int64", "double", "string", "large_string", "binary", "large_binary")


class Payloads:
    """The payloads of some records, by layout."""

    def __init__(self, connection: Connection, state: State, rows: Sequence[Row]) -> None:
        self._connection = connection
        wanted: dict[tuple[str, str], set[int]] = {}
        for row in rows:
            wanted.setdefault((row.record.variable, row.layout), set()).add(row.record_no)
        self._loaded = {
            key: self._load(state.layout(*key), np.array(sorted(numbers), np.int64)) for key, numbers in wanted.items()
        }

    def of(self, rows: Sequence[Row]) -> pa.Table:
        """Return one row of data per record; all are of one layout."""
        numbers, table = self._loaded[rows[0].record.variable, rows[0].layout]
        at = np.searchsorted(numbers, [row.record_no for row in rows])
        if len(at) == at[-1] - at[0] + 1 and (np.diff(at) == 1).all():
            return table.slice(int(at[0]), len(at))
        return table.take(pa.array(at))

    def _load(self, layout: Layout, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], pa.Table]:
        shape = layout.shape
        if shape.lists:
            found, columns = self._load_lists(layout, numbers)
        else:
            found, columns = self._load_flat(layout, numbers)
        arrays = [
            _in_type(column, shape.column_type(spec)) for column, spec in zip(columns, shape.columns, strict=True)
        ]
        if not arrays:
            return found, _table_without_columns(len(found))
        return found, pa.table(arrays, names=[spec.label for spec in shape.columns])

    # -------------------------------------------------------------- one row per record

    def _load_flat(self, layout: Layout, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[pa.Array]]:
        names = [quote(name) for name, _ in layout.shape.physical()]
        columns = ", ".join(["record_no", *names])
        if len(numbers) <= _FEW and all(column.type in _SIMPLE for column in layout.shape.columns):
            marks = ", ".join("?" * len(numbers))
            rows = self._connection.rows(
                f"SELECT {columns} FROM {quote(layout.table)} WHERE record_no IN ({marks})", numbers.tolist()
            )
            rows.sort()
            kinds = [pa.int64(), *(column.arrow for column in layout.shape.columns)]
            kinds += [pa.bool_()] * (len(names) + 1 - len(kinds))
            cells = zip(*rows, strict=True) if rows else ([] for _ in kinds)
            found, *values = [pa.array(list(cell), kind) for cell, kind in zip(cells, kinds, strict=True)]
        else:
            table = self._select(layout, columns, numbers)
            found, *values = [column.combine_chunks() for column in table.columns]
            in_order = _sorted(found.to_numpy())
            if in_order is not None:
                found, values = found.take(in_order), [column.take(in_order) for column in values]
        if not np.array_equal(found.to_numpy(), numbers):
            raise self._lost(layout, len(numbers) - len(found))
        return numbers, _with_signs(values, layout.shape.columns)

    # -------------------------------------------------------------- one row per element

    def _load_lists(self, layout: Layout, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[pa.Array]]:
        base = int(numbers[0])
        names = [quote(name) for name, _ in layout.shape.physical()]
        # Narrow, since for a column of float64 they would weigh twice as much as the data.
        own = [f"CAST(record_no - {base} AS UINTEGER) AS record_no", 'CAST("row" AS UINTEGER) AS "row"']
        table = self._select(layout, ", ".join([*own, *names]), numbers)
        owner = table.column(0).combine_chunks().to_numpy()
        position = table.column(1).combine_chunks().to_numpy()
        table = table.drop_columns(table.column_names[:2]) if names else table
        starts = _starts(owner, position)
        if starts is None:
            order = np.lexsort((position, owner))
            table, owner = table.take(pa.array(order)), owner[order]
            starts = _starts(owner, position[order])
            if starts is None:
                raise self._lost(layout, 1)
        counts = np.zeros(len(numbers), np.int64)
        counts[np.searchsorted(numbers, owner[starts] + base)] = np.diff(np.append(starts, len(owner)))
        offsets = np.concatenate(([0], np.cumsum(counts)))
        del owner, position
        values = _with_signs([column.combine_chunks() for column in table.columns], layout.shape.columns)
        return numbers, [pa.LargeListArray.from_arrays(pa.array(offsets), column) for column in values]

    # -------------------------------------------------------------- both

    def _select(self, layout: Layout, columns: str, numbers: NDArray[np.int64]) -> pa.Table:
        first, last = int(numbers[0]), int(numbers[-1])
        query = f"SELECT {columns} FROM {quote(layout.table)} WHERE record_no "
        if first == last:
            return self._connection.table(f"{query}= {first}")
        query += f"BETWEEN {first} AND {last}"
        if last - first + 1 == len(numbers):
            return self._connection.table(query)
        wanted = pa.table({"record_no": numbers})
        return self._connection.table(f"{query} AND record_no IN (SELECT record_no FROM wanted)", wanted=wanted)

    def _lost(self, layout: Layout, count: int) -> CorruptDatabaseError:
        return CorruptDatabaseError(
            f"{self._connection.path}: {count} records have no complete data in table {layout.table!r}. Something "
            "other than SciDB changed the file; open a backup.",
            path=str(self._connection.path),
        )


def _starts(owner: NDArray[np.uint32], position: NDArray[np.uint32]) -> NDArray[np.int64] | None:
    """Return where each record begins; None unless rows are in order, and count from 0 in each record."""
    if not len(owner):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.diff(position) != 1) + 1
    changes = np.flatnonzero(owner[1:] != owner[:-1]) + 1
    in_order = np.array_equal(starts, changes) and (owner[changes] > owner[changes - 1]).all()
    starts = np.concatenate(([0], starts))
    return starts if in_order and not position[starts].any() else None


def _sorted(numbers: NDArray[np.int64]) -> pa.Array | None:
    """Return the order that sorts the numbers, or None if they are sorted."""
    if (np.diff(numbers) > 0).all():
        return None
    return pa.array(np.argsort(numbers))


def _with_signs(values: list[pa.Array], columns: Sequence[Column]) -> list[pa.Array]:
    """Give zeros back the sign that a column of their own remembers."""
    marks = iter(values[len(columns) :])
    return [
        pc.if_else(next(marks), pa.scalar(-0.0, column.type), column) if spec.zeros else column
        for column, spec in zip(values, columns, strict=False)
    ]


def _in_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type == kind else column.cast(kind)


def _table_without_columns(length: int) -> pa.Table:
    empty = pa.StructArray.from_arrays([pa.nulls(length)], names=["nothing"])
    return pa.Table.from_batches([pa.RecordBatch.from_struct_array(empty)]).select([])
