"""What can be seen of a value beside its content, so that two values can be compared across processes.

`canonical_hash` leaves out what two saves of one record may differ in (a pandas time unit, the storage of
text, a RangeIndex or an index of integers). One save has to bring back that as well: it is in the look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scidb.hashing.ids import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["look"]


def look(value: object) -> Any:
    """Return everything that can be seen of a value, as JSON types: equal for values that are the same.

    Byte order, strides and chunks are left out, which no value keeps.

    Examples
    --------
    >>> look(np.arange(3)) == look(np.arange(3))
    True
    >>> look(np.arange(3)) == look([0, 1, 2]), look(1) == look(True)
    (False, False)

    """
    return [_shape(value), content_hash(value)]


def _shape(value: Any) -> Any:
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    describe = _BY_TYPE.get(kind) or _BY_NAME.get(name)
    return [name, *(describe(value) if describe else ())]


def _items(value: Any) -> list[Any]:
    return [_shape(item) for item in value]


def _mapping(value: Any) -> list[Any]:
    return [[_shape(key), content_hash(key), _shape(item)] for key, item in value.items()]


def _array(value: Any) -> list[Any]:
    inside = _items(value.ravel().tolist()) if value.dtype == object else []
    return [str(value.dtype.newbyteorder("=")), list(value.shape), inside]


def _masked_array(value: Any) -> list[Any]:
    # Fields may be masked one by one, and a mask of all False is as good as none.
    return [*_array(value.data), _array(np.ma.getmaskarray(value)), str(value.fill_value), bool(value.hardmask)]


def _index(value: Any) -> list[Any]:
    if isinstance(value, pd.MultiIndex):
        levels = [_shape(value.get_level_values(number)) for number in range(value.nlevels)]
        return [[_shape(name) for name in value.names], levels]
    frequency = getattr(value, "freqstr", None)
    bounds = [value.start, value.stop, value.step] if isinstance(value, pd.RangeIndex) else []
    return [_dtype(value.dtype), _shape(value.name), frequency, bounds, _objects(value)]


def _objects(value: Any) -> list[Any]:
    return _items(value.tolist()) if value.dtype == object else []


def _dtype(dtype: Any) -> Any:
    if isinstance(dtype, pd.CategoricalDtype):
        return ["category", dtype.ordered, _shape(dtype.categories)]
    storage = getattr(dtype, "storage", None)
    missing = repr(getattr(dtype, "na_value", None)) if storage else None
    return [str(dtype), storage, missing]


def _series(value: Any) -> list[Any]:
    return [
        _dtype(value.dtype), _shape(value.name), _shape(value.index), _objects(value), _mapping(value.attrs),
        value.flags.allows_duplicate_labels,
    ]  # fmt: skip


def _frame(value: Any) -> list[Any]:
    columns = [
        [_dtype(value.iloc[:, number].dtype), _objects(value.iloc[:, number])] for number in range(value.shape[1])
    ]
    labels = [_shape(value.columns), _shape(value.index)]
    return [columns, labels, _mapping(value.attrs), value.flags.allows_duplicate_labels]


def _polars_frame(value: Any) -> list[Any]:
    return [[column, str(dtype)] for column, dtype in value.schema.items()]


def _variable(value: Any) -> list[Any]:
    return [list(map(str, value.dims)), _shape(value.values), _mapping(value.attrs)]


def _data_array(value: Any) -> list[Any]:
    coordinates = [[str(name), _variable(one.variable)] for name, one in value.coords.items()]
    indexed = sorted(map(str, value.indexes))
    return [_shape(value.name), *_variable(value.variable), coordinates, indexed]


def _dataset(value: Any) -> list[Any]:
    parts = [[str(name), _variable(one)] for name, one in value.variables.items()]
    return [parts, sorted(map(str, value.indexes)), list(map(str, value.data_vars)), _mapping(value.attrs)]


_BY_TYPE: dict[type, Callable[[Any], list[Any]]] = {
    list: _items,
    tuple: _items,
    dict: _mapping,
    np.ndarray: _array,
    np.ma.MaskedArray: _masked_array,
    pd.Series: _series,
    pd.DataFrame: _frame,
    **dict.fromkeys(
        (
            pd.Index,
            pd.RangeIndex,
            pd.MultiIndex,
            pd.DatetimeIndex,
            pd.TimedeltaIndex,
            pd.PeriodIndex,
            pd.CategoricalIndex,
            pd.IntervalIndex,
        ),
        _index,
    ),
}

# By name, so that these libraries need not be imported.
_BY_NAME: dict[str, Callable[[Any], list[Any]]] = {
    "collections.OrderedDict": _mapping,
    "polars.dataframe.frame.DataFrame": _polars_frame,
    "polars.series.series.Series": lambda value: [str(value.name), str(value.dtype)],
    "pyarrow.lib.Table": lambda value: [str(value.schema), value.num_rows],
    "pyarrow.lib.RecordBatch": lambda value: [str(value.schema), value.num_rows],
    "xarray.core.dataarray.DataArray": _data_array,
    "xarray.core.dataset.Dataset": _dataset,
    "xarray.core.variable.Variable": _variable,
}
