"""DataFrames, Series, Indexes and arrays of pandas: one list element per row, the index beside the columns.

Frames with the same columns, dtypes and kind of index share an encoding whatever their length.
"""

from __future__ import annotations

import base64
import functools
import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pandas as pd
import pyarrow as pa

from scidb.codecs import column_arrow, column_text, column_times  # noqa: F401 - importing them registers their kinds
from scidb.codecs.base import Codec, Parameters, canonical_json
from scidb.codecs.column_text import from_stream, to_stream
from scidb.codecs.columns import (
    column_from_arrow,
    column_kept,
    column_to_arrow,
    compared_with,
    describe_column,
    suffixes,
    values_of,
)
from scidb.codecs.contents import Contents, StoredColumn, items, plain_label
from scidb.codecs.labels import (
    describe_levels,
    frequency,
    inline_index,
    level_values,
    restore_index,
    restore_inline_index,
    restore_levels,
)
from scidb.codecs.primitive import cells, lists
from scidb.codecs.tagged import from_json, from_text, to_json, to_text
from scidb.exceptions import UnsupportedValueError
from scidb.store.names import unique_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FrameCodec"]

_RANGE_COLUMN: Final[Parameters] = {"kind": "numpy", "dtype": "int64"}
_Column = tuple[Any, Any]


