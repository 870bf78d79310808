"""One-dimensional numpy arrays as Arrow columns, and back, bit for bit.

Where Arrow or a store lacks the type, the next one that holds every value stands in and the dtype restores
it: float16 as float32, durations and calendar dates as their integers. NaT is NULL, as is what is missing
in text of variable width.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from scidb.codecs.base import unsupported
from scidb.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "as_numpy",
    "can_be_kept",
    "cells",
    "check_dtype",
    "dtype_from_text",
    "dtype_text",
    "kept",
    "lists",
    "native",
    "physical",
    "to_arrow",
]

_NAT: Final = np.iinfo(np.int64).min
_TIMESTAMP_UNITS: Final = ("s", "ms", "us", "ns")
_TEXT_TYPES: Final = (pa.string(), pa.large_string(), pa.string_view())
_BINARY_TYPES: Final = (pa.binary(), pa.large_binary(), pa.binary_view())


def check_dtype(dtype: np.dtype[Any], path: str = "") -> None:
    """Refuse a dtype whose items are not each one cell of a column."""
    if dtype.char in "gG":
        raise unsupported(f"items of dtype {dtype}, whose bits differ between machines,", path)
    if dtype.kind == "T":
        _missing_to_json(dtype, path)
    elif dtype.kind not in "biufcMmUSV" or dtype.names is not None or dtype.subdtype is not None:
        kind = {"O": "objects", "V": "structured items"}.get(dtype.kind, f"dtype {dtype}")
        raise unsupported(f"an array of {kind}", path)


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a dtype in the byte order of this machine."""
    return dtype if dtype.kind == "T" else dtype.newbyteorder("=")


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Return the name of a dtype without its byte order.

    Examples
    --------
    >>> dtype_text(np.dtype(">f8")), dtype_text(np.dtype("<U3")), dtype_text(np.dtypes.StringDType(na_object=None))
    ('float64', 'U3', 'T{"coerce":true,"na":null}')

    """
    if isinstance(dtype, np.dtypes.StringDType):
        said = {"coerce": dtype.coerce, **_missing_to_json(dtype)}
        return f"T{json.dumps(said, separators=(',', ':'))}"
    return dtype.str[1:] if dtype.kind in "USV" else str(dtype.name)


def dtype_from_text(text: str) -> np.dtype[Any]:
    """Return the dtype of that name, in native byte order; never one that holds references to objects.

    Examples
    --------
    >>> dtype_from_text("U3")
    dtype('<U3')

    """
    if text.startswith("T"):
        said = json.loads(text[1:])
        missing = {"na_object": _missing_from_json(said["na"])} if "na" in said else {}
        return np.dtypes.StringDType(coerce=said["coerce"], **missing)
    dtype = np.dtype(text)
    check_dtype(dtype)
    return dtype


def _missing_to_json(dtype: Any, path: str = "") -> dict[str, Any]:
    """Return what stands for missing text in a StringDType; nothing when it has no such thing."""
    if not hasattr(dtype, "na_object"):
        return {}
    missing = dtype.na_object
    if missing is None:
        return {"na": None}
    if missing is pd.NA:
        return {"na": "NA"}
    if isinstance(missing, float) and math.isnan(missing):
        return {"na": "nan"}
    if type(missing) is str:
        return {"na": [missing]}
    raise unsupported(f"an array of text in which {missing!r} stands for what is missing", path)


def _missing_from_json(said: Any) -> Any:
    return said[0] if isinstance(said, list) else {None: None, "NA": pd.NA, "nan": math.nan}[said]


def physical(dtype: np.dtype[Any]) -> pa.DataType:
    """Return the column type that holds every value of a dtype (complex numbers have two columns).

    Examples
    --------
    >>> physical(np.dtype("float16")), physical(np.dtype("M8[ms]")), physical(np.dtype("M8[D]"))
    (DataType(float), TimestampType(timestamp[ms]), DataType(int64))

    """
    if dtype == np.float16:
        return pa.float32()
    if dtype.kind == "M" and np.datetime_data(dtype) in {(unit, 1) for unit in _TIMESTAMP_UNITS}:
        return pa.timestamp(np.datetime_data(dtype)[0])
    if dtype.kind in "Mm":
        return pa.int64()
    if dtype.kind in "UT":
        return pa.large_string()
    if dtype.kind in "SV":
        return pa.large_binary()
    return pa.from_numpy_dtype(dtype.newbyteorder("="))


def to_arrow(arrays: Sequence[NDArray[Any]], path: str = "") -> pa.Array:  # noqa: ARG001 - columns still give it
    """Return one-dimensional arrays of one dtype end to end; a single contiguous one is not copied.

    Text with lone surrogates, which is not Unicode, is bytes.
    """
    dtype = native(arrays[0].dtype)
    column = physical(dtype)
    flat = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
    if dtype.kind in "USTV":
        items = flat.tolist()
        if dtype.kind == "T":
            items = [item if type(item) is str else None for item in items]
        try:
            return pa.array(items, column)
        except UnicodeError:
            return pa.array([item.encode("utf-8", "surrogatepass") for item in items], pa.large_binary())
    flat = np.require(flat, dtype, ["C", "A"])
    if dtype.kind in "Mm":
        missing = np.isnat(flat)
        return pa.array(flat.view(np.int64), mask=missing if missing.any() else None).view(column)
    return pa.array(flat.astype(np.float32) if dtype == np.float16 else flat, column)


def as_numpy(column: pa.Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a column as an array of `dtype`, which may be a read-only view of it."""
    expected = physical(dtype)
    if dtype.kind == "U" and column.type in _BINARY_TYPES and not column.null_count:
        return np.array([item.decode("utf-8", "surrogatepass") for item in column.to_pylist()], dtype)
    same = next((group for group in (_TEXT_TYPES, _BINARY_TYPES) if expected in group), (expected,))
    if column.type not in same:
        raise SerializationError(f"A column of dtype {dtype} is of type {column.type}, not {expected}.")
    if dtype.kind in "UST":
        return _text(column, dtype)
    if dtype.kind in "Mm":
        numbers = column.view(pa.int64())
        filled = numbers.fill_null(_NAT) if numbers.null_count else numbers
        return np.asarray(filled.to_numpy()).view(dtype)
    if column.null_count:
        raise SerializationError(f"A column of dtype {dtype} has missing values.")
    if dtype.kind == "V":
        return _void(column.to_pylist(), dtype)
    return np.asarray(column.to_numpy(zero_copy_only=False)).astype(dtype, copy=False)


