"""Records by column: what all have in common is written once, and no name is written more than once."""

from __future__ import annotations

import graphlib
import itertools
import typing
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa

from scidb.exceptions import SchemaKeyError, SerializationError
from scidb.store import model
from scidb.store.columns import RecordColumns, column_of, locations, places_of
from scidb.store.model import Record
from scidbnet.wire.coding import coder_of
from scidbnet.wire.plain import plain_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "folded",
    "records_from_columns",
    "records_from_json",
    "records_to_columns",
    "records_to_json",
    "unfolded",
]

Json: TypeAlias = Any

# All fields but the location, with what each may hold.
_HINTS: Final = {
    name: hint
    for name, hint in typing.get_type_hints(
        Record, localns={**vars(typing), **vars(model), "Mapping": typing.Mapping}
    ).items()
    if name != "schema"
}
_CODERS: Final = {name: coder_of(hint) for name, hint in _HINTS.items()}
_KEY: Final = coder_of(model.KeyValue)
# Of a column whose values are all of these types, none needs a closer look.
_EXACT: Final = {name: frozenset(typing.get_args(hint) or (hint,)) for name, hint in _HINTS.items()}
_PLAIN_KEYS: Final = frozenset({int, str, type(None)})
_ARROW: Final = {
    name: pa.field(name, pa.string() if str in kinds else pa.int64(), nullable=type(None) in kinds)
    for name, kinds in _EXACT.items()
}


def records_to_json(records: Sequence[Record]) -> Json:
    """Return records as columns.

    Examples
    --------
    >>> records_to_json([])
    {'count': 0, 'columns': {}, 'schema': {}}

    """
    if not len(records):
        return {"count": 0, "columns": {}, "schema": {}}
    columns = {name: folded(column_of(records, name)) for name in _HINTS}
    places = places_of(records)
    if isinstance(records, list | tuple) and any(None in record.schema.values() for record in records):
        raise SchemaKeyError("A schema key that is not set is left out of a location; None is no value of one.")
    schema = {name: folded([_key(value) for value in places[name]]) for name in _in_order(records, list(places))}
    return {"count": len(records), "columns": columns, "schema": schema}


def _key(value: Any) -> Json:
    return value if type(value) in _PLAIN_KEYS else plain_to_json(value)


def folded(values: list[Any]) -> Json:
    """Return a column, or the one value that it has throughout."""
    first = values[0]
    return {"all": first} if values.count(first) == len(values) and _one_type(values) else values


def _one_type(values: list[Any]) -> bool:
    return len(set(map(type, values))) == 1  # 1 and 1.0 are equal


def _in_order(records: Sequence[Record], names: list[str]) -> list[str]:
    """Return keys in schema order, of which the locations of some records show a part each."""
    shown = {tuple(record.schema) for record in records} if isinstance(records, list | tuple) else {tuple(names)}
    if len(shown) == 1:
        return list(*shown)
    after: dict[str, set[str]] = {name: set() for name in names}
    for keys in shown:
        for before, key in itertools.pairwise(keys):
            after[key].add(before)
    try:
        return list(graphlib.TopologicalSorter(after).static_order())
    except graphlib.CycleError:  # of records that no store has made
        return names


def records_from_json(data: Json) -> list[Record]:
    """Return the records that `records_to_json` wrote.

    Raises
    ------
    SerializationError
        When they are something else.

    """
    count, columns, schema = _described(data)
    if not count:
        return []
    if columns.keys() != _HINTS.keys():
        wrong = sorted(columns.keys() ^ _HINTS.keys())
        raise SerializationError(f"Records with other columns than expected: {', '.join(map(str, wrong))}.")
    filled = [_filled(name, columns[name], count) for name in _HINTS]
    record_ids, variables, *others = filled
    return list(map(Record, record_ids, variables, locations(_places_from(schema, count), count), *others))


def records_to_columns(records: RecordColumns) -> tuple[Json, pa.Table]:
    """Return records, of which there are some, as JSON and the columns in which they differ."""
    common, others = records.arrow(tuple(_HINTS))
    places = {name: folded([_key(value) for value in values]) for name, values in records.places().items()}
    described = {"count": len(records), "columns": {name: {"all": one} for name, one in common.items()}}
    return described | {"schema": places}, others.cast(pa.schema([_ARROW[name] for name in others.column_names]))


def records_from_columns(data: Json, table: pa.Table) -> RecordColumns:
    """Return the records that `records_to_columns` wrote; the table has been checked as Arrow.

    Raises
    ------
    SerializationError
        When they are something else.

    """
    count, columns, schema = _described(data)
    wanted = [field for name, field in _ARROW.items() if name not in columns]
    if not columns.keys() <= _HINTS.keys() or table.schema != pa.schema(wanted) or table.num_rows != count:
        raise SerializationError(f"Records with other columns than expected came, or not {count} of them.")
    if not count or any(table.column(field.name).null_count for field in wanted if not field.nullable):
        raise SerializationError("Records came of which something is missing.")
    common = {name: _filled(name, column, count)[0] for name, column in columns.items()}
    return RecordColumns(table, _places_from(schema, count), common)


def _described(data: Json) -> tuple[int, dict[str, Json], dict[str, Json]]:
    match data:
        case {"count": int(count), "columns": dict(columns), "schema": dict(schema)} if 0 <= count < 2**31:
            return count, columns, schema
    raise SerializationError("Records come as count, columns and schema; these do not.")


def _places_from(schema: Mapping[str, Json], count: int) -> dict[str, list[Any]]:
    return {name: _place_column(name, column, count) for name, column in schema.items()}


def _filled(name: str, column: Json, count: int) -> list[Any]:
    values = unfolded(name, column, count)
    if not _EXACT[name].issuperset(map(type, values)):
        values = [_CODERS[name].read(value, f"{name} of record {number}") for number, value in enumerate(values)]
    return values


def _place_column(name: str, column: Json, count: int) -> list[Any]:
    values = unfolded(name, column, count)
    if _PLAIN_KEYS.issuperset(map(type, values)):
        return values
    return [
        None if value is None else _KEY.read(value, f"{name} of record {number}") for number, value in enumerate(values)
    ]


def unfolded(name: str, column: Json, count: int) -> list[Any]:
    """Return the column that `folded` wrote.

    Raises
    ------
    SerializationError
        When it is none of so many values.

    """
    match column:
        case {"all": value}:
            return [value] * count
        case list() if len(column) == count:
            return column
    raise SerializationError(f"The column {name!r} of {count} records does not have as many values.")
