"""Arrow tables, record batches, arrays and scalars: one list element per row, in columns that SQL can use.

What DuckDB has a type for is kept in it: numbers, booleans, text, bytes, days, times of day, and instants
(in UTC, the zone being in the type). What it has none for goes into the nearest column that is exact:
float16 as float32, durations as integers, decimals as text, entries of a dictionary as what they stand
for, and lists, structs, maps and calendar intervals as one JSON text per row, with the instants and
durations in them as integers. The Arrow schema, with its metadata, is in the parameters.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scidb.codecs.base import Codec, Parameters, unsupported
from scidb.codecs.contents import Compared, Contents, StoredColumn, items, single
from scidb.codecs.primitive import cells, lists
from scidb.codecs.tagged import from_json, from_text, path_text, to_json, to_text
from scidb.exceptions import SerializationError
from scidb.store.names import unique_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scidb.filters import Kind

__all__ = ["ArrowCodec", "column_from_arrow", "column_to_arrow", "compared_with", "describe_column"]

types = pa.types

_JSON: Final = "json"
_EXACT: Final = frozenset(
    (
        pa.bool_(),
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float32(), pa.float64(), pa.date32(), pa.time64("us")),
    )
)
_TEXT: Final = (types.is_string, types.is_large_string, types.is_string_view)
_BINARY: Final = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
# Both sides are 64-bit integers underneath.
_INTEGERS: Final = (types.is_timestamp, types.is_duration, types.is_date64)
_REFUSED: Final = (types.is_union, types.is_run_end_encoded)


class ArrowCodec(Codec):
    """One list element per row of a table or batch, or per item of an array; chunks are joined."""

    name = "arrow"
    types: ClassVar[tuple[type, ...]] = (pa.Table, pa.RecordBatch, pa.ChunkedArray)

    def accepts(self, value: object) -> bool:
        """Take pyarrow's own arrays and scalars; a user's subclass may be more than it shows."""
        return isinstance(value, pa.Array | pa.Scalar) and type(value).__module__.startswith("pyarrow")

    def describe(self, value: object) -> Parameters:
        """Return the schema, how each column is stored, and the physical column names."""
        schema, columns = _schema(value), _columns(value)
        tabular = isinstance(value, pa.Table | pa.RecordBatch)
        keys: list[list[object]] = [[name] if tabular else [] for name in schema.names]
        described = [describe_column(column, *key) for column, key in zip(columns, keys, strict=True)]
        return {
            "type": _word(value),
            "schema": base64.b64encode(schema.serialize()).decode(),
            "columns": described,
            "physical": unique_columns(schema.names or ["empty"]),
        }

    def encode(self, values: Sequence[Any], parameters: Parameters) -> pa.Table:
        """Return one row of lists per value."""
        by_value = [_columns(value) for value in values]
        table: dict[str, pa.Array] = {}
        for position, column in enumerate(parameters["columns"]):
            chunks = [chunk for columns in by_value for chunk in _chunks(columns[position])]
            flat = column_to_arrow(chunks, by_value[0][position].type, column)
            table[parameters["physical"][position]] = lists(flat, [len(columns[position]) for columns in by_value])
        if not table:
            # Nothing else would say how many rows there are.
            lengths = [value.num_rows for value in values]
            table[parameters["physical"][0]] = lists(pa.nulls(sum(lengths), pa.bool_()), lengths)
        return pa.table(table)

    def decode(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        """Return values of exactly that schema, each in one chunk."""
        schema = _schema_of(parameters)
        by_column = [cells(table.column(name)) for name in parameters["physical"]]
        restored = []
        for row in zip(*by_column, strict=True):
            if not len(schema):
                restored.append(_without_columns(len(row[0]), schema, parameters["type"]))
                continue
            arrays = [
                column_from_arrow(cell, field.type, column)
                for cell, field, column in zip(row, schema, parameters["columns"], strict=True)
            ]
            restored.append(_RESTORE[parameters["type"]](arrays, schema))
        return restored

    def contents(self, parameters: Parameters) -> Contents:
        """Return the columns of a table, or the one of an array."""
        schema = _schema_of(parameters)
        compared = [compared_with(field.type, said) for field, said in zip(schema, parameters["columns"], strict=True)]
        if parameters["type"] not in ("table", "batch"):
            return (single if parameters["type"] == "scalar" else items)(compared[0], parameters["physical"][0])
        return Contents("table", tuple(map(StoredColumn, schema.names, parameters["physical"], compared)))

    def nbytes(self, values: Sequence[Any], table: pa.Table) -> tuple[int, ...]:
        """Return the size of each row of the table."""
        if len(values) == 1:
            return (table.nbytes,)
        return tuple(table.slice(position, 1).nbytes for position in range(len(values)))


def _word(value: Any) -> str:
    if isinstance(value, pa.Table | pa.RecordBatch):
        return "table" if isinstance(value, pa.Table) else "batch"
    if isinstance(value, pa.ChunkedArray):
        return "chunked"
    return "array" if isinstance(value, pa.Array) else "scalar"


def _schema(value: Any) -> pa.Schema:
    if isinstance(value, pa.Table | pa.RecordBatch):
        return value.schema
    return pa.schema([("value", value.type)])


def _schema_of(parameters: Parameters) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(parameters["schema"])))


def _columns(value: Any) -> list[Any]:
    if isinstance(value, pa.Table | pa.RecordBatch):
        return list(value.columns)
    return [pa.repeat(value, 1) if isinstance(value, pa.Scalar) else value]


def _chunks(column: Any) -> list[pa.Array]:
    return list(column.chunks) if isinstance(column, pa.ChunkedArray) else [column]


def _without_columns(length: int, schema: pa.Schema, word: str) -> Any:
    rows = pa.StructArray.from_arrays([pa.nulls(length)], names=["nothing"])
    batch = pa.RecordBatch.from_struct_array(rows).select([]).replace_schema_metadata(schema.metadata)
    return pa.Table.from_batches([batch]) if word == "table" else batch


_RESTORE: Final[dict[str, Callable[[list[pa.Array], pa.Schema], Any]]] = {
    "table": lambda arrays, schema: pa.Table.from_arrays(arrays, schema=schema),
    "batch": lambda arrays, schema: pa.RecordBatch.from_arrays(arrays, schema=schema),
    "chunked": lambda arrays, _: pa.chunked_array(arrays),
    "array": lambda arrays, _: arrays[0],
    "scalar": lambda arrays, _: arrays[0][0],
}


# ------------------------------------------------------------------ one column


def describe_column(column: Any, *keys: object) -> Parameters:
    """Return how an array is stored; `keys` lead to it, for errors."""
    path = path_text(*keys)
    _check_type(column.type, path)
    try:
        column.validate(full=True)
    except pa.ArrowException as error:
        raise unsupported(f"a damaged Arrow array ({error})", path) from error
    described: Parameters = {"as": _stored_as(column)}
    if types.is_dictionary(column.type) and column.type.ordered:
        entries = column.unify_dictionaries().chunks if isinstance(column, pa.ChunkedArray) else [column]
        described["entries"] = [to_json(entry) for entry in _items(entries[0].dictionary)] if entries else []
    return described


def column_to_arrow(chunks: Sequence[pa.Array], kind: pa.DataType, described: Parameters) -> pa.Array:
    """Return the chunks of a column end to end, in the type in which they are stored."""
    stored = described["as"]
    if stored == _JSON:
        texts = [None if item is None else to_text(item) for chunk in chunks for item in _items(chunk)]
        return pa.array(texts, pa.large_string())
    physical = _physical(kind) if stored != "int64" else pa.int64()
    parts = [_to_physical(chunk, physical) for chunk in chunks]
    if len(parts) == 1:
        return parts[0]
    return pa.concat_arrays(parts) if parts else pa.array([], physical)


def column_from_arrow(cell: pa.Array, kind: pa.DataType, described: Parameters) -> pa.Array:
    """Return stored items as an array of exactly this type."""
    if described["as"] == _JSON:
        items = [None if text is None else from_text(text) for text in cell.to_pylist()]
        if types.is_interval(kind):
            items = [None if item is None else tuple(item) for item in items]
        return pa.array(items, kind)
    restored = _from_physical(cell, kind, described)
    if restored.type != kind or len(restored) != len(cell):
        raise SerializationError(f"A column of Arrow type {kind} cannot be restored from {cell.type}.")
    return restored


def compared_with(kind: pa.DataType, described: Parameters) -> Compared | None:
    """Return what a filter compares items of this type with, as they are stored."""
    if described["as"] == _JSON:
        return None
    if types.is_dictionary(kind):
        found = compared_with(kind.value_type, described)
        return replace(found, ordered=not kind.ordered) if found else None
    if types.is_timestamp(kind):
        return Compared("datetime with a time zone" if kind.tz else "datetime")
    if types.is_duration(kind):
        return Compared("timedelta", kind.unit)
    return next((Compared(word) for matches, word in _KINDS if matches(kind)), None)


_KINDS: Final[tuple[tuple[Callable[[pa.DataType], bool], Kind | None], ...]] = (
    (types.is_boolean, "bool"),
    (types.is_integer, "number"),
    (types.is_floating, "number"),
    (types.is_date32, "date"),
    (types.is_null, None),
    *((matches, "text") for matches in _TEXT),
)


# ------------------------------------------------------------------ what a column is


def _check_type(kind: pa.DataType, path: str) -> None:
    if isinstance(kind, pa.BaseExtensionType):
        raise unsupported(f"a column of the Arrow extension type {kind.extension_name}", path)
    if any(matches(kind) for matches in _REFUSED):
        raise unsupported(f"a column of the Arrow type {kind}", path)
    if types.is_dictionary(kind):
        if types.is_nested(kind.value_type) or types.is_dictionary(kind.value_type):
            raise unsupported(f"a column of the Arrow type {kind}", path)
        _check_type(kind.value_type, path)
    if types.is_struct(kind) and len({field.name for field in kind}) < kind.num_fields:
        raise unsupported(f"a column of the Arrow type {kind}, which has two fields of one name", path)
    if types.is_nested(kind):
        for position in range(kind.num_fields):
            inner = kind.field(position).type
            if types.is_interval(inner) or (types.is_dictionary(inner) and not _is_plain(inner.value_type)):
                raise unsupported(f"a column of the Arrow type {kind}", path)
            _check_type(inner, path)


def _is_plain(kind: pa.DataType) -> bool:
    """Say whether pyarrow makes dictionaries of this type from Python values."""
    return any(matches(kind) for matches in (*_TEXT, *_BINARY, types.is_integer, types.is_floating, types.is_boolean))


def _stored_as(column: Any) -> str:
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_nested(kind) or types.is_interval(kind):
        return _JSON
    if kind == pa.time64("ns"):
        # DuckDB's times of day have microseconds.
        plain = column.cast(kind).cast(pa.int64())
        rest = pc.subtract(plain, pc.multiply(pc.divide(plain, 1000), 1000))
        return "int64" if pc.any(pc.not_equal(rest, 0)).as_py() else "time64[us]"
    return str(_physical(kind))


def _physical(kind: pa.DataType) -> pa.DataType:  # noqa: PLR0911 (one line a kind)
    """Return the type in which DuckDB holds every value of another type."""
    if types.is_dictionary(kind):
        return _physical(kind.value_type)
    if kind in _EXACT:
        return kind
    if types.is_timestamp(kind):
        return pa.timestamp(kind.unit)
    if any(matches(kind) for matches in _TEXT) or types.is_decimal(kind):
        return pa.large_string()
    if any(matches(kind) for matches in _BINARY):
        return pa.large_binary()
    if types.is_date64(kind):
        return pa.timestamp("ms")
    if types.is_time(kind):
        return pa.time64("us")
    if types.is_float16(kind):
        return pa.float32()
    return pa.bool_() if types.is_null(kind) else pa.int64()


# ------------------------------------------------------------------ storing and restoring


def _to_physical(values: pa.Array, physical: pa.DataType) -> pa.Array:
    plain = values.dictionary_decode() if types.is_dictionary(values.type) else values
    if plain.type == physical:
        return plain
    return plain.view(physical) if any(matches(plain.type) for matches in _INTEGERS) else plain.cast(physical)


def _from_physical(cell: pa.Array, kind: pa.DataType, described: Parameters) -> pa.Array:
    if types.is_dictionary(kind):
        values = _from_physical(cell, kind.value_type, described)
        return _with_dictionary(values, kind, described.get("entries"))
    if any(matches(kind) for matches in _INTEGERS):
        return cell.view(kind)
    if types.is_null(kind):
        return cell.cast(pa.null()) if cell.null_count < len(cell) else pa.nulls(len(cell))
    return cell if cell.type == kind else cell.cast(kind)


def _with_dictionary(values: pa.Array, kind: pa.DataType, entries: Any) -> pa.Array:
    if entries is None:
        coded = values.dictionary_encode()
        indices, dictionary = coded.indices, coded.dictionary
    else:
        dictionary = pa.array(from_json(entries), kind.value_type)
        indices = pc.index_in(values, value_set=dictionary)
        if indices.null_count > values.null_count:
            raise SerializationError("A dictionary column has values that are not among its entries.")
    return pa.DictionaryArray.from_arrays(indices.cast(kind.index_type), dictionary, ordered=kind.ordered)


def _items(values: pa.Array) -> list[Any]:
    """Return the items as Python values from which ``pyarrow.array`` makes the same ones, instants as integers."""
    if types.is_interval(values.type):
        return [None if item is None else list(item) for item in values.to_pylist()]
    items: list[Any] = _plain(values).to_pylist()
    return items


def _plain(values: pa.Array) -> pa.Array:
    """Return an array with integers in place of instants, days, times of day and durations, at any depth."""
    kind = values.type
    if types.is_dictionary(kind):
        return _plain(values.dictionary_decode())
    if types.is_temporal(kind):
        return values.view(pa.int32() if kind.bit_width == 32 else pa.int64())
    if types.is_struct(kind) and kind.num_fields:
        fields = [_plain(field) for field in values.flatten()]
        return pa.StructArray.from_arrays(fields, [field.name for field in kind], mask=values.is_null())
    if types.is_map(kind):
        offsets, pairs = _lengthwise(values.cast(pa.list_(pa.struct([("k", kind.key_type), ("v", kind.item_type)]))))
        keys, items = map(_plain, pairs.flatten())
        return pa.MapArray.from_arrays(offsets.cast(pa.int32()), keys, items)
    if types.is_nested(kind) and kind.num_fields == 1 and not types.is_struct(kind):
        offsets, inner = _lengthwise(values)
        return pa.LargeListArray.from_arrays(offsets, _plain(inner))
    return values.cast(pa.float32()) if types.is_float16(kind) else values


def _lengthwise(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return where each list begins, null where there is none, and the items of all lists end to end.

    Not by a cast, which loses the items of list views.
    """
    missing = values.is_null().to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False), out=offsets[1:])
    return pa.array(offsets, mask=np.append(missing, False)), pc.list_flatten(values)
