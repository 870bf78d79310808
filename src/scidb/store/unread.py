"""One large value that a store has found and not read yet: it can be had whole, or piece by piece as it is read."""

from __future__ import annotations

import contextvars
import queue
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from scidb.store.model import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from scidb.store.model import Record

__all__ = ["InPieces", "NotInPieces", "Unread", "read_ahead"]

T = TypeVar("T")


class NotInPieces(Exception):  # noqa: N818 - nobody's error: whoever meets it asks for the whole
    """A value cannot be had piece by piece, or not any further."""


class InPieces(Protocol):
    """How a store reads one large value."""

    def schema(self) -> pa.Schema:
        """Return the columns of the value's table, which has one row, of lists."""
        ...

    def count(self) -> int:
        """Return how many elements its lists have."""
        ...

    def pieces(self) -> Iterator[pa.RecordBatch]:
        """Return its elements in order, some rows of them at a time; text and bytes with 64-bit offsets.

        Raises
        ------
        NotInPieces
            At any time.

        """
        ...

    def table(self) -> pa.Table:
        """Return it whole."""
        ...


class Unread(Chunk):
    """A chunk of one record, whose table is read when somebody wants it. Nobody else holds that table."""

    __slots__ = ("_table", "value")

    _table: pa.Table | None
    value: InPieces

    def __init__(self, record: Record, value: InPieces) -> None:
        for name, one in {"records": (record,), "given": True, "value": value, "_table": None}.items():
            object.__setattr__(self, name, one)

    @property
    def table(self) -> pa.Table:
        """The one row of data."""
        if self._table is None:
            object.__setattr__(self, "_table", self.value.table())
        return self._table


def read_ahead(read: Callable[[Callable[[T], None]], None]) -> Iterator[T]:
    """Yield what a function hands over, which does not wait for whoever takes it: it runs in a thread of its own.

    Examples
    --------
    >>> list(read_ahead(lambda hand: [hand(n) for n in range(3)] and None))
    [0, 1, 2]

    """
    waiting: queue.SimpleQueue[T | None] = queue.SimpleQueue()
    threads = ThreadPoolExecutor(1, "scidb-reading")
    # In the context of whoever asks: what stops him stops it.
    reading = threads.submit(contextvars.copy_context().run, read, waiting.put)
    threads.shutdown(wait=False)  # it ends when it has read
    reading.add_done_callback(lambda _: waiting.put(None))
    while (one := waiting.get()) is not None:
        yield one
    reading.result()
