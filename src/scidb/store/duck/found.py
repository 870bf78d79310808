"""Entries as they are found: few as rows, many as columns, of which the newest are picked here.

A plan that picks the newest in SQL carries every text of every entry through a window, or is made in more time
than all the rest takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from scidb.store.columns import RecordColumns
from scidb.store.duck.numbered import rows_by_number
from scidb.store.duck.state import Row
from scidb.store.duck.types import key_order, key_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import KeyValue, Record, SchemaKey

__all__ = ["COLUMNS", "LINE", "LOGGED", "Found", "newest_of"]

COLUMNS: Final = (
    "m.record_id, m.variable_name, m.version_keys, m.content_hash, m.schema_version, r.encoding, r.nbytes, "
    "m.lineage_id, m.call_id, m.output_num, m.piece, m.pieces, m.user_id, m.timestamp, m.seq, m.schema_id, "
    "m.record_no, r.layout"
)
# What a line of the log says beside what is stored once of its record.
LINE: Final = (
    "m.variable_name, m.version_keys, m.lineage_id, m.call_id, m.output_num, m.piece, m.pieces, m.user_id, "
    "m.timestamp, m.seq, m.schema_id, m.record_no"
)
# What the log itself says of an entry, under the names that a record has for it.
LOGGED: Final = (
    "m.record_id, m.variable_name AS variable, m.version_keys, m.content_hash, m.schema_version, m.lineage_id, "
    "m.call_id, m.output_num, m.piece, m.pieces, m.user_id, m.timestamp, m.seq, m.schema_id, m.record_no"
)
_STORED: Final = ("encoding", "nbytes", "layout")


@dataclass(frozen=True, slots=True)
class Found:
    """Entries in the order of the answer, with their numbers and layouts inside this file."""

    records: Sequence[Record]
    schema_ids: Sequence[int]
    numbers: Sequence[int]
    layouts: Sequence[str]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Found:
        """Return what was found row by row."""
        return cls(
            [row.record for row in rows],
            [row.schema_id for row in rows],
            [row.record_no for row in rows],
            [row.layout for row in rows],
        )

    def rows(self) -> Iterator[Row]:
        """Return it row by row."""
        return map(Row, self.records, self.schema_ids, self.numbers, self.layouts)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, part: slice) -> Found:
        return Found(self.records[part], self.schema_ids[part], self.numbers[part], self.layouts[part])


def newest_of(connection: Connection, state: State, logged: pa.Table, limit: int | None) -> Found:
    """Pick the newest entry for each variable, location and version keys, and put them into natural order.

    The columns of `logged` are those of `LOGGED`. The rest of a record is read for those that are kept: joining
    it to every entry takes as long as all that is done here.
    """
    ranks = {name: _text_ranks(logged.column(name)) for name in ("variable", "version_keys", "timestamp")}
    groups = np.stack([ranks["variable"], logged.column("schema_id").to_numpy(), ranks["version_keys"]])
    seq = logged.column("seq").to_numpy()
    # Newest last within each group, so that it is what the next group follows.
    order = np.lexsort((seq, ranks["timestamp"], *groups))
    ordered = groups[:, order]
    is_last = np.append((ordered[:, 1:] != ordered[:, :-1]).any(axis=0), True) if len(order) else np.zeros(0, bool)
    kept = order[is_last]
    distinct, at = np.unique(groups[1][kept], return_inverse=True)
    located = rows_by_number(connection, "_schema", "schema_id", [key.name for key in state.keys], distinct)
    places = {key.name: _key_ranks(key, located.column(number)) for number, key in enumerate(state.keys)}
    by_place = [rank[at] for rank, _, _ in reversed(places.values())]
    natural = np.lexsort((seq[kept], ranks["timestamp"][kept], ranks["version_keys"][kept], *by_place))[:limit]
    kept, at = kept[natural], at[natural]
    shown = {name: values[codes[at]].tolist() for name, (_, codes, values) in places.items()}
    logged = _rows(logged, kept)
    numbers, at = np.unique(logged.column("record_no").to_numpy(), return_inverse=True)
    stored = _rows(rows_by_number(connection, "_records", "record_no", _STORED, numbers), at)
    for name in ("encoding", "nbytes"):
        logged = logged.append_column(name, stored.column(name))
    schema_ids, record_nos = (logged.column(name).to_pylist() for name in ("schema_id", "record_no"))
    return Found(RecordColumns(logged, shown), schema_ids, record_nos, stored.column("layout").to_pylist())


def _rows(table: pa.Table, numbers: NDArray[np.int64]) -> pa.Table:
    """Return these rows; mostly they are all, as they are."""
    return table if np.array_equal(numbers, np.arange(table.num_rows)) else table.take(pa.array(numbers))


def _codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], pa.Array]:
    """Return which of the distinct texts each one is; a null among them stands for a missing one."""
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def _text_ranks(column: pa.ChunkedArray) -> NDArray[np.int64]:
    codes, dictionary = _codes(column)
    texts = dictionary.to_pylist()
    ranks = np.empty(len(texts), np.int64)
    ranks[sorted(range(len(texts)), key=lambda number: texts[number] or "")] = np.arange(len(texts))
    return ranks[codes]


def _key_ranks(key: SchemaKey, column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Return each value's rank in natural order, absent first, and the values by which number of which they are."""
    codes, dictionary = _codes(column)
    if key.value_type == "int" and (numbers := _integers(dictionary)) is not None:
        return np.unique(numbers, return_inverse=True)[1][codes], codes, numbers.astype(object)
    texts = dictionary.to_pylist()
    values: list[KeyValue | None] = [None if text is None else key_value(key.value_type, text) for text in texts]
    comparable = [None if value is None else _instant(key_order(value)) for value in values]
    # Equal instants in two zones are one place in the order.
    distinct: list[Any] = sorted({value for value in comparable if value is not None})
    rank_of = {value: number for number, value in enumerate(distinct, start=1)}
    ranks = np.array([0 if value is None else rank_of[value] for value in comparable], np.int64)
    shown = np.empty(len(values), object)
    shown[:] = values
    return ranks[codes], codes, shown


def _integers(texts: pa.Array) -> NDArray[np.int64] | None:
    """Return the numbers that texts stand for; None where one is missing, or larger than others know it."""
    try:
        return None if texts.null_count else texts.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return None


def _instant(order: Any) -> Any:
    return order[0] if isinstance(order, tuple) else order
