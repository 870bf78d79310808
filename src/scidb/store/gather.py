"""The elements of lists, gathered from the batches in which a file gives them into memory that is taken once.

Whoever gathers knows how many there will be; order and completeness are checked on the way, never assumed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Consecutive", "Elements", "gathered_type"]

_LARGE: Final = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
_GROWTH: Final = 8


def gathered_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which elements of a type are gathered: text and bytes with 64-bit offsets."""
    return _LARGE.get(kind, kind)


class Consecutive:
    """Says whether numbers that come in batches are 0, 1, 2 and so on; takes memory once, and not for each batch."""

    def __init__(self) -> None:
        self._next = 0
        self._ramp = self._expected = np.empty(0, np.int64)

    def follow(self, numbers: NDArray[np.int64]) -> bool:
        """Say so of the next ones."""
        count = len(numbers)
        if count > len(self._ramp):
            self._ramp, self._expected = np.arange(count), np.empty(count, np.int64)
        expected = np.add(self._ramp[:count], self._next, out=self._expected[:count])
        self._next += count
        return np.array_equal(numbers, expected)


class Elements:
    """The elements of some records, whose numbers ascend, by column; text and bytes get 64-bit offsets."""

    def __init__(self, numbers: NDArray[np.int64], kinds: Sequence[pa.DataType], total: int) -> None:
        self._numbers = numbers
        self._counts = np.zeros(len(numbers), np.int64)
        self._columns = [_column(kind, total) for kind in kinds]
        self._total = total
        self._taken = 0
        self._last = (-1, 0)  # the record of the element before, and the place behind it
        self._in_order = True
        self._consecutive = Consecutive()

    def take(self, owner: NDArray[np.int64], place: NDArray[np.int64], columns: Sequence[pa.Array]) -> None:
        """Add a batch: the number of each element's record, its place therein, and the elements by column."""
        self._taken += len(place)
        if not len(place) or self._taken > self._total or not self._in_order:
            return
        if len(self._numbers) == 1:
            self._in_order = self._consecutive.follow(place)
            self._counts[0] += len(place)
        else:
            self._follow(owner, place)
        if self._in_order:
            self._add(columns)

    def extend(self, columns: Sequence[pa.Array]) -> None:
        """Add elements of the only record, which come in order."""
        count = len(columns[0]) if columns else 0
        self._taken += count
        if self._taken <= self._total:
            self._counts[0] += count
            self._add(columns)

    def _add(self, columns: Sequence[pa.Array]) -> None:
        for column, piece in zip(self._columns, columns, strict=True):
            column.add(piece)

    def _follow(self, owner: NDArray[np.int64], place: NDArray[np.int64]) -> None:
        """Note how many elements of each record came, and whether each is in its place."""
        begins = np.concatenate(([0], np.flatnonzero(owner[1:] != owner[:-1]) + 1))
        lengths = np.diff(begins, append=len(owner))
        records = owner[begins]
        last, following = self._last
        firsts = np.zeros(len(begins), np.int64)
        firsts[0] = following if records[0] == last else 0
        expected = np.arange(len(place)) + np.repeat(firsts - begins, lengths)
        ascend = records[0] >= last and bool((records[1:] > records[:-1]).all())
        self._in_order = ascend and np.array_equal(place, expected)
        self._last = int(records[-1]), int(place[-1]) + 1
        self._counts[np.searchsorted(self._numbers, records)] += lengths

    def lists(self) -> list[pa.Array] | None:
        """Return one list per record and column; None unless all came, and each in its place."""
        if not self._in_order or self._taken != self._total:
            return None
        offsets = pa.array(np.concatenate(([0], np.cumsum(self._counts))))
        return [pa.LargeListArray.from_arrays(offsets, column.whole()) for column in self._columns]


