"""DataFrames, Series and Indexes of pandas: one list element per row, the index stored beside the columns.

Frames with the same columns, dtypes and kind of index share an encoding whatever their length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import pandas as pd
import pyarrow as pa

from scidb.codecs.base import Codec, Parameters
from scidb.codecs.columns import (
    column_from_arrow,
    column_to_arrow,
    describe_column,
    frequency,
    inline_index,
    restore_index,
    restore_inline_index,
    values_of,
)
from scidb.codecs.primitive import cells, lists
from scidb.codecs.tagged import from_json, from_text, to_json, to_text
from scidb.store.names import unique_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FrameCodec"]

_RANGE_COLUMN: Final[Parameters] = {"kind": "numpy", "dtype": "int64"}


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

    def describe(self, value: object) -> Parameters:
        """Return labels, dtypes, the kind of index, and the physical column names."""
        parameters: Parameters
        if isinstance(value, pd.DataFrame):
            parameters = {"type": "frame", "labels": inline_index(value.columns, "columns")}
            named, index = list(value.items()), value.index
        elif isinstance(value, pd.Series):
            parameters = {"type": "series", "name": to_json(value.name)}
            named, index = [("value" if value.name is None else value.name, value)], value.index
        else:
            parameters, named, index = {"type": "index"}, [], value
        if isinstance(value, pd.DataFrame | pd.Series) and value.attrs:
            parameters["attrs"] = to_text(value.attrs, "attrs")
        keyed = isinstance(value, pd.DataFrame)
        parameters["columns"] = [
            describe_column(values_of(column), *([label] if keyed else [])) for label, column in named
        ]
        parameters["index"] = _describe_index(index, alone=not named)
        data = [_text(label) for label, _ in named]
        levels = [_text(name) or fallback for name, fallback in _level_names(index)]
        stored = levels[: len(parameters["index"]["columns"])]
        parameters["physical"] = unique_columns([*data, *stored])
        return parameters

    def encode(self, values: Sequence[Any], parameters: Parameters) -> pa.Table:
        """Return one row of lists per value: the index first, then the columns."""
        lengths = [len(value) for value in values]
        data = [_columns(value) for value in values]
        levels = [_stored_levels(value if isinstance(value, pd.Index) else value.index) for value in values]
        labels = [label for label, _ in data[0]] if parameters["type"] == "frame" else []
        table: dict[str, pa.Array] = {}
        names = parameters["physical"]
        columns = parameters["columns"]
        for level, column in enumerate(parameters["index"]["columns"]):
            flat = column_to_arrow([own[level] for own in levels], column, "index")
            table[names[len(columns) + level]] = lists(flat, lengths)
        for position, column in enumerate(columns):
            keys = labels[position : position + 1]
            flat = column_to_arrow([own[position][1] for own in data], column, *keys)
            table[names[position]] = lists(flat, lengths)
        return pa.table(table)

    def decode(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        """Return frames whose columns own their memory."""
        descriptions = [*parameters["columns"], *parameters["index"]["columns"]]
        by_column = [cells(table.column(name)) for name in parameters["physical"]]
        labels = restore_inline_index(parameters["labels"]) if "labels" in parameters else None
        name = from_json(parameters.get("name"))
        restored = []
        for row in zip(*by_column, strict=True):
            arrays = [column_from_arrow(cell, own) for cell, own in zip(row, descriptions, strict=True)]
            width = len(parameters["columns"])
            index = _restore_index(arrays[width:], parameters["index"], len(row[0]))
            value: Any = index
            if labels is not None:
                value = _frame(arrays[:width], index)
                value.columns = labels
            elif parameters["type"] == "series":
                value = pd.Series(arrays[0], index, dtype=arrays[0].dtype, name=name, copy=False)
            if "attrs" in parameters:
                value.attrs = from_text(parameters["attrs"])
            restored.append(value)
        return restored

    def nbytes(self, values: Sequence[Any], table: pa.Table) -> tuple[int, ...]:
        """Return the size of each row of the table."""
        if len(values) == 1:
            return (table.nbytes,)
        return tuple(table.slice(position, 1).nbytes for position in range(len(values)))


def _columns(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, pd.DataFrame):
        return [(label, values_of(column)) for label, column in value.items()]
    return [(value.name, values_of(value))] if isinstance(value, pd.Series) else []


def _frame(arrays: Sequence[Any], index: pd.Index) -> pd.DataFrame:
    # pandas 3 would look for text in arrays of objects; a Series of dtype object is left alone.
    columns = {
        position: pd.Series(array, index, dtype=object, copy=False) if array.dtype == object else array
        for position, array in enumerate(arrays)
    }
    return pd.DataFrame(columns, index=index, copy=False)


def _text(label: Any) -> str:
    if label is None:
        return ""
    return "_".join(map(str, label)) if isinstance(label, tuple) else str(label)


# ------------------------------------------------------------------ the row index


def _level_names(index: pd.Index) -> list[tuple[Any, str]]:
    if isinstance(index, pd.MultiIndex):
        return [(name, f"level_{level}") for level, name in enumerate(index.names)]
    return [(index.name, "index")]


def _stored_levels(index: pd.Index) -> list[Any]:
    if isinstance(index, pd.MultiIndex):
        return [values_of(index.get_level_values(level)) for level in range(index.nlevels)]
    return [values_of(index)]


def _describe_index(index: pd.Index, *, alone: bool) -> Parameters:
    if isinstance(index, pd.MultiIndex):
        columns = [describe_column(level, "index") for level in _stored_levels(index)]
        return {"columns": columns, "names": [to_json(name) for name in index.names]}
    name = to_json(index.name)
    if isinstance(index, pd.RangeIndex):
        # Without any column nothing would say how long it is.
        return {"columns": [_RANGE_COLUMN] if alone else [], "range": [index.start, index.step], "name": name}
    return {"columns": [describe_column(values_of(index), "index")], "name": name, **frequency(index)}


def _restore_index(arrays: Sequence[Any], parameters: Parameters, length: int) -> pd.Index:
    if "names" in parameters:
        levels = [pd.Index(array, dtype=array.dtype, copy=False) for array in arrays]
        names = [from_json(name) for name in parameters["names"]]
        return pd.MultiIndex.from_arrays(levels, names=names)
    if "range" in parameters:
        start, step = parameters["range"]
        return pd.RangeIndex(start, start + step * length, step, name=from_json(parameters["name"]))
    return restore_index(arrays[0], parameters)