def can_be_kept(dtype: np.dtype[Any]) -> bool:
    """Say whether numbers of a dtype lie in a column as they lie in an array."""
    return dtype.kind in "iuf" and dtype != np.float16


def kept(column: pa.Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a column that nobody else holds as an array in the same memory, if that can be written to."""
    checked = as_numpy(column, dtype)
    if not len(column):
        return np.array(checked)
    own = np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * dtype.itemsize)
    return own if own.flags.writeable else np.array(own)


def _text(column: pa.Array, dtype: Any) -> NDArray[Any]:
    items = column.to_pylist()
    if column.null_count:
        if not hasattr(dtype, "na_object"):
            raise SerializationError(f"A column of dtype {dtype} has missing values.")
        items = [dtype.na_object if item is None else item for item in items]
    return np.array(items, dtype)


def _void(items: list[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    if any(len(item) != dtype.itemsize for item in items):
        raise SerializationError(f"A column of dtype {dtype} has items of other sizes.")
    return np.frombuffer(b"".join(items), dtype) if dtype.itemsize else np.zeros(len(items), dtype)


def lists(flat: pa.Array, lengths: Sequence[int]) -> pa.LargeListArray:
    """Cut a column into one list per length."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return pa.LargeListArray.from_arrays(pa.array(offsets), flat)


def cells(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    """Yield the elements of each list of a column, without copying them.

    Examples
    --------
    >>> [cell.to_pylist() for cell in cells(pa.chunked_array([[[1, 2], []], [[3]]]))]
    [[1, 2], [], [3]]

    """
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise SerializationError(f"A column of lists was expected, not one of {column.type}.")
    for chunk in column.chunks:
        elements = chunk.values  # noqa: PD011 - Arrow's
        for start, stop in pairwise(chunk.offsets.to_numpy().tolist()):
            yield elements.slice(start, stop - start)
