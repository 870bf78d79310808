"""The columns of pandas objects as Arrow columns, and back with their exact pandas dtype.

A column keeps values that SQL can use: numbers, text, the label of a category, the instant (UTC) of a zoned
time, NULL for what is missing. Everything else about it is in its parameters. This module holds the registry
of the kinds of columns, and those of numbers; the siblings ``column_text``, ``column_times``, ``column_arrow``
and ``labels`` hold the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from scidb.codecs.base import Parameters, unsupported
from scidb.codecs.contents import Compared, dtype_compared
from scidb.codecs.primitive import as_numpy, can_be_kept, check_dtype, dtype_from_text, dtype_text, kept, to_arrow
from scidb.codecs.tagged import from_json, path_text, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "ColumnKind",
    "column_from_arrow",
    "column_kept",
    "column_to_arrow",
    "compared_with",
    "describe_column",
    "end_to_end",
    "suffixes",
    "values_of",
]


class ColumnKind(ABC):
    """One way of storing a column; defining a subclass registers it."""

    name: ClassVar[str]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        _KINDS[cls.name] = cls()

    @abstractmethod
    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:
        """Return what restores the column, or None if it is of another kind; `keys` lead to it, for errors."""

    def suffixes(self, parameters: Parameters) -> tuple[str, ...]:  # noqa: ARG002
        """Return one ending per physical column; a column that has only one has its own name."""
        return ("",)

    def compared(self, parameters: Parameters) -> Compared | None:  # noqa: ARG002
        """Return what a filter compares the physical column with; None if with nothing."""
        return None

    @abstractmethod
    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:
        """Return the physical columns of columns of one description, these end to end."""

    @abstractmethod
    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> Any:
        """Return one column from its physical ones."""


_KINDS: Final[dict[str, ColumnKind]] = {}


def describe_column(array: Any, *keys: object) -> Parameters:
    """Return what restores a column of this dtype; `keys` lead to it, for errors."""
    for name, kind in _KINDS.items():
        described = kind.describe(array, keys)
        if described is not None:
            return {"kind": name, **described}
    raise unsupported(f"a column of dtype {array.dtype}", path_text(*keys))


def suffixes(parameters: Parameters) -> tuple[str, ...]:
    """Return the endings of the physical columns' names."""
    return _KINDS[parameters["kind"]].suffixes(parameters)


def compared_with(parameters: Parameters) -> Compared | None:
    """Return what a filter compares a column of this description with; None if with nothing."""
    return _KINDS[parameters["kind"]].compared(parameters)


def column_to_arrow(arrays: Sequence[Any], parameters: Parameters, *keys: object) -> list[pa.Array]:
    """Return the physical columns of columns of one description, these end to end."""
    return _KINDS[parameters["kind"]].store(arrays, parameters, keys)


def column_from_arrow(parts: Sequence[pa.Array], parameters: Parameters) -> Any:
    """Return a column as an array of the dtype that it had."""
    return _KINDS[parameters["kind"]].restore(parts, parameters)


def column_kept(parts: Sequence[pa.Array], parameters: Parameters) -> Any:
    """Return a column as `column_from_arrow` does, of parts that nobody else holds; numbers keep their memory."""
    if parameters["kind"] == NumpyColumn.name:
        dtype = dtype_from_text(parameters["dtype"])
        if can_be_kept(dtype):
            return kept(parts[0], dtype)
    return column_from_arrow(parts, parameters)


def values_of(column: Any) -> Any:
    """Return the array behind a column: numpy's own where pandas only wraps it."""
    array = column if isinstance(column, pd.api.extensions.ExtensionArray) else column.array
    wraps = isinstance(column.dtype, np.dtype) or type(array) is pd.arrays.NumpyExtensionArray
    return np.asarray(array) if wraps else array


def end_to_end(parts: Sequence[Any]) -> pa.Array:
    """Return Arrow arrays as one."""
    whole = [part.combine_chunks() if isinstance(part, pa.ChunkedArray) else part for part in parts]
    return pa.concat_arrays(whole) if len(whole) > 1 else whole[0]


# ------------------------------------------------------------------ numbers


class NumpyColumn(ColumnKind):
    """Numbers, booleans, naive times and durations of numpy."""

    name = "numpy"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:
        """Return the dtype."""
        if not isinstance(array.dtype, np.dtype) or array.dtype.kind in "Oc":
            return None
        check_dtype(array.dtype, path_text(*keys))
        return {"dtype": dtype_text(array.dtype)}

    def compared(self, parameters: Parameters) -> Compared | None:
        """Return what numpy's values are compared with."""
        return dtype_compared(dtype_from_text(parameters["dtype"]))

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the values; a single contiguous array is not copied."""
        return [to_arrow([np.asarray(array) for array in arrays])]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> NDArray[Any]:
        """Return an array that owns its memory."""
        return np.array(as_numpy(parts[0], dtype_from_text(parameters["dtype"])))


class ComplexColumn(ColumnKind):
    """Complex numbers as two columns."""

    name = "complex"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:
        """Return the dtype."""
        if not isinstance(array.dtype, np.dtype) or array.dtype.kind != "c":
            return None
        check_dtype(array.dtype, path_text(*keys))
        return {"dtype": dtype_text(array.dtype)}

    def suffixes(self, parameters: Parameters) -> tuple[str, ...]:  # noqa: ARG002
        """Return the two parts of a complex number."""
        return ("_real", "_imag")

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the real and the imaginary parts."""
        return [to_arrow([array.real for array in arrays]), to_arrow([array.imag for array in arrays])]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> NDArray[Any]:
        """Join the two parts; not by arithmetic, which makes NaN of infinities."""
        dtype = dtype_from_text(parameters["dtype"])
        part = np.dtype(f"f{dtype.itemsize // 2}")
        whole = np.empty(len(parts[0]), dtype)
        whole.real, whole.imag = as_numpy(parts[0], part), as_numpy(parts[1], part)
        return whole