class FrameCodec(Codec):
    """One list element per row of the frame.

    A RangeIndex is in the parameters (its length is that of the lists), any other index in columns of its
    own. Labels are in the parameters, with the physical names beside them.
    """

    name = "frame"
    types: ClassVar[tuple[type, ...]] = (
        pd.DataFrame,
        pd.Series,
        pd.Index,
        pd.RangeIndex,
        pd.MultiIndex,
        pd.DatetimeIndex,
        pd.TimedeltaIndex,
        pd.PeriodIndex,
        pd.CategoricalIndex,
        pd.IntervalIndex,
    )

    def accepts(self, value: object) -> bool:
        """Take pandas's own arrays too; those of other packages are not known."""
        own = type(value).__module__.partition(".")[0] == "pandas"
        return own and isinstance(value, pd.api.extensions.ExtensionArray)

    def describe(self, value: object) -> Parameters:
        """Return labels, dtypes, the kind of index, and the physical column names."""
        parameters, named, index = _take_apart(value)
        keyed = isinstance(value, pd.DataFrame)
        parameters["columns"] = [describe_column(column, *([label] if keyed else [])) for label, column in named]
        stored: list[Any] = []
        if index is not None:
            parameters["index"] = _describe_index(index, alone=not named)
            stored = [name or fallback for name, fallback in _level_names(index)]
        names = [_text(label) for label, _ in named] + stored
        parameters["physical"] = unique_columns(
            [
                f"{name}{suffix}"
                for name, column in zip(names, _all_columns(parameters), strict=False)
                for suffix in suffixes(column)
            ]
        )
        return parameters

    def encode(self, values: Sequence[Any], parameters: Parameters) -> pa.Table:
        """Return one row of lists per value: the index first, then the columns."""
        lengths = [len(value) for value in values]
        taken = [_take_apart(value) for value in values]
        flat: list[pa.Array] = []
        labels = [[label] if parameters["type"] == "frame" else [] for label, _ in taken[0][1]]
        for position, column in enumerate(parameters["columns"]):
            flat += column_to_arrow([named[position][1] for _, named, _ in taken], column, *labels[position])
        for level, column in enumerate(_index_columns(parameters)):
            flat += column_to_arrow([_level(index, level) for _, _, index in taken], column, "index")
        width = sum(len(suffixes(column)) for column in parameters["columns"])
        named = [(name, lists(part, lengths)) for name, part in zip(parameters["physical"], flat, strict=True)]
        return pa.table(dict(named[width:] + named[:width]))

    def decode(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        """Return frames whose columns own their memory."""
        by_column = [cells(table.column(name)) for name in parameters["physical"]]
        return [_restore(row, parameters) for row in zip(*by_column, strict=True)]

    def adopt(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        """Return frames whose columns of numbers are in the memory of the table."""
        by_column = [cells(table.column(name)) for name in parameters["physical"]]
        return [_restore(row, parameters, column_kept) for row in zip(*by_column, strict=True)]

    def contents(self, parameters: Parameters) -> Contents:
        """Return the columns of a frame, or the one of a Series, an array or an index."""
        described, keyed = parameters["columns"], parameters["type"] == "frame"
        if parameters["type"] == "index":
            described = _index_columns(parameters)
            if len(described) != 1:
                return Contents("other")
        names = list(parameters["physical"])
        columns = []
        for label, column in zip(
            _labels(canonical_json(parameters["labels"])) if keyed else [None], described, strict=True
        ):
            width = len(suffixes(column))
            columns.append(StoredColumn(label, names[0], compared_with(column) if width == 1 else None))
            del names[:width]
        if keyed:
            return Contents("table", tuple(columns), tuple(names))
        return items(columns[0].compared, columns[0].name, tuple(names))

    def nbytes(self, values: Sequence[Any], table: pa.Table) -> tuple[int, ...]:
        """Return the size of each row of the table."""
        if len(values) == 1:
            return (table.nbytes,)
        return tuple(table.slice(position, 1).nbytes for position in range(len(values)))


# ------------------------------------------------------------------ taking apart and putting together


def _take_apart(value: Any) -> tuple[Parameters, list[_Column], pd.Index | None]:
    """Return the parameters of the whole, the columns with their labels, and the row index."""
    parameters: Parameters
    if isinstance(value, pd.Index):
        return {"type": "index"}, [], value
    if isinstance(value, pd.DataFrame):
        parameters = {"type": "frame", "labels": inline_index(value.columns, "columns")}
        # By position: some labels, such as NA, cannot be looked up.
        named = [(label, values_of(value.iloc[:, position])) for position, label in enumerate(value.columns)]
    elif isinstance(value, pd.Series):
        parameters = {"type": "series", "name": to_json(value.name)}
        named = [("value" if value.name is None else value.name, values_of(value))]
    else:
        wraps: Parameters = {"wraps": True} if type(value) is pd.arrays.NumpyExtensionArray else {}
        return {"type": "array", **wraps}, [("value", values_of(value))], None
    if value.attrs:
        parameters["attrs"] = _attrs_to_json(value.attrs)
    if not value.flags.allows_duplicate_labels:
        parameters["unique"] = True
    return parameters, named, value.index


def _restore(
    row: Sequence[pa.Array],
    parameters: Parameters,
    column_of: Callable[[Sequence[pa.Array], Parameters], Any] = column_from_arrow,
) -> Any:
    parts, arrays = list(row), []
    for column in _all_columns(parameters):
        width = len(suffixes(column))
        arrays.append(column_of(parts[:width], column))
        del parts[:width]
    data = arrays[: len(parameters["columns"])]
    if parameters["type"] == "array":
        return pd.arrays.NumpyExtensionArray(data[0]) if "wraps" in parameters else pd.array(data[0], copy=False)
    index = _restore_index(arrays[len(data) :], parameters["index"], len(row[0]))
    if parameters["type"] == "index":
        return index
    value: Any
    if parameters["type"] == "frame":
        value = _frame(data, index)
        value.columns = restore_inline_index(parameters["labels"])
    else:
        value = pd.Series(data[0], index, dtype=data[0].dtype, name=from_json(parameters["name"]), copy=False)
    if "attrs" in parameters:
        value.attrs = _attrs_from_json(parameters["attrs"])
    if "unique" in parameters:
        value.flags.allows_duplicate_labels = False
    return value


@functools.lru_cache(maxsize=256)
def _labels(said: str) -> tuple[object, ...]:
    """Return the labels of columns; many frames differ in everything else."""
    return tuple(map(plain_label, restore_inline_index(json.loads(said))))


def _all_columns(parameters: Parameters) -> list[Parameters]:
    return [*parameters["columns"], *_index_columns(parameters)]


def _index_columns(parameters: Parameters) -> list[Parameters]:
    columns: list[Parameters] = parameters["index"]["columns"] if "index" in parameters else []
    return columns


def _frame(arrays: Sequence[Any], index: pd.Index) -> pd.DataFrame:
    # pandas 3 would look for text in arrays of objects; a Series of dtype object is left alone.
    columns = {
        position: pd.Series(array, index, dtype=object, copy=False) if array.dtype == object else array
        for position, array in enumerate(arrays)
    }
    return pd.DataFrame(columns, index=index, copy=False)


def _attrs_to_json(attrs: dict[Any, Any]) -> str | list[str]:
    """Return attrs as text; in a list, as a stream, where a part of them has no JSON form."""
    try:
        return to_text(attrs, "attrs")
    except UnsupportedValueError:
        return [base64.b64encode(to_stream(attrs, "attrs")).decode()]


def _attrs_from_json(said: str | list[str]) -> Any:
    return from_text(said) if isinstance(said, str) else from_stream(base64.b64decode(said[0]))


def _text(label: Any) -> str:
    if label is None:
        return ""
    return "_".join(map(str, label)) if isinstance(label, tuple) else str(label)


# ------------------------------------------------------------------ the row index


def _level_names(index: pd.Index) -> list[tuple[str, str]]:
    if isinstance(index, pd.MultiIndex):
        return [(_text(name), f"level_{level}") for level, name in enumerate(index.names)]
    return [(_text(index.name), "index")]


def _level(index: Any, level: int) -> Any:
    return values_of(level_values(index, level) if isinstance(index, pd.MultiIndex) else index)


def _describe_index(index: pd.Index, *, alone: bool) -> Parameters:
    if isinstance(index, pd.MultiIndex):
        columns = [describe_column(_level(index, level), "index") for level in range(index.nlevels)]
        return {"columns": columns, "names": [to_json(name) for name in index.names], **describe_levels(index)}
    name = to_json(index.name)
    if isinstance(index, pd.RangeIndex):
        # Without any column nothing would say how long it is.
        return {"columns": [_RANGE_COLUMN] if alone else [], "range": [index.start, index.step], "name": name}
    return {"columns": [describe_column(values_of(index), "index")], "name": name, **frequency(index)}


def _restore_index(arrays: Sequence[Any], parameters: Parameters, length: int) -> pd.Index:
    if "names" in parameters:
        columns = [pd.Index(array, dtype=array.dtype, copy=False) for array in arrays]
        return restore_levels(columns, [from_json(name) for name in parameters["names"]], parameters)
    if "range" in parameters:
        start, step = parameters["range"]
        return pd.RangeIndex(start, start + step * length, step, name=from_json(parameters["name"]))
    return restore_index(arrays[0], parameters)
