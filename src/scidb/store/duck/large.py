"""One large value, read when it is wanted: whole, or in the pieces in which the file gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from scidb.exceptions import ConflictError
from scidb.store.duck.numbered import lost
from scidb.store.duck.payloads import STREAMED, Payloads, count_elements, element_values, stream_elements
from scidb.store.gather import Consecutive
from scidb.store.unread import NotInPieces, Unread, read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.found import Found
    from scidb.store.duck.state import State
    from scidb.store.model import Chunk

__all__ = ["LargeValue", "unread"]

# What is sent in pieces would be too much for one, if rows are as wide as this.
_PIECE_BYTES: Final = 2**26


def unread(connection: Connection, state: State, found: Found) -> Chunk | None:
    """Return the only entry of a window as a chunk that is read when somebody wants it; None where that is no use."""
    if len(found) != 1 or found.records[0].nbytes < STREAMED:
        return None
    value = LargeValue(connection, state, found)
    return Unread(found.records[0], value) if value.is_of_lists else None


class LargeValue:
    """The value of one record, of lists with many elements."""

    def __init__(self, connection: Connection, state: State, found: Found) -> None:
        self._connection, self._state, self._found = connection, state, found
        self._layout = state.layout(found.records[0].variable, found.layouts[0])
        self._numbers = np.array(found.numbers, np.int64)

    @property
    def is_of_lists(self) -> bool:
        """Whether it has elements at all."""
        return bool(self._layout.shape.lists)

    def schema(self) -> pa.Schema:
        """Return the columns of its table."""
        shape = self._layout.shape
        return pa.schema([pa.field(column.label, shape.column_type(column)) for column in shape.columns])

    def count(self) -> int:
        """Return how many elements its lists have."""
        return count_elements(self._connection, self._layout, self._numbers)

    def table(self) -> pa.Table:
        """Return it whole."""
        return Payloads(self._connection, self._state, self._found).of(self._found)

    def pieces(self) -> Iterator[pa.RecordBatch]:
        """Return its elements as the file gives them, in the order of writing.

        Raises
        ------
        NotInPieces
            When that is not their order.
        CorruptDatabaseError
            When there are fewer than were counted.

        """
        expected = self.count()
        came = 0
        for batch in read_ahead(self._read):
            came += batch.num_rows
            step = max(1, _PIECE_BYTES * batch.num_rows // max(1, batch.nbytes))
            for start in range(0, batch.num_rows, step):
                yield batch.slice(start, step)
        if came != expected:
            raise lost(self._connection, self._layout.table, 1)

    def _read(self, hand: Callable[[pa.RecordBatch], None]) -> None:
        labels = [column.label for column in self._layout.shape.columns]
        consecutive = Consecutive()

        def take(batch: pa.RecordBatch) -> None:
            place, *others = batch.columns
            if not consecutive.follow(place.to_numpy()):
                raise NotInPieces
            hand(pa.RecordBatch.from_arrays(element_values(others, self._layout.shape), names=labels))

        takes = iter([take])

        def begin() -> Callable[[pa.RecordBatch], None]:
            if (first := next(takes, None)) is None:  # what was handed over cannot be taken back
                raise ConflictError(
                    f"{self._connection.path} had to be opened again while a value was read from it. Load it again.",
                    path=str(self._connection.path),
                )
            return first

        stream_elements(self._connection, self._layout, self._numbers, "", begin)
