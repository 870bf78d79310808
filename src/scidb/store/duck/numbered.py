"""Rows of a table by their numbers: all the rows of some numbers, in the order of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from scidb.exceptions import CorruptDatabaseError
from scidb.store.duck.sql import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scidb.store.duck.connection import Connection

__all__ = ["among", "in_order", "lost", "rows_by_number"]

_NEAR: Final = 8  # so many rows are wanted for each that lies before them, where they are read, too


def rows_by_number(
    connection: Connection, table: str, key: str, columns: Sequence[str], numbers: NDArray[np.int64]
) -> pa.Table:
    """Return these columns of the row of each number; the numbers ascend.

    Raises
    ------
    CorruptDatabaseError
        When a number has no row.

    """
    first = int(numbers[0]) if len(numbers) else 0
    # The first few rows are read sooner than left out: a condition that holds for the whole table costs nothing, any
    # other a microsecond for each compressed text. Place number 0, the whole dataset, is mostly not asked for.
    is_near = first * _NEAR <= len(numbers)
    condition, wanted = among(key, np.concatenate([np.arange(first), numbers]) if is_near else numbers)
    names = ", ".join(map(quote, [*columns, key]))
    found = connection.table(f"SELECT {names} FROM {quote(table)} WHERE {condition}", **wanted)
    found = in_order(found, key)
    found = found.slice(int(np.searchsorted(found.column(key).to_numpy(), first)))
    if not np.array_equal(found.column(key).to_numpy(), numbers):
        raise lost(connection, table, len(numbers) - found.num_rows)
    return found


def among(key: str, numbers: NDArray[np.int64]) -> tuple[str, dict[str, pa.Table]]:
    """Return the condition that a key is among these numbers, which ascend, and the tables that it names."""
    name = quote(key)
    if not len(numbers):
        return "FALSE", {}
    first, last = int(numbers[0]), int(numbers[-1])
    if first == last:
        return f"{name} = {first}", {}
    within = f"{name} BETWEEN {first} AND {last}"
    if last - first + 1 == len(numbers):
        return within, {}
    return f"{within} AND {name} IN (SELECT number FROM wanted)", {"wanted": pa.table({"number": numbers})}


def in_order(table: pa.Table, key: str) -> pa.Table:
    """Return the rows by ascending number, as they mostly are."""
    numbers = table.column(key).to_numpy()
    return table if (np.diff(numbers) > 0).all() else table.take(pa.array(np.argsort(numbers)))


def lost(connection: Connection, table: str, count: int) -> CorruptDatabaseError:
    """Return the error for records of which a part is missing."""
    return CorruptDatabaseError(
        f"{connection.path}: {count} records have no complete data in table {table!r}. Something "
        "other than SciDB changed the file; open a backup.",
        path=str(connection.path),
    )
