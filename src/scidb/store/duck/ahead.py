"""Looking up results with those that are likely to be asked for next, and payloads of records that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from scidb.store.duck.few import latest_within
from scidb.store.duck.found import Found
from scidb.store.duck.large import unread
from scidb.store.duck.memo import computations_of, computations_within, results_of
from scidb.store.duck.payloads import Payloads
from scidb.store.duck.read import chunks
from scidb.store.model import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import Row, State
    from scidb.store.model import Result

__all__ = ["known_chunks", "look_up", "places_ahead"]

# Of so many records at once, neighbours are not wanted.
_SET: Final = 16


def look_up(
    connection: Connection, state: State, lineage_ids: Sequence[str]
) -> tuple[list[Result], list[Row], set[str]]:
    """Return what counts of these computations, and for a single one of those stored next to it; and all entries.

    And which of these computations are not stored.
    """
    chosen = computations_of(connection, state, lineage_ids)
    absent = {*lineage_ids} - {one.computation.lineage_id for one in chosen}
    window = state.memory.window.around(chosen[0].number) if len(lineage_ids) == len(chosen) == 1 else None
    if window is None:
        results, rows = results_of(connection, state, chosen) if chosen else ([], [])
        return results, rows, absent
    near = [
        one
        for one in computations_within(connection, state, *window)
        if one.computation.lineage_id not in state.memory.results and one.computation.lineage_id not in lineage_ids
    ]
    results, rows = results_of(connection, state, [*chosen, *near])
    brought = [one.computation.lineage_id for one in results if one.computation.lineage_id not in lineage_ids]
    state.memory.window.bring(brought, [row for row in rows if row.record.lineage_id not in lineage_ids])
    return results, rows, absent


def places_ahead(connection: Connection, state: State, row: Row) -> list[Row]:
    """Return the latest at the places that a loop which came to this one will ask for next, as far as is known."""
    window = state.memory.window.places_after(row.record.variable, row.schema_id)
    if window is None:
        return []
    found = latest_within(connection, state, row.record.variable, *window)
    ahead = [one for one in found if one.schema_id != row.schema_id]
    state.memory.window.beside(row.record.variable, ahead)
    return ahead


def known_chunks(connection: Connection, state: State, rows: Sequence[Row]) -> Iterator[Chunk]:
    """Yield records of which it is known where their payloads are; those next to a few are read with them."""
    if len(rows) > _SET:
        yield from chunks(connection, state, Found.of(rows))
        return
    for row in rows:
        waiting = state.memory.window.take(row.record.record_id)
        if waiting is None and (large := unread(connection, state, Found.of([row]))) is not None:
            yield large
            continue
        table, at = waiting or _read(connection, state, row, rows)
        # Taken out, since a slice would keep all of the table, and nobody else may hold what is given.
        is_part = table.num_rows > 1 and table.num_columns
        yield Chunk((row.record,), table.take(pa.array([at])) if is_part else table.slice(at, 1), given=True)


def _read(connection: Connection, state: State, row: Row, asked: Sequence[Row]) -> tuple[pa.Table, int]:
    together = state.memory.window.with_neighbours(row, asked)
    found = Found.of(together)
    table = Payloads(connection, state, found).of(found)
    if len(together) > 1:
        state.memory.window.wait(table, together)
    return table, 0