class _Column(ABC):
    """A column that is filled from its beginning; which items are missing is noted from the first one on."""

    def __init__(self, kind: pa.DataType, total: int) -> None:
        self._kind = kind
        self._total = total
        self._valid: NDArray[np.bool_] | None = None
        self._end = 0

    def add(self, piece: pa.Array) -> None:
        """Put a piece behind what is there."""
        start, self._end = self._end, self._end + len(piece)
        self._put(slice(start, self._end), piece)
        if piece.null_count:
            if self._valid is None:
                self._valid = np.ones(self._total, np.bool_)
            self._valid[start : self._end] = piece.is_valid().to_numpy(zero_copy_only=False)

    def whole(self) -> pa.Array:
        """Return the column, which is full."""
        valid = None if self._valid is None else _bits(self._valid)
        return pa.Array.from_buffers(self._kind, self._total, [valid, *self._buffers()])

    @abstractmethod
    def _put(self, at: slice, piece: pa.Array) -> None: ...

    @abstractmethod
    def _buffers(self) -> list[pa.Buffer]: ...


class _Fixed(_Column):
    """A column of items of one width."""

    def __init__(self, kind: pa.DataType, total: int) -> None:
        super().__init__(kind, total)
        self._items: NDArray[Any] = np.empty(total, f"u{kind.bit_width // 8}")

    def _put(self, at: slice, piece: pa.Array) -> None:
        size = self._items.itemsize
        self._items[at] = np.frombuffer(piece.buffers()[1], f"u{size}", len(piece), piece.offset * size)

    def _buffers(self) -> list[pa.Buffer]:
        return [pa.py_buffer(self._items)]


class _Flags(_Column):
    """A column of booleans, which are bits in the end."""

    def __init__(self, kind: pa.DataType, total: int) -> None:
        super().__init__(kind, total)
        self._items: NDArray[np.bool_] = np.empty(total, np.bool_)

    def _put(self, at: slice, piece: pa.Array) -> None:
        self._items[at] = (piece.fill_null(False) if piece.null_count else piece).to_numpy(zero_copy_only=False)

    def _buffers(self) -> list[pa.Buffer]:
        return [_bits(self._items)]


class _Texts(_Column):
    """A column of text or bytes; how much there will be is guessed from the first piece, and known at the end."""

    def __init__(self, kind: pa.DataType, total: int) -> None:
        super().__init__(kind, total)
        self._offsets = np.zeros(total + 1, np.int64)
        self._bytes = np.empty(0, np.uint8)
        self._size = 0

    def _put(self, at: slice, piece: pa.Array) -> None:
        _, offsets, data = piece.buffers()
        width = np.int32 if piece.type in (pa.string(), pa.binary()) else np.int64
        ends = np.frombuffer(offsets, width, len(piece) + 1, piece.offset * np.dtype(width).itemsize)
        first, size = int(ends[0]), int(ends[-1] - ends[0])
        np.add(ends[1:], self._size - first, out=self._offsets[at.start + 1 : at.stop + 1])
        if not size:
            return
        if self._size + size > len(self._bytes):
            self._grow(size, expected=size * (self._total - at.start) // len(piece))
        self._bytes[self._size : self._size + size] = np.frombuffer(data, np.uint8, size, first)
        self._size += size

    def _grow(self, size: int, *, expected: int) -> None:
        # Not all that is expected at once: one long text at the beginning would make it absurd.
        room = min(expected + expected // 32, _GROWTH * (self._size + size))
        grown = np.empty(self._size + max(size, room), np.uint8)
        grown[: self._size] = self._bytes[: self._size]
        self._bytes = grown

    def _buffers(self) -> list[pa.Buffer]:
        return [pa.py_buffer(self._offsets), pa.py_buffer(self._bytes[: self._size])]


def _bits(flags: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _column(kind: pa.DataType, total: int) -> _Column:
    if pa.types.is_boolean(kind):
        return _Flags(kind, total)
    return _Fixed(kind, total) if pa.types.is_primitive(kind) else _Texts(kind, total)
