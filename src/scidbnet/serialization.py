"""Values as envelopes, for clients in any language: JSON where JSON is exact, Arrow for everything else.

The header of an envelope says in `format` what its body is:

- ``none``: no body.
- ``json_scalar``: one number, text or boolean as JSON, of the `python_type`.
- ``json_value``: a list or an object as JSON.
- ``numpy``: the items of an array in C order, as an Arrow stream of one column; with `dtype` and `shape`.
- ``dataframe``: an Arrow stream with the columns of a table.
- ``arrow``: an Arrow stream of one row as the database stores it, restored as its `encoding` says.

Several envelopes are a stream of parts that ends with their number, as `scidbnet.wire.framing` has it. A body that
is longer than a part goes on in the next.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from scidb import codecs
from scidb.codecs.literals import is_int64, is_utf8
from scidb.database.querying import QueryResult
from scidb.exceptions import SerializationError
from scidbnet.wire.chunks import table_bytes, table_from
from scidbnet.wire.errors import error_from_json
from scidbnet.wire.framing import Envelope, Parts, end, envelope_from, envelope_to, part
from scidbnet.wire.plain import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from scidbnet.wire.framing import Bytes

__all__ = [
    "FORMATS",
    "PART_BYTES",
    "decode_response",
    "deserialize_data",
    "encode_response",
    "envelopes_from",
    "response_parts",
    "serialize_data",
    "to_envelope",
    "value_of",
]

PART_BYTES: Final = 64 * 2**20
"""How long the body of one part of an answer is at most."""

# Python's own limit is higher; what is deeper is for a codec to refuse.
_DEEPEST: Final = 50


# ------------------------------------------------------------------ one value


def serialize_data(value: object) -> bytes:
    r"""Return a value as an envelope.

    Examples
    --------
    >>> serialize_data(3)
    b'\x00\x00\x00,{"format":"json_scalar","python_type":"int"}3'

    Raises
    ------
    UnsupportedValueError
        When the value is none that SciDB can store.

    """
    envelope = to_envelope(value)
    return b"".join(envelope_to(envelope.header, envelope.body))


def deserialize_data(data: Bytes) -> Any:
    """Return the value of an envelope.

    Examples
    --------
    >>> deserialize_data(serialize_data({"a": [1, 2.5]}))
    {'a': [1, 2.5]}

    Raises
    ------
    SerializationError
        When it holds none, or not the one that its header describes.
    LimitExceededError
        When the header is too long.

    """
    return value_of(envelope_from(data))


def to_envelope(value: object, about: Mapping[str, Any] | None = None) -> Envelope:
    """Return header and body of a value; the header also has what is said `about` it, in JSON types."""
    header, body = _described(value)
    return Envelope({**header, **(about or {})}, memoryview(body))


def value_of(envelope: Envelope) -> Any:
    """Return the value behind header and body; see `deserialize_data`."""
    name = envelope.header.get("format")
    read = FORMATS.get(name) if isinstance(name, str) else None
    if read is None:
        raise SerializationError(f"An envelope of the format {name!r}; known are {', '.join(FORMATS)}.", format=name)
    return read(envelope.header, envelope.body)


def _described(value: Any) -> tuple[dict[str, Any], Bytes]:
    kind = type(value)
    if value is None:
        return {"format": "none"}, b""
    if kind in _KINDS.values() or kind in (list, dict):
        found = _as_json(value)
    elif kind is np.ndarray and value.dtype.name in _DTYPES:
        table = pa.table({"value": _column(value.reshape(-1))})
        found = {"format": "numpy", "dtype": value.dtype.name, "shape": list(value.shape)}, table_bytes(table)
    elif kind is pd.DataFrame and _is_plain(value):
        found = {"format": "dataframe"}, table_bytes(_columns(value))
    else:
        found = None
    return _as_stored(value) if found is None else found


def _as_stored(value: object) -> tuple[dict[str, Any], Bytes]:
    [stored] = codecs.encode([value])
    return {"format": "arrow", "encoding": stored.encoding}, table_bytes(stored.table)


# ------------------------------------------------------------------ JSON

_KINDS: Final[dict[str, type]] = {kind.__name__: kind for kind in (bool, int, float, str)}
_NO_NUMBERS: Final = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_EXACT: Final[dict[type, Callable[[Any], bool]]] = {
    type(None): lambda _: True,
    bool: lambda _: True,
    int: is_int64,
    float: math.isfinite,
    str: is_utf8,
}


def _as_json(value: Any) -> tuple[dict[str, Any], Bytes] | None:
    """Return a value as JSON, or None where JSON would not say all of it."""
    if type(value) is float:
        # A number that is none is written as a text.
        return _scalar_header(value), to_text(value if math.isfinite(value) else repr(value))
    if not _is_exact(value):
        return None
    return {"format": "json_value"} if type(value) in (list, dict) else _scalar_header(value), to_text(value)


def _scalar_header(value: object) -> dict[str, Any]:
    return {"format": "json_scalar", "python_type": type(value).__name__}


def _is_exact(value: Any, depth: int = 0) -> bool:
    """Say whether JSON says all of a value, to every reader."""
    fits = _EXACT.get(type(value))
    if fits is not None:
        return fits(value)
    if depth > _DEEPEST:
        return False
    if type(value) is list:
        return all(_is_exact(item, depth + 1) for item in value)
    return type(value) is dict and all(
        type(key) is str and is_utf8(key) and _is_exact(item, depth + 1) for key, item in value.items()
    )


def _read_none(_: Mapping[str, Any], body: memoryview) -> None:
    if len(body):
        raise SerializationError(f"{len(body)} bytes came with a value of the format none, which has no body.")


def _read_scalar(header: Mapping[str, Any], body: memoryview) -> Any:
    name = header.get("python_type")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise SerializationError(f"A json_scalar has a python_type of {', '.join(_KINDS)}, not {name!r}.")
    value = from_text(body, "The value of an envelope")
    if type(value) is kind:
        return value
    if kind is float and type(value) is int and abs(value) <= 2**53:  # as JavaScript writes 2.0
        return float(value)
    if kind is float and isinstance(value, str) and value in _NO_NUMBERS:
        return _NO_NUMBERS[value]
    raise SerializationError(f"A json_scalar of the python_type {name} holds a {type(value).__name__}.")


def _read_json(_: Mapping[str, Any], body: memoryview) -> Any:
    value = from_text(body, "The value of an envelope")
    if not isinstance(value, list | dict):
        raise SerializationError(f"A json_value is a list or an object, not a {type(value).__name__}.")
    return value


# ------------------------------------------------------------------ arrays and tables

_DTYPES: Final = {
    np.dtype(code).name: np.dtype(code)
    for code in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
}
_COMMON: Final = {*_DTYPES, *(f"datetime64[{unit}]" for unit in ("s", "ms", "us", "ns"))}
# What a text column, and a column of texts as names, has by itself in this pandas.
_TEXT: Final = pd.Series(["a"]).dtype
_NAMES: Final = pd.DataFrame({"a": [0]}).columns.dtype


def _column(values: Any) -> pa.Array:
    return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))


def _is_plain(frame: pd.DataFrame) -> bool:
    """Say whether a table has nothing but columns of common types, with names and without an index of its own."""
    index, names = frame.index, frame.columns
    return (
        type(index) is pd.RangeIndex
        and index.equals(pd.RangeIndex(len(frame)))
        and (index.start, index.step, index.name) == (0, 1, None)
        and type(names) is pd.Index
        and (names.dtype, names.name, names.is_unique) == (_NAMES, None, True)
        and len(names) > 0
        and all(type(name) is str and is_utf8(name) for name in names)
        and not frame.attrs
        and frame.flags.allows_duplicate_labels
        and all(_is_common(frame.iloc[:, position]) for position in range(len(names)))
    )


def _is_common(column: pd.Series) -> bool:
    if isinstance(column.dtype, np.dtype) and column.dtype.isnative and column.dtype.name in _COMMON:
        return True
    return column.dtype == _TEXT and all(type(cell) is str and is_utf8(cell) for cell in column)


def _columns(frame: pd.DataFrame) -> pa.Table:
    columns = [frame.iloc[:, position] for position in range(frame.shape[1])]
    return pa.Table.from_arrays(
        [
            pa.array(list(column), pa.large_string()) if column.dtype == _TEXT else _column(column.to_numpy())
            for column in columns
        ],
        names=list(frame.columns),
    )


def _read_array(header: Mapping[str, Any], body: memoryview) -> Any:
    name, shape = header.get("dtype"), header.get("shape")
    dtype = _DTYPES.get(name) if isinstance(name, str) else None
    if dtype is None:
        raise SerializationError(f"An array of the format numpy has a dtype of {', '.join(_DTYPES)}, not {name!r}.")
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise SerializationError(f"The shape of an array is a list of lengths, not {str(shape)[:80]}.")
    table = table_from(body)
    if table.num_columns != 1 or table.column(0).type != pa.from_numpy_dtype(dtype) or table.column(0).null_count:
        raise SerializationError(f"An array of {name} comes as one Arrow column of that type without missing items.")
    try:
        return np.array(table.column(0).to_numpy(), dtype).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise SerializationError(
            f"{table.num_rows} items make no array of the shape {str(shape)[:80]}: {str(error)[:80]}."
        ) from error


def _read_frame(_: Mapping[str, Any], body: memoryview) -> pd.DataFrame:
    # What another program says about its columns beside them is none of ours.
    table = table_from(body).replace_schema_metadata(None)
    try:
        return QueryResult(table).to_pandas()
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise SerializationError(f"The columns make no table: {str(error).splitlines()[0][:200]}.") from error


def _read_stored(header: Mapping[str, Any], body: memoryview) -> Any:
    encoding = header.get("encoding")
    if not isinstance(encoding, str):
        raise SerializationError("A value of the format arrow has its encoding in the header, which is a text.")
    table = table_from(body)
    if table.num_rows != 1:
        raise SerializationError(f"A value of the format arrow is one row of a table; {table.num_rows} came.")
    try:
        values = codecs.decode(encoding, table)
    except SerializationError as error:
        if "codec" in error.details:
            raise SerializationError(str(error), **error.details, code="unknown_encoding") from error
        raise
    if len(values) != 1:
        raise SerializationError(f"{len(values)} values came where one was expected.")
    return values[0]


FORMATS: Final[dict[str, Callable[[Mapping[str, Any], memoryview], Any]]] = {
    "none": _read_none,
    "json_scalar": _read_scalar,
    "json_value": _read_json,
    "numpy": _read_array,
    "dataframe": _read_frame,
    "arrow": _read_stored,
}
"""How the body of each format is read."""


# ------------------------------------------------------------------ several values


def encode_response(parts: Iterable[Bytes]) -> bytes:
    """Return envelopes as one stream of parts, which ends by saying how many there were.

    Examples
    --------
    >>> stream = encode_response([serialize_data(1), serialize_data("a")])
    >>> [deserialize_data(one) for one in decode_response(stream)]
    [1, 'a']

    Raises
    ------
    SerializationError
        When a part is no envelope.

    """
    pieces = response_parts(map(envelope_from, parts))
    return b"".join(itertools.chain.from_iterable(pieces))


def decode_response(data: Bytes) -> list[bytes]:
    """Return the envelopes of a stream.

    Raises
    ------
    SerializationError
        When it was cut, or holds something else.
    LimitExceededError
        When a part is too long.
    SciDBError
        The one that the server met with after it had begun to answer.

    """
    return [b"".join(envelope_to(one.header, one.body)) for one in envelopes_from([data])]


def response_parts(envelopes: Iterable[Envelope], part_bytes: int = PART_BYTES) -> Iterator[list[Bytes]]:
    """Return envelopes as the parts of a stream, each in pieces, and the part that ends it."""
    count = 0
    for envelope in envelopes:
        if envelope.kind is not None:
            raise SerializationError(f"An envelope of kind {envelope.kind!r} is no value, but a part of a stream.")
        length = len(envelope.body)
        header: Mapping[str, Any] = envelope.header
        if length > part_bytes:
            header = {**header, "nbytes": length}
        for start in range(0, max(length, 1), part_bytes):
            said = {**header, "continued": start + part_bytes < length} if length > part_bytes else header
            yield part(said, envelope.body[start : start + part_bytes])
            header = {"kind": "more"}
            count += 1
    yield end(count)


def envelopes_from(pieces: Iterable[Bytes]) -> Iterator[Envelope]:
    """Return the envelopes of a stream that comes in pieces of any length; see `decode_response`."""
    waiting = iter(Parts(pieces))
    for first in waiting:
        if first.kind == "error":
            raise error_from_json(first.header.get("error"))
        if first.kind is not None:
            raise SerializationError(f"A part of kind {first.kind!r} came where a value begins.")
        yield _joined(first, waiting) if first.header.get("continued") is True else first


def _joined(first: Envelope, waiting: Iterator[Envelope]) -> Envelope:
    whole = bytearray(first.body)
    continued: object = True
    while continued is True:
        following = next(waiting, None)
        if following is None or following.kind != "more":
            raise SerializationError("A value that goes on in another part has none.")
        whole += following.body
        continued = following.header.get("continued")
    if len(whole) != first.header.get("nbytes"):
        raise SerializationError(f"{len(whole)} bytes came of a value of {first.header.get('nbytes')!r} bytes.")
    header = {name: said for name, said in first.header.items() if name not in ("nbytes", "continued")}
    return Envelope(header, memoryview(whole))
