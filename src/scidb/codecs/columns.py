"""The columns of pandas objects as Arrow columns, and back with their exact pandas dtype.

A column keeps values that SQL can use: the label of a category, the instant (UTC) of a zoned time, NULL for
what is missing. Everything else about it is in its parameters.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scidb.codecs.base import Parameters, unsupported
from scidb.codecs.primitive import as_numpy, check_dtype, dtype_from_text, dtype_text, physical, to_arrow
from scidb.codecs.tagged import from_json, from_text, is_utf8, path_text, to_json, to_text
from scidb.codecs.zones import pandas_zone_from_json, pandas_zone_to_json
from scidb.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "column_from_arrow",
    "column_to_arrow",
    "describe_column",
    "frequency",
    "inline_index",
    "restore_index",
    "restore_inline_index",
    "values_of",
]

_MASKED: Final = {
    dtype.name: dtype
    for dtype in (
        pd.Int8Dtype(),
        pd.Int16Dtype(),
        pd.Int32Dtype(),
        pd.Int64Dtype(),
        pd.UInt8Dtype(),
        pd.UInt16Dtype(),
        pd.UInt32Dtype(),
        pd.UInt64Dtype(),
        pd.Float32Dtype(),
        pd.Float64Dtype(),
        pd.BooleanDtype(),
    )
}


def values_of(column: pd.Series | pd.Index) -> Any:
    """Return the array behind a column: numpy's own where pandas only wraps it."""
    array = column.array
    return np.asarray(array) if isinstance(column.dtype, np.dtype) else array


def describe_column(array: Any, *keys: object) -> Parameters:
    """Return what restores a column of this dtype; `keys` lead to it, for errors."""
    dtype = array.dtype
    if not isinstance(dtype, np.dtype):
        return _describe_extension(array, keys)
    if dtype.kind == "O":
        return _describe_objects(array)
    check_dtype(dtype, path_text(*keys))
    if dtype.kind == "c":
        raise unsupported("a column of complex numbers", path_text(*keys))
    return {"kind": "numpy", "dtype": dtype_text(dtype)}


def column_to_arrow(arrays: Sequence[Any], parameters: Parameters, *keys: object) -> pa.Array:
    """Return columns of one description end to end."""
    return _STORE[parameters["kind"]](arrays, parameters, keys)


def column_from_arrow(cell: pa.Array, parameters: Parameters) -> Any:
    """Return a column as an array of the dtype that it had."""
    return _RESTORE[parameters["kind"]](cell, parameters)


# ------------------------------------------------------------------ indexes


def inline_index(index: pd.Index, *keys: object) -> Parameters:
    """Return an index with its values as JSON types, for column labels and categories."""
    if isinstance(index, pd.MultiIndex):
        levels = [index.get_level_values(level) for level in range(index.nlevels)]
        return {"levels": [inline_index(level, *keys) for level in levels]}
    name = to_json(index.name)
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "name": name}
    array = values_of(index)
    column = describe_column(array, *keys)
    values = _plain_list(column_to_arrow([array], column, *keys))
    return {"column": column, "values": to_json(values), "name": name, **frequency(index)}


def restore_inline_index(data: Parameters) -> pd.Index:
    """Restore an index from its JSON types."""
    if "levels" in data:
        levels = [restore_inline_index(level) for level in data["levels"]]
        return pd.MultiIndex.from_arrays(levels, names=[level.name for level in levels])
    if "range" in data:
        return pd.RangeIndex(*data["range"], name=from_json(data["name"]))
    return restore_index(column_from_arrow(_inline_column(data), data["column"]), data)


def frequency(index: pd.Index) -> Parameters:
    """Return the frequency of an index of times as a parameter, if it has one."""
    times = isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex)
    return {"freq": index.freqstr} if times and index.freq is not None else {}


def restore_index(array: Any, parameters: Parameters) -> pd.Index:
    """Return an array as an index with its name and frequency."""
    index = pd.Index(array, dtype=array.dtype, name=from_json(parameters["name"]), copy=False)
    if "freq" in parameters:
        try:
            index.freq = parameters["freq"]
        except ValueError:
            # Another pandas spells the frequency otherwise; the values are the same without it.
            index.freq = None
    return index


def _inline_column(data: Parameters) -> pa.Array:
    if "range" in data:
        return pa.array(np.arange(*data["range"], dtype=np.int64))
    return _from_plain_list(from_json(data["values"]), data["column"])


