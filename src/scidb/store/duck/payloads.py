"""The payloads of a window of records: one statement per layout, then slices of what it brought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scidb.store.columns import column_of
from scidb.store.duck.numbered import among, in_order, lost
from scidb.store.duck.sql import Condition, quote
from scidb.store.gather import Elements, gathered_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.found import Found
    from scidb.store.duck.state import Layout, State
    from scidb.store.duck.types import Column, Shape

__all__ = ["STREAMED", "Payloads", "count_elements", "element_values", "stream_elements"]

# Python values come faster than Arrow for a few rows, for types that both hold exactly.
_FEW: Final = 4
_SIMPLE: Final = ("bool", "int64", "double", "string", "large_string", "binary", "large_binary")
STREAMED: Final = 2**20
"""From here on a stream, with a count beforehand, is faster than a table, and keeps no second copy of the data."""


class Payloads:
    """The payloads of some records, by layout."""

    def __init__(self, connection: Connection, state: State, found: Found) -> None:
        self._connection = connection
        variables, sizes = (column_of(found.records, name) for name in ("variable", "nbytes"))
        numbers, nbytes = np.array(found.numbers, np.int64), np.array(sizes, np.int64)
        kinds = [set(column) for column in (variables, found.layouts)]
        # Mostly there is one; to compare each row with it takes longer than to load them.
        only = len(kinds[0]) == len(kinds[1]) == 1
        keys = [] if only else list(zip(variables, found.layouts, strict=True))
        self._loaded = {}
        for key in [(variables[0], found.layouts[0])] if only else dict.fromkeys(keys):
            own = slice(None) if only else [at for at, one in enumerate(keys) if one == key]
            distinct, first = np.unique(numbers[own], return_index=True)
            self._loaded[key] = self._load(state.layout(*key), distinct, int(nbytes[own][first].sum()))

    def of(self, found: Found) -> pa.Table:
        """Return one row of data per record; all are of one layout."""
        numbers, table = self._loaded[found.records[0].variable, found.layouts[0]]
        at = np.searchsorted(numbers, found.numbers)
        if len(at) == at[-1] - at[0] + 1 and (np.diff(at) == 1).all():
            return table.slice(int(at[0]), len(at))
        return table.take(pa.array(at))

    def _load(self, layout: Layout, numbers: NDArray[np.int64], nbytes: int) -> tuple[NDArray[np.int64], pa.Table]:
        shape = layout.shape
        columns = self._load_lists(layout, numbers, nbytes) if shape.lists else self._load_flat(layout, numbers)
        arrays = [
            _in_type(column, shape.column_type(spec)) for column, spec in zip(columns, shape.columns, strict=True)
        ]
        if not arrays:
            return numbers, _table_without_columns(len(numbers))
        return numbers, pa.table(arrays, names=[spec.label for spec in shape.columns])

    # -------------------------------------------------------------- one row per record

    def _load_flat(self, layout: Layout, numbers: NDArray[np.int64]) -> list[pa.Array]:
        names = [quote(name) for name, _ in layout.shape.physical()]
        columns = ", ".join(["record_no", *names])
        if len(numbers) <= _FEW and all(column.type in _SIMPLE for column in layout.shape.columns):
            condition = Condition()
            condition.one_of("record_no", numbers.tolist())
            rows = self._connection.rows(
                f"SELECT {columns} FROM {quote(layout.table)} WHERE {condition.text()}", condition.parameters
            )
            rows.sort()
            kinds = [pa.int64(), *(column.arrow for column in layout.shape.columns)]
            kinds += [pa.bool_()] * (len(names) + 1 - len(kinds))
            cells = zip(*rows, strict=True) if rows else ([] for _ in kinds)
            found, *values = [pa.array(list(cell), kind) for cell, kind in zip(cells, kinds, strict=True)]
        else:
            table = in_order(_select(self._connection, layout, columns, numbers), "record_no")
            found, *values = [column.combine_chunks() for column in table.columns]
        if not np.array_equal(found.to_numpy(), numbers):
            raise lost(self._connection, layout.table, len(numbers) - len(found))
        return _with_signs(values, layout.shape.columns)

    # -------------------------------------------------------------- one row per element

    def _load_lists(self, layout: Layout, numbers: NDArray[np.int64], nbytes: int) -> list[pa.Array]:
        # Rows come in the order of writing, unless something else has rewritten the table.
        for order in ("", ' ORDER BY record_no, "row"'):
            columns = self._elements(layout, numbers, nbytes, order).lists()
            if columns is not None:
                return columns
        raise lost(self._connection, layout.table, 1)

    def _elements(self, layout: Layout, numbers: NDArray[np.int64], nbytes: int, order: str) -> Elements:
        kinds = [gathered_type(column.arrow) for column in layout.shape.columns]
        single = len(numbers) == 1

        elements: Elements

        def take(batch: pa.RecordBatch) -> None:
            place, *others = batch.columns
            position = place.to_numpy()
            owner = np.broadcast_to(numbers, len(position)) if single else others.pop(0).to_numpy()
            elements.take(owner, position, element_values(others, layout.shape))

        if nbytes >= STREAMED:
            counted = count_elements(self._connection, layout, numbers)

            def begin() -> Callable[[pa.RecordBatch], None]:
                nonlocal elements
                elements = Elements(numbers, kinds, counted)
                return take

            stream_elements(self._connection, layout, numbers, order, begin)
        else:
            table = _select(self._connection, layout, _element_columns(layout, numbers), numbers, order)
            elements = Elements(numbers, kinds, table.num_rows)
            for batch in table.to_batches():
                take(batch)
        return elements


# ------------------------------------------------------------------ elements


def count_elements(connection: Connection, layout: Layout, numbers: NDArray[np.int64]) -> int:
    """Return how many elements some records have together."""
    return int(_select(connection, layout, "count(*)", numbers).column(0)[0].as_py())


def stream_elements(
    connection: Connection,
    layout: Layout,
    numbers: NDArray[np.int64],
    order: str,
    begin: Callable[[], Callable[[pa.RecordBatch], None]],
) -> None:
    """Hand over the elements of some records in batches: place, number of the record if there are several, columns."""
    condition, wanted = among("record_no", numbers)
    columns = _element_columns(layout, numbers)
    connection.stream(f"SELECT {columns} FROM {quote(layout.table)} WHERE {condition}{order}", begin, **wanted)


def _element_columns(layout: Layout, numbers: NDArray[np.int64]) -> str:
    # The number of a single record is known.
    own = ['"row"'] if len(numbers) == 1 else ['"row"', "record_no"]
    return ", ".join([*own, *(quote(name) for name, _ in layout.shape.physical())])


def element_values(columns: list[pa.Array], shape: Shape) -> list[pa.Array]:
    """Return elements in the types in which they are gathered, from the columns of the file."""
    return [
        column if gathered_type(column.type) == kind else _in_type(column, kind)
        for column, kind in zip(
            _with_signs(columns, shape.columns), (gathered_type(spec.arrow) for spec in shape.columns), strict=True
        )
    ]


def _select(
    connection: Connection, layout: Layout, columns: str, numbers: NDArray[np.int64], order: str = ""
) -> pa.Table:
    condition, wanted = among("record_no", numbers)
    return connection.table(f"SELECT {columns} FROM {quote(layout.table)} WHERE {condition}{order}", **wanted)


def _with_signs(values: list[pa.Array], columns: Sequence[Column]) -> list[pa.Array]:
    """Give zeros back the sign that a column of their own remembers; that of the stored one may be a neighbour's."""
    marks = iter(values[len(columns) :])
    return [
        _signed(column, next(marks)) if spec.zeros else column for column, spec in zip(values, columns, strict=False)
    ]


def _signed(column: pa.Array, is_negative: pa.Array) -> pa.Array:
    zero, negative = (pa.scalar(value, column.type) for value in (0.0, -0.0))
    return pc.if_else(is_negative, negative, pc.if_else(pc.equal(column, zero), zero, column))


def _in_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type == kind else column.cast(kind)


def _table_without_columns(length: int) -> pa.Table:
    empty = pa.StructArray.from_arrays([pa.nulls(length)], names=["nothing"])
    return pa.Table.from_batches([pa.RecordBatch.from_struct_array(empty)]).select([])
