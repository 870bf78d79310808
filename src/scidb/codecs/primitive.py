"""One-dimensional numpy arrays as Arrow columns, and back, bit for bit.

Where Arrow or a store lacks the type, the next one that holds every value stands in and the dtype restores
it: float16 as float32, durations and calendar dates as their integers. NaT is NULL.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from scidb.codecs.base import unsupported
from scidb.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "as_numpy",
    "cells",
    "check_dtype",
    "dtype_from_text",
    "dtype_text",
    "lists",
    "physical",
    "to_arrow",
]

_NAT: Final = np.iinfo(np.int64).min
_TIMESTAMP_UNITS: Final = ("s", "ms", "us", "ns")
_TEXT_TYPES: Final = (pa.string(), pa.large_string(), pa.string_view())
_BINARY_TYPES: Final = (pa.binary(), pa.large_binary(), pa.binary_view())


def check_dtype(dtype: np.dtype[Any], path: str = "") -> None:
    """Refuse a dtype without an exact column type."""
    if dtype.kind not in "biufcMmUS" or dtype.char in "gG":
        kind = {"O": "objects", "V": "structured or void items"}.get(dtype.kind, f"dtype {dtype}")
        raise unsupported(f"an array of {kind}", path)


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Return the name of a dtype without its byte order.

    Examples
    --------
    >>> dtype_text(np.dtype(">f8")), dtype_text(np.dtype("<U3"))
    ('float64', 'U3')

    """
    return dtype.str[1:] if dtype.kind in "US" else str(dtype.name)


def dtype_from_text(text: str) -> np.dtype[Any]:
    """Return the dtype of that name, in native byte order; never one that holds references.

    Examples
    --------
    >>> dtype_from_text("U3")
    dtype('<U3')

    """
    dtype = np.dtype(text)
    check_dtype(dtype)
    return dtype


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
    if dtype.kind == "U":
        return pa.large_string()
    if dtype.kind == "S":
        return pa.large_binary()
    return pa.from_numpy_dtype(dtype.newbyteorder("="))


def to_arrow(arrays: Sequence[NDArray[Any]], path: str = "") -> pa.Array:
    """Return one-dimensional arrays of one dtype end to end; a single contiguous one is not copied."""
    dtype = arrays[0].dtype.newbyteorder("=")
    column = physical(dtype)
    flat = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
    if dtype.kind in "US":
        try:
            return pa.array(flat.tolist(), column)
        except (UnicodeError, pa.ArrowException):
            raise unsupported("text with lone surrogates in an array", path) from None
    flat = np.require(flat, dtype, ["C", "A"])
    if dtype.kind in "Mm":
        missing = np.isnat(flat)
        return pa.array(flat.view(np.int64), mask=missing if missing.any() else None).view(column)
    return pa.array(flat.astype(np.float32) if dtype == np.float16 else flat, column)


def as_numpy(column: pa.Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a column as an array of `dtype`, which may be a read-only view of it."""
    expected = physical(dtype)
    same = next((group for group in (_TEXT_TYPES, _BINARY_TYPES) if expected in group), (expected,))
    if column.type not in same:
        raise SerializationError(f"A column of dtype {dtype} is of type {column.type}, not {expected}.")
    if dtype.kind in "US":
        return np.array(column.to_pylist(), dtype)
    if dtype.kind in "Mm":
        numbers = column.view(pa.int64())
        filled = numbers.fill_null(_NAT) if numbers.null_count else numbers
        return np.asarray(filled.to_numpy()).view(dtype)
    if column.null_count:
        raise SerializationError(f"A column of dtype {dtype} has missing values.")
    return np.asarray(column.to_numpy(zero_copy_only=False)).astype(dtype, copy=False)


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
        elements = chunk.values
        for start, stop in pairwise(chunk.offsets.to_numpy().tolist()):
            yield elements.slice(start, stop - start)