def _plain_list(values: pa.Array) -> list[Any]:
    plain = values.view(pa.int64()) if pa.types.is_timestamp(values.type) else values
    items: list[Any] = plain.to_pylist()
    return items


def _from_plain_list(items: list[Any], parameters: Parameters) -> pa.Array:
    column = _column_type(parameters)
    plain = pa.int64() if pa.types.is_timestamp(column) else column
    return pa.array(items, plain).view(column)


# ------------------------------------------------------------------ what a column is


def _describe_extension(array: Any, keys: tuple[object, ...]) -> Parameters:
    dtype = array.dtype
    described: Parameters
    if isinstance(dtype, pd.DatetimeTZDtype):
        zone = pandas_zone_to_json(dtype.tz, path_text(*keys))
        described = {"kind": "datetime", "unit": dtype.unit, "zone": zone}
    elif isinstance(dtype, pd.StringDtype):
        kind = "string" if dtype.na_value is pd.NA else "str"
        described = {"kind": kind, "storage": dtype.storage}
    elif isinstance(dtype, pd.CategoricalDtype):
        categories = inline_index(dtype.categories, *keys)
        described = {"kind": "categorical", "ordered": bool(dtype.ordered), "categories": categories}
    elif isinstance(dtype, pd.PeriodDtype):
        described = {"kind": "period", "dtype": dtype.name}
    elif isinstance(dtype, pd.IntervalDtype):
        sides = describe_column(values_of(array.left), *keys)
        described = {"kind": "interval", "sides": sides, "closed": dtype.closed}
    elif dtype.name in _MASKED and dtype == _MASKED[dtype.name]:
        described = {"kind": "masked", "dtype": dtype.name}
    else:
        raise unsupported(f"a column of dtype {dtype}", path_text(*keys))
    return described


def _describe_objects(array: NDArray[np.object_]) -> Parameters:
    cells = array.tolist()
    kinds = set(map(type, cells))
    # Text with lone surrogates has no column type; each cell is tagged JSON then.
    if kinds <= {str, type(None)} and is_utf8("".join(filter(None, cells))):
        return {"kind": "text", "missing": "None"}
    if kinds <= {str, float}:
        words = [cell for cell in cells if type(cell) is str]
        numbers = [cell for cell in cells if type(cell) is float]
        if all(map(math.isnan, numbers)) and is_utf8("".join(words)):
            return {"kind": "text", "missing": "nan"}
    return {"kind": "objects"}


def _column_type(parameters: Parameters) -> pa.DataType:
    kind = parameters["kind"]
    if kind == "numpy":
        return physical(dtype_from_text(parameters["dtype"]))
    if kind == "datetime":
        return pa.timestamp(parameters["unit"])
    if kind == "masked":
        name = "bool" if parameters["dtype"] == "boolean" else parameters["dtype"].lower()
        return physical(np.dtype(name))
    if kind == "categorical":
        return _inline_column(parameters["categories"]).type
    return pa.int64() if kind == "period" else pa.large_string()


# ------------------------------------------------------------------ storing, one kind at a time


