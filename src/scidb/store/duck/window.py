"""What is remembered beside what was asked for: a script asks for one thing after the other, in the order of saving.

A statement costs more than what it reads, so results are read in windows, which grow as long as they are of use, and
the payloads of a window come together. Results themselves are in `Memory`, which knows when they cease to count;
here is only what never changes: where the payload of a record is, and the payload.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from scidb.store.duck.state import Row

__all__ = ["Window"]

# Computations in the first window, and in the largest.
_FIRST: Final = 32
_MOST: Final = 4_096
# Computations that are further apart were hardly stored by the same loop.
_NEAR: Final = 4 * _FIRST
# Places whose entries are read with those of one that follows another.
_PLACES: Final = 512
_ROWS: Final = 50_000
# Of payloads that one statement brings beside what was asked for, and of those that wait.
_BROUGHT_BYTES: Final = 1 << 20
_WAITING_BYTES: Final = 16 << 20


class Window:
    """Which computations are read beside the next one that must be looked up, and what was read so before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._size = _FIRST
        self._last: int | None = None  # the computation that was looked up last, as numbered in the file
        self._brought = 0
        self._unused: set[str] = set()  # computations of the last window that nobody has asked for
        self._rows: dict[str, Row] = {}
        self._beside: dict[str, Row] = {}  # those of the last window whose payloads were not read
        self._waiting: dict[str, tuple[pa.Table, int]] = {}
        self._nbytes = 0
        self._loops: dict[str, tuple[int, int]] = {}  # of each variable, the last place read, and how many are next

    # -------------------------------------------------------------- places

    def places_after(self, variable: str, schema_id: int) -> tuple[int, int] | None:
        """Return the first and the last place to read with one that had to be looked up; None: it alone.

        A loop goes through places mostly in the order in which they were first saved, or against it.
        """
        with self._lock:
            last, size = self._loops.get(variable, (None, _FIRST))
            if last is None or not 0 < abs(schema_id - last) <= _NEAR:
                self._loops[variable] = schema_id, _FIRST
                return None
            end = schema_id + (size if schema_id > last else -size)
            self._loops[variable] = end, min(4 * size, _PLACES)
            return min(schema_id, end), max(schema_id, end)

    def beside(self, variable: str, rows: Iterable[Row]) -> None:
        """Note what of a variable may be loaded next, so that its payload is read with the next one."""
        with self._lock:
            others = {one: row for one, row in self._beside.items() if row.record.variable != variable}
            self._beside = others | {row.record.record_id: row for row in rows}

    # -------------------------------------------------------------- results

    def used(self, lineage_id: str) -> None:
        """Note that a result was asked for."""
        self._unused.discard(lineage_id)

    def around(self, number: int) -> tuple[int, int] | None:
        """Return the first and the last number to read with one that had to be looked up; None: it alone."""
        with self._lock:
            last, self._last = self._last, number
            if self._brought and 2 * len(self._unused) <= self._brought:
                self._size = min(4 * self._size, _MOST)
            elif last is None or abs(number - last) <= _NEAR:
                self._size = _FIRST
            else:
                return None
            is_backwards = last is not None and number < last
            return (number - self._size, number) if is_backwards else (number, number + self._size)

    def bring(self, lineage_ids: Iterable[str], rows: Sequence[Row]) -> None:
        """Note what was read beside, and not known before."""
        with self._lock:
            self._unused = set(lineage_ids)
            self._brought = len(self._unused)
            self._beside = {row.record.record_id: row for row in rows}

    # -------------------------------------------------------------- payloads

    def know(self, rows: Iterable[Row]) -> None:
        """Remember where the payloads of records are."""
        with self._lock:
            if len(self._rows) > _ROWS:
                self._rows.clear()
            self._rows.update((row.record.record_id, row) for row in rows)

    def known(self, record_ids: Iterable[str]) -> list[Row] | None:
        """Return where the payloads of these records are, each once; None when that is not known of all."""
        rows = [self._rows.get(one) for one in dict.fromkeys(record_ids)]
        found = [row for row in rows if row is not None]
        return found if len(found) == len(rows) else None

    def numbers(self, record_ids: Iterable[str]) -> dict[str, int]:
        """Return the numbers of those of these records of which they are known."""
        return {one: row.record_no for one in record_ids if (row := self._rows.get(one)) is not None}

    def with_neighbours(self, row: Row, asked: Sequence[Row]) -> list[Row]:
        """Return a row, and those in the same table that are asked for or may be next, up to some bytes."""
        with self._lock:
            beside = list(self._beside.values())
        beside.sort(key=lambda one: abs(one.record_no - row.record_no))
        others = {one.record.record_id: one for one in (*asked, *beside)}
        others.pop(row.record.record_id, None)
        together, left = [row], _BROUGHT_BYTES - row.record.nbytes
        for one in others.values():
            if (one.record.variable, one.layout) == (row.record.variable, row.layout):
                left -= one.record.nbytes
                if left < 0:
                    break
                together.append(one)
        return together

    def wait(self, table: pa.Table, rows: Sequence[Row]) -> None:
        """Keep the payloads of these rows, the first of which is used now, until they are asked for."""
        with self._lock:
            self._nbytes += table.nbytes
            if self._nbytes > _WAITING_BYTES:
                self._waiting.clear()
                self._nbytes = table.nbytes
            for at, row in enumerate(rows):
                self._beside.pop(row.record.record_id, None)
                if at:
                    self._waiting[row.record.record_id] = table, at

    def take(self, record_id: str) -> tuple[pa.Table, int] | None:
        """Hand over a payload that waits: a table, and which of its rows it is."""
        with self._lock:
            return self._waiting.pop(record_id, None)
