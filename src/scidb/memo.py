"""The memo: which values an earlier, equal computation gave. A thunk's Cache over a store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scidb.records import class_named, is_recallable, values_of
from scidb.store.model import Match, Records, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.model import Record
    from scidb.store.protocol import Store

__all__ = ["Recalled", "known_outputs", "load_values", "recall"]


@dataclass(frozen=True, slots=True)
class Recalled:
    """The values of a computation in the order of its outputs, and the records that hold them."""

    outputs: list[Any]
    records: list[Record]


def recall(store: Store, lineage_id: str, n_outputs: int | str) -> Recalled | None:
    """Return the saved values of a computation, or None unless every output was saved.

    Of several contents under one lineage_id (a function that is not deterministic, forced), the newest counts.
    """
    made: dict[int, Record] = {}
    for record in known_outputs(store, [lineage_id]):
        number = record.output_num
        if number is not None and (number not in made or record.timestamp > made[number].timestamp):
            made[number] = record
    expected = n_outputs if isinstance(n_outputs, int) else _unpacked_count(store, made)
    if expected == 0 or any(number not in made for number in range(expected)):
        return None
    records = [made[number] for number in range(expected)]
    values = load_values(store, records)
    return Recalled([values[record.record_id] for record in records], records)


def known_outputs(store: Store, lineage_ids: Sequence[str]) -> list[Record]:
    """Return the newest entry of each record that one of these computations made, and that can be given back."""
    found = store.find(Records(Match(lineage_ids=tuple(lineage_ids))))
    return [record for record in found if is_recallable(record)]


def _unpacked_count(store: Store, made: dict[int, Record]) -> int:
    """Return how many outputs an unpacked result had, which its computation noted."""
    if not made:
        return 0
    calls = store.trace(TraceQuery(record_ids=(next(iter(made.values())).record_id,), depth=1)).calls
    declared = json.loads(calls[0].computation.outputs) if calls else 0
    return int(declared[1]) if isinstance(declared, list) else 0


def load_values(store: Store, records: Sequence[Record]) -> dict[str, Any]:
    """Load the values of records by id, through the class that each was saved as."""
    found: dict[str, Any] = {}
    wanted = tuple(dict.fromkeys(record.record_id for record in records))
    for chunk in store.fetch(Records(Match(record_ids=wanted))):
        values = values_of(chunk, class_named(chunk.records[0].variable))
        found.update(zip((record.record_id for record in chunk.records), values, strict=True))
    return found