def _store_numpy(arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> pa.Array:  # noqa: ARG001
    return to_arrow([np.asarray(array) for array in arrays], path_text(*keys))


def _store_datetime(arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> pa.Array:  # noqa: ARG001
    return to_arrow([np.asarray(array.tz_convert("UTC").tz_localize(None)) for array in arrays])


def _store_masked_or_text(arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> pa.Array:
    column = _column_type(parameters)
    try:
        parts = [pa.array(array, column, from_pandas=parameters["kind"] == "text") for array in arrays]
    except UnicodeEncodeError:
        raise unsupported("text with lone surrogates", path_text(*keys)) from None
    return _end_to_end([part.combine_chunks() if isinstance(part, pa.ChunkedArray) else part for part in parts])


def _end_to_end(parts: Sequence[pa.Array]) -> pa.Array:
    return pa.concat_arrays(parts) if len(parts) > 1 else parts[0]


def _store_objects(arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> pa.Array:  # noqa: ARG001
    texts = [to_text(cell, *keys, row) for array in arrays for row, cell in enumerate(array)]
    return pa.array(texts, pa.large_string())


def _store_categorical(arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> pa.Array:  # noqa: ARG001
    codes = np.concatenate([np.asarray(array.codes, np.int64) for array in arrays])
    return _inline_column(parameters["categories"]).take(pa.array(codes, mask=codes < 0))


def _store_period(arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> pa.Array:  # noqa: ARG001
    return _end_to_end([pa.array(array.asi8, mask=array.isna()) for array in arrays])


def _store_interval(arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> pa.Array:
    sides = parameters["sides"]
    left = column_to_arrow([values_of(array.left) for array in arrays], sides, *keys)
    right = column_to_arrow([values_of(array.right) for array in arrays], sides, *keys)
    pairs = zip(_plain_list(left), _plain_list(right), strict=True)
    return pa.array([to_text([low, high]) for low, high in pairs], pa.large_string())


_STORE: Final[dict[str, Callable[[Sequence[Any], Parameters, tuple[object, ...]], pa.Array]]] = {
    "numpy": _store_numpy,
    "datetime": _store_datetime,
    "text": _store_masked_or_text,
    "objects": _store_objects,
    "string": _store_masked_or_text,
    "str": _store_masked_or_text,
    "masked": _store_masked_or_text,
    "categorical": _store_categorical,
    "period": _store_period,
    "interval": _store_interval,
}


# ------------------------------------------------------------------ restoring, one kind at a time


def _restore_numpy(cell: pa.Array, parameters: Parameters) -> NDArray[Any]:
    return np.array(as_numpy(cell, dtype_from_text(parameters["dtype"])))


def _restore_datetime(cell: pa.Array, parameters: Parameters) -> Any:
    instants = pd.DatetimeIndex(np.array(as_numpy(cell, np.dtype(f"M8[{parameters['unit']}]"))))
    return instants.tz_localize("UTC").tz_convert(pandas_zone_from_json(parameters["zone"])).array


def _restore_text(cell: pa.Array, parameters: Parameters) -> NDArray[np.object_]:
    whole = np.array(cell.to_numpy(zero_copy_only=False), object)
    if cell.null_count and parameters["missing"] == "nan":
        whole[cell.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return whole


def _restore_objects(cell: pa.Array, parameters: Parameters) -> NDArray[np.object_]:  # noqa: ARG001
    # numpy.array would make a table of equally long tuples.
    return np.fromiter(map(from_text, cell.to_pylist()), object, len(cell))


def _restore_string(cell: pa.Array, parameters: Parameters) -> Any:
    missing = pd.NA if parameters["kind"] == "string" else np.nan
    try:
        dtype = pd.StringDtype(parameters["storage"], na_value=missing)
    except TypeError:
        # pandas 2.2 has only the dtype whose missing value is NA, and keeps other text as objects.
        if parameters["kind"] == "str":
            return _restore_text(cell, {"missing": "nan"})
        dtype = pd.StringDtype(parameters["storage"])
    return dtype.__from_arrow__(cell.cast(pa.large_string()))


def _restore_masked(cell: pa.Array, parameters: Parameters) -> Any:
    return _MASKED[parameters["dtype"]].__from_arrow__(cell)


def _restore_categorical(cell: pa.Array, parameters: Parameters) -> pd.Categorical:
    categories = _inline_column(parameters["categories"])
    codes = pc.index_in(cell.cast(categories.type), value_set=categories)
    if codes.null_count != cell.null_count:
        raise SerializationError("A categorical column has values that are not among its categories.")
    dtype = pd.CategoricalDtype(restore_inline_index(parameters["categories"]), parameters["ordered"])
    return pd.Categorical.from_codes(np.array(codes.fill_null(-1)), dtype=dtype)


def _restore_period(cell: pa.Array, parameters: Parameters) -> Any:
    # Its NaT is the one of numpy's times.
    ordinals = np.array(as_numpy(cell, np.dtype("m8[ns]"))).view(np.int64)
    return pd.arrays.PeriodArray(ordinals, dtype=pd.api.types.pandas_dtype(parameters["dtype"]))


def _restore_interval(cell: pa.Array, parameters: Parameters) -> Any:
    pairs = [from_text(text) for text in cell.to_pylist()]
    sides = parameters["sides"]
    left = column_from_arrow(_from_plain_list([low for low, _ in pairs], sides), sides)
    right = column_from_arrow(_from_plain_list([high for _, high in pairs], sides), sides)
    return pd.arrays.IntervalArray.from_arrays(left, right, closed=parameters["closed"])


_RESTORE: Final[dict[str, Callable[[pa.Array, Parameters], Any]]] = {
    "numpy": _restore_numpy,
    "datetime": _restore_datetime,
    "text": _restore_text,
    "objects": _restore_objects,
    "string": _restore_string,
    "str": _restore_string,
    "masked": _restore_masked,
    "categorical": _restore_categorical,
    "period": _restore_period,
    "interval": _restore_interval,
}