_MASKED: Final = {
    dtype.name: dtype
    for dtype in (
        *(pd.Int8Dtype(), pd.Int16Dtype(), pd.Int32Dtype(), pd.Int64Dtype()),
        *(pd.UInt8Dtype(), pd.UInt16Dtype(), pd.UInt32Dtype(), pd.UInt64Dtype()),
        *(pd.Float32Dtype(), pd.Float64Dtype(), pd.BooleanDtype()),
    )
}


class MaskedColumn(ColumnKind):
    """Nullable numbers and booleans; what is missing is NULL, which is not NaN."""

    name = "masked"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:  # noqa: ARG002
        """Return the dtype."""
        dtype = array.dtype
        return {"dtype": dtype.name} if dtype.name in _MASKED and dtype == _MASKED[dtype.name] else None

    def compared(self, parameters: Parameters) -> Compared | None:
        """Return what the values that are not missing are compared with."""
        return dtype_compared(_MASKED[parameters["dtype"]].numpy_dtype)

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the values with their validity."""
        return [end_to_end([pa.array(array) for array in arrays])]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> Any:
        """Return values and mask; not by way of pandas, which may take NaN for missing."""
        dtype: Any = _MASKED[parameters["dtype"]]
        (cell,) = parts
        missing = np.array(cell.is_null().to_numpy(zero_copy_only=False))
        if cell.null_count:
            filled = cell.fill_null(pa.scalar(0).cast(cell.type))
            values = column_kept([filled], {"kind": NumpyColumn.name, "dtype": dtype_text(dtype.numpy_dtype)})
        else:
            values = np.array(as_numpy(cell, dtype.numpy_dtype))
        return dtype.construct_array_type()(values, missing)


class SparseColumn(ColumnKind):
    """Sparse columns as their dense values, which a store compresses.

    A value that was kept although it is the fill value is not told apart from one that was not.
    """

    name = "sparse"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:
        """Return how the dense values are stored, the fill value, and the kind of index."""
        if not isinstance(array.dtype, pd.SparseDtype):
            return None
        if not _fits(array.dtype):
            raise unsupported(f"a column of dtype {array.dtype}", path_text(*keys))
        dense = _dense(array)
        fill = to_json(array.fill_value)
        return {"dense": describe_column(dense, *keys), "fill": fill, "index": array.kind}

    def suffixes(self, parameters: Parameters) -> tuple[str, ...]:
        """Return those of the dense column."""
        return suffixes(parameters["dense"])

    def compared(self, parameters: Parameters) -> Compared | None:
        """Return what the dense values are compared with."""
        return compared_with(parameters["dense"])

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:
        """Return the dense values."""
        return column_to_arrow([_dense(array) for array in arrays], parameters["dense"], *keys)

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> Any:
        """Leave out what is the fill value to the bit."""
        dense = column_from_arrow(parts, parameters["dense"])
        fill = from_json(parameters["fill"])
        points = ~_same_number(dense, np.array(fill).astype(dense.dtype))
        kind = parameters["index"]
        build: Any = pd.arrays.SparseArray
        if hasattr(build, "from_indices"):
            return build.from_indices(dense[points], np.flatnonzero(points), len(dense), fill, kind, dense.dtype)
        # pandas before 3.1 takes an index, which it has no other public way to make.
        index = build(points, fill_value=False, kind=kind).sp_index
        return build(dense[points], sparse_index=index, fill_value=fill, dtype=pd.SparseDtype(dense.dtype, fill))


def _fits(dtype: Any) -> bool:
    """Say whether the dense values of a sparse column have its dtype."""
    whole_with_nan = dtype.subtype.kind in "biu" and isinstance(dtype.fill_value, float | np.floating)
    return dtype.subtype.kind != "O" and not whole_with_nan


def _dense(array: Any) -> NDArray[Any]:
    return np.asarray(array, array.dtype.subtype)


def _same_number(values: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which values are the other one; NaN is NaN, and -0.0 is not 0.0."""
    if values.dtype.kind == "c":
        return _same_number(values.real, other.real) & _same_number(values.imag, other.imag)
    same: NDArray[np.bool_]
    if values.dtype.kind == "f":
        both_nan = np.isnan(values) & np.isnan(other)
        same = both_nan | ((values == other) & (np.signbit(values) == np.signbit(other)))
        return same
    if values.dtype.kind in "Mm":
        return _same_number(values.view(np.int64), other.view(np.int64))
    same = values == other
    return same
