"""Many records held by column, since an object for each costs more than finding it."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import pyarrow.compute as pc

from scidb.store.model import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

    from scidb.store.model import KeyValue

__all__ = ["RecordColumns", "column_of", "locations", "places_of"]

_BEFORE, _AFTER = ("record_id", "variable"), tuple(name for name in Record.__slots__[3:])


class RecordColumns(Sequence[Record]):
    """Records by column: a sequence like any other, that makes a record when one is asked for.

    Parameters
    ----------
    table
        A column for every field of a record, but for the location and for what all have in common.
    places
        The values of each schema key in schema order, None where it is not set.
    common
        The fields that have one value throughout, as far as that is known.

    """

    __slots__ = ("_columns", "_common", "_places", "_table")

    def __init__(
        self,
        table: pa.Table,
        places: Mapping[str, list[KeyValue | None]],
        common: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._table = table
        self._places = places
        self._common = common
        self._columns: dict[str, list[Any]] = {}

    def column(self, name: str) -> list[Any]:
        """Return one field of all records."""
        if name not in self._columns:
            is_common = name in self._common
            column = [self._common[name]] * len(self) if is_common else self._table.column(name).to_pylist()
            self._columns[name] = column
        return self._columns[name]

    def arrow(self, names: Sequence[str]) -> tuple[dict[str, Any], pa.Table]:
        """Return these fields of all records, of which there are some: what they have in common, and the others."""
        common = {name: self._common[name] for name in names if name in self._common}
        others = []
        for name in names:
            if name in common:
                continue
            column = self._table.column(name)
            if _is_constant(column):
                common[name] = column[0].as_py()
            else:
                others.append(name)
        return common, self._table.select(others)

    def places(self) -> Mapping[str, list[KeyValue | None]]:
        """Return the values of each schema key, None where it is not set."""
        return self._places

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[Record]:
        before, after = (map(self.column, names) for names in (_BEFORE, _AFTER))
        return map(Record, *before, locations(self._places, len(self)), *after)

    @overload
    def __getitem__(self, at: int) -> Record: ...

    @overload
    def __getitem__(self, at: slice) -> RecordColumns: ...

    def __getitem__(self, at: int | slice) -> Record | RecordColumns:
        if isinstance(at, slice):
            start, stop, _ = at.indices(len(self))
            places = {name: values[at] for name, values in self._places.items()}
            return RecordColumns(self._table.slice(start, max(0, stop - start)), places, self._common)
        at = range(len(self))[at]
        return next(iter(self[at : at + 1]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(other) == len(self) and all(map(_equal, self, other))

    __hash__ = None  # type: ignore[assignment]  # like a list


def locations(places: Mapping[str, list[KeyValue | None]], count: int) -> Iterable[dict[str, KeyValue]]:
    """Return the locations of so many records, from the values of each schema key.

    Examples
    --------
    >>> locations({"subject": [1, 2], "trial": [None, 3]}, 2)
    [{'subject': 1}, {'subject': 2, 'trial': 3}]

    """
    names, columns = tuple(places), tuple(places.values())
    if len(names) == 1:
        [name] = names
        return [{} if value is None else {name: value} for value in columns[0]]
    rows = zip(*columns, strict=True) if names else iter([()] * count)
    return [{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows]


def _is_constant(column: pa.ChunkedArray) -> bool:
    if column.null_count:
        return bool(column.null_count == len(column))
    # Where they differ, the first and the last mostly do.
    return bool(column[0] == column[-1] and pc.all(pc.equal(column, column[0])).as_py())


def _equal(one: object, other: object) -> bool:
    return one == other


def column_of(records: Sequence[Record], name: str) -> list[Any]:
    """Return one field of all records.

    Examples
    --------
    >>> column_of([], "record_id")
    []

    """
    if isinstance(records, RecordColumns):
        return records.column(name)
    return [getattr(record, name) for record in records]


def places_of(records: Sequence[Record]) -> Mapping[str, list[KeyValue | None]]:
    """Return the values of each schema key that any record has, None where it is not set.

    Examples
    --------
    >>> places_of([])
    {}

    """
    if isinstance(records, RecordColumns):
        return records.places()
    names = dict.fromkeys(name for record in records for name in record.schema)
    return {name: [record.schema.get(name) for record in records] for name in names}
