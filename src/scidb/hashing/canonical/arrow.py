"""Canonical encoding of Arrow arrays, tables and scalars, by their logical values.

Ignored, because it is storage: chunking, offsets, how validity is kept, bytes under nulls, ``large_`` and
``_view`` variants, the order and the unused entries of dictionaries, schema metadata and nullability.

Decisions
---------
- A type is its Arrow name, or an array of its name and its parts. A dictionary type stays visible, with
  whether it is ordered; its column is that of the decoded values.
- Booleans are bytes 0/1; fixed-width bodies have zeros under nulls; NaNs are one NaN.
- A ``Table`` and a ``RecordBatch`` differ, since they offer different methods; an ``Array`` and a
  ``ChunkedArray`` are equal, since chunking is storage.
- Unions, run ends and extension types are refused until somebody needs them.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scidb.hashing.canonical.cbor import NULL, array, integer, payload, payload_parts, text, typed
from scidb.hashing.canonical.encode import Refusal
from scidb.hashing.canonical.numpy import differences, numeric_payload

if TYPE_CHECKING:
    from scidb.hashing.canonical.cbor import Parts
    from scidb.hashing.canonical.encode import Active, Writer

__all__ = ["WRITERS", "arrow_strings", "encode_arrow", "encode_column"]

ArrowArray: TypeAlias = Any
ArrowType: TypeAlias = Any

_TEXT: Final = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BINARY: Final = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_LARGE: Final = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
_LIST: Final = (pa.types.is_list, pa.types.is_large_list, pa.types.is_list_view, pa.types.is_large_list_view)


def encode_arrow(value: ArrowArray) -> bytes:
    """Encode an array or chunked array: its type, its length, its values."""
    whole = _whole(value)
    return typed("arrow", 3) + _type(whole.type) + integer(len(whole)) + encode_column(whole)


def arrow_strings(value: ArrowArray) -> Parts:
    """Encode an array of text as ``strs``."""
    whole = _whole(value)
    return (typed("strs", 3), _validity(whole), *_runs_of_bytes(whole, pa.large_string()))


def _whole(value: ArrowArray) -> ArrowArray:
    if not isinstance(value, pa.ChunkedArray):
        return value
    if value.num_chunks == 0:
        return pa.nulls(0, value.type)
    if value.num_chunks > 1 and (large := _LARGE.get(value.type)):
        # Together, the chunks may have more bytes than 32-bit offsets can tell.
        return value.cast(large).combine_chunks()
    return value.combine_chunks()


def _type(kind: ArrowType) -> bytes:  # noqa: PLR0911 (one line a kind)
    types = pa.types
    if any(matches(kind) for matches in _TEXT):
        return text("string")
    if any(matches(kind) for matches in _BINARY):
        return text("binary")
    if any(matches(kind) for matches in _LIST):
        return array([text("list"), _type(kind.value_type)])
    if types.is_fixed_size_list(kind):
        return array([text("fixed_size_list"), integer(kind.list_size), _type(kind.value_type)])
    if types.is_struct(kind):
        fields = [array([text(field.name), _type(field.type)]) for field in kind.fields]
        return array([text("struct"), array(fields)])
    if types.is_map(kind):
        sorted_keys = b"\xf5" if kind.keys_sorted else b"\xf4"
        return array([text("map"), sorted_keys, _type(kind.key_type), _type(kind.item_type)])
    if types.is_dictionary(kind):
        ordered = b"\xf5" if kind.ordered else b"\xf4"
        return array([text("dictionary"), ordered, _type(kind.value_type)])
    if types.is_primitive(kind) or types.is_decimal(kind) or _is_plain(kind):
        return text(str(kind))
    raise Refusal(f"the Arrow type {kind} is not supported")


def _is_plain(kind: ArrowType) -> bool:
    return bool(pa.types.is_null(kind) or pa.types.is_fixed_size_binary(kind) or kind == pa.month_day_nano_interval())


def encode_column(values: ArrowArray) -> bytes:
    """Encode the values of an array without its type."""
    # Decoded first: the dictionary itself may hold the null.
    plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    return b"".join((typed("col", 2), _validity(plain), _body(plain)))


def _validity(values: ArrowArray) -> bytes:
    if values.null_count == 0:
        return NULL
    valid = values.is_valid().to_numpy(zero_copy_only=False)
    return payload(np.packbits(valid, bitorder="little").data)


def _body(values: ArrowArray) -> bytes:
    kind = values.type
    types = pa.types
    if types.is_null(kind):
        return NULL
    if any(matches(kind) for matches in _TEXT):
        return b"".join(_runs_of_bytes(values, pa.large_string()))
    if any(matches(kind) for matches in _BINARY):
        return b"".join(_runs_of_bytes(values, pa.large_binary()))
    if types.is_struct(kind):
        return typed("struct", kind.num_fields) + b"".join(map(encode_column, _struct_fields(values)))
    if any(matches(kind) for matches in _LIST) or types.is_map(kind) or types.is_fixed_size_list(kind):
        return _list(values)
    return _fixed_width(values)


def _struct_fields(values: ArrowArray) -> list[ArrowArray]:
    """Return the columns of a struct with nulls wherever the struct itself is null."""
    return list(values.flatten())


def _list(values: ArrowArray) -> bytes:
    kind = values.type
    if pa.types.is_map(kind):
        values = values.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False).astype("<i8")
    return typed("list", 2) + payload(lengths.data) + encode_column(pc.list_flatten(values))


def _runs_of_bytes(values: ArrowArray, large: ArrowType) -> Parts:
    """Encode text or bytes as lengths and one run, whatever lies under the nulls."""
    plain = values if values.type == large else values.cast(large)
    if plain.null_count:
        plain = pc.fill_null(plain, "" if large == pa.large_string() else b"")
    _, offsets, data = plain.buffers()
    count = len(plain)
    if count == 0:
        return payload(b""), payload(b"")
    ends = np.frombuffer(offsets, "<i8", count + 1, plain.offset * 8)
    run = memoryview(data)[int(ends[0]) : int(ends[-1])] if data is not None else b""
    return (*differences(ends), *payload_parts(run))


def _fixed_width(values: ArrowArray) -> bytes:
    kind = values.type
    if pa.types.is_boolean(kind):
        filled = pc.fill_null(values, False)
        return numeric_payload(filled.to_numpy(zero_copy_only=False))
    width = kind.byte_width
    if len(values) * width == 0:
        return payload(b"")
    floating = pa.types.is_floating(kind)
    item = np.dtype(f"<f{width}" if floating else f"<i{width}" if width in (1, 2, 4, 8) else f"V{width}")
    raw = np.frombuffer(values.buffers()[1], item, len(values), values.offset * width)
    if values.null_count:
        raw = raw.copy()
        raw[~values.is_valid().to_numpy(zero_copy_only=False)] = np.zeros((), item)
    return numeric_payload(raw)


# ---------------------------------------------------------------- values


def _table(value: Any, _: Active) -> bytes:
    columns = zip(value.column_names, value.columns, strict=True)
    word = "arrow.table" if isinstance(value, pa.Table) else "arrow.record_batch"
    pairs = [array([text(name), encode_arrow(column)]) for name, column in columns]
    return typed(word, 2) + integer(value.num_rows) + array(pairs)


def _scalar(value: Any, _: Active) -> bytes:
    # pyarrow.array makes something else of scalars that are missing lists, or views.
    return typed("arrow.scalar", 1) + encode_arrow(pa.repeat(value, 1))


def _concrete(base: type) -> list[type]:
    """Return pyarrow's own classes below a base; a user's subclass is none of them."""
    below = chain.from_iterable(map(_concrete, base.__subclasses__()))
    return [kind for kind in [base, *below] if kind.__module__.startswith("pyarrow")]


WRITERS: Final[dict[type, Writer]] = {
    **dict.fromkeys(_concrete(pa.Array), lambda value, _: encode_arrow(value)),
    **dict.fromkeys(_concrete(pa.Scalar), _scalar),
    pa.ChunkedArray: lambda value, _: encode_arrow(value),
    pa.Table: _table,
    pa.RecordBatch: _table,
}
