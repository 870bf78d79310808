"""Row and column labels: indexes as JSON types, their frequencies, and categories."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scidb.codecs.columns import (
    ColumnKind,
    column_from_arrow,
    column_to_arrow,
    compared_with,
    describe_column,
    values_of,
)
from scidb.codecs.contents import Compared
from scidb.codecs.tagged import from_json, to_json
from scidb.exceptions import SerializationError, UnsupportedValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.codecs.base import Parameters

__all__ = [
    "CategoricalColumn",
    "describe_levels",
    "frequency",
    "inline_index",
    "level_values",
    "restore_index",
    "restore_inline_index",
    "restore_levels",
]

# Columns whose values are themselves the labels that one would look for in SQL.
_NATURAL: Final = ("numpy", "masked", "text", "str", "datetime", "arrow", "objects")
_INLINE: Final = {
    str(kind): kind
    for kind in (
        *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float32(), pa.float64()),
        *(pa.large_string(), pa.large_binary(), pa.date32(), pa.time64("us")),
        *map(pa.timestamp, ("s", "ms", "us", "ns")),
    )
}


# ------------------------------------------------------------------ indexes


def inline_index(index: pd.Index, *keys: object) -> Parameters:
    """Return an index with its values as JSON types, for column labels and categories."""
    if isinstance(index, pd.MultiIndex):
        inline = [inline_index(level_values(index, level), *keys) for level in range(index.nlevels)]
        return {"inline": inline, **describe_levels(index)}
    name = to_json(index.name)
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "name": name}
    array = values_of(index)
    column = describe_column(array, *keys)
    parts = [_plain_list(part) for part in column_to_arrow([array], column, *keys)]
    return {"column": column, "parts": parts, "name": name, **frequency(index)}


def restore_inline_index(data: Parameters) -> pd.Index:
    """Restore an index from its JSON types."""
    if "inline" in data:
        columns = [restore_inline_index(level) for level in data["inline"]]
        return restore_levels(columns, [column.name for column in columns], data)
    if "range" in data:
        return pd.RangeIndex(*data["range"], name=from_json(data["name"]))
    return restore_index(column_from_arrow(_inline_parts(data), data["column"]), data)


def restore_index(array: Any, parameters: Parameters) -> pd.Index:
    """Return an array as an index with its name and frequency."""
    index = pd.Index(array, dtype=array.dtype, name=from_json(parameters["name"]), copy=False)
    if "freq" in parameters:
        try:
            index.freq = _offset(parameters["freq"])
        except (TypeError, ValueError):
            # Another pandas has or spells the frequency otherwise; the values are the same without it.
            index.freq = None
    return index


def level_values(index: pd.MultiIndex, level: int) -> pd.Index:
    """Return the labels of a level by its position, which pandas takes for a name where a level has such a name."""
    bare = index.set_names([None] * index.nlevels)
    return bare.get_level_values(level).rename(index.names[level])


def describe_levels(index: pd.MultiIndex) -> Parameters:
    """Return what the values of the levels do not say: which are ranges, which have a frequency."""
    levels = [
        {"range": [level.start, level.stop, level.step]} if isinstance(level, pd.RangeIndex) else frequency(level)
        for level in index.levels
    ]
    return {"levels": levels} if any(levels) else {}


def restore_levels(columns: Sequence[pd.Index], names: Sequence[Any], parameters: Parameters) -> pd.MultiIndex:
    """Return columns of labels as the levels of one index."""
    index = pd.MultiIndex.from_arrays(columns, names=[None] * len(names))
    for level, said in enumerate(parameters.get("levels", [])):
        labels = index.levels[level]
        if "range" in said:
            codes = pd.RangeIndex(*said["range"]).get_indexer(columns[level])
            index = index.set_levels(pd.RangeIndex(*said["range"]), level=level, verify_integrity=False)
            index = index.set_codes(codes, level=level)
        elif said:
            # It does not fit where some of the labels are not used.
            regular = restore_index(labels.array, {"name": None, **said})
            index = index.set_levels(regular, level=level)
    return index.set_names(names)


def _inline_parts(data: Parameters) -> list[pa.Array]:
    if "range" in data:
        return [pa.array(np.arange(*data["range"], dtype=np.int64))]
    return [_from_plain_list(part) for part in data["parts"]]


def _plain_list(values: pa.Array) -> Parameters:
    # Times as integers, because Python's have no nanoseconds, nor all years.
    temporal = pa.types.is_temporal(values.type)
    plain = values.view(_integer(values.type)) if temporal else values
    return {"type": str(values.type), "values": to_json(plain.to_pylist())}


def _from_plain_list(part: Parameters) -> pa.Array:
    kind = _INLINE[part["type"]]
    items = from_json(part["values"])
    return pa.array(items, _integer(kind)).view(kind) if pa.types.is_temporal(kind) else pa.array(items, kind)


def _integer(kind: pa.DataType) -> pa.DataType:
    return pa.int32() if kind.bit_width == 32 else pa.int64()


# ------------------------------------------------------------------ frequencies


def frequency(index: pd.Index) -> Parameters:
    """Return the frequency of an index of times as a parameter, if it has one.

    Examples
    --------
    >>> frequency(pd.date_range("2020", periods=3, freq="2h"))
    {'freq': '2h'}

    """
    if not isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) or index.freq is None:
        return {}
    offset: Any = index.freq
    try:
        if pd.tseries.frequencies.to_offset(index.freqstr) == offset and not offset.normalize:
            return {"freq": index.freqstr}
    except ValueError:
        pass  # an offset that no text stands for
    if type(offset) is not getattr(pd.offsets, type(offset).__name__, None):
        return {}
    # The calendar is made of the others.
    words = {key: word for key, word in offset.kwds.items() if key != "calendar"}
    try:
        return {
            "freq": {
                "offset": type(offset).__name__,
                "n": offset.n,
                "normalize": offset.normalize,
                "words": to_json(words),
            }
        }
    except UnsupportedValueError:
        return {}


def _offset(said: str | Parameters) -> Any:
    if isinstance(said, str):
        return said
    kind = getattr(pd.offsets, said["offset"], None)
    if not (isinstance(kind, type) and issubclass(kind, pd.offsets.BaseOffset)):
        raise SerializationError(f"There is no frequency {said['offset']!r}.")
    return kind(said["n"], normalize=said["normalize"], **from_json(said["words"]))


# ------------------------------------------------------------------ categories


class CategoricalColumn(ColumnKind):
    """Categories as their labels, so that SQL needs no second table."""

    name = "categorical"

    def describe(self, array: Any, keys: tuple[object, ...]) -> Parameters | None:
        """Return the categories and their order."""
        dtype = array.dtype
        if not isinstance(dtype, pd.CategoricalDtype):
            return None
        categories = inline_index(dtype.categories, *keys)
        described = {"ordered": bool(dtype.ordered), "categories": categories}
        if "range" not in categories and categories["column"]["kind"] not in _NATURAL:
            described["labels"] = _labels(dtype.categories)
        return described

    def compared(self, parameters: Parameters) -> Compared | None:
        """Return what the labels are compared with; the order of categories is not the one of their labels."""
        categories = parameters["categories"]
        if "labels" in parameters:
            return Compared("text", ordered=False)
        labels = Compared("number") if "range" in categories else compared_with(categories["column"])
        return replace(labels, ordered=False) if labels else None

    def store(self, arrays: Sequence[Any], parameters: Parameters, keys: tuple[object, ...]) -> list[pa.Array]:  # noqa: ARG002
        """Return the label of each row."""
        codes = np.concatenate([np.asarray(array.codes, np.int64) for array in arrays])
        missing = codes < 0
        return [_lookup(parameters).take(pa.array(codes, mask=missing if missing.any() else None))]

    def restore(self, parts: Sequence[pa.Array], parameters: Parameters) -> pd.Categorical:
        """Find each label among the categories."""
        lookup, (cell,) = _lookup(parameters), parts
        codes = pc.index_in(cell.cast(lookup.type), value_set=lookup)
        if codes.null_count != cell.null_count:
            raise SerializationError("A categorical column has values that are not among its categories.")
        dtype = pd.CategoricalDtype(restore_inline_index(parameters["categories"]), parameters["ordered"])
        narrow = codes.cast(_code_type(len(lookup)))
        return pd.Categorical.from_codes(np.array(narrow.fill_null(-1)), dtype=dtype, validate=False)


def _code_type(count: int) -> pa.DataType:
    """Return the type in which pandas keeps the codes of so many categories, so that it need not convert them."""
    sizes = ((2**7, pa.int8()), (2**15, pa.int16()))
    return next((kind for limit, kind in sizes if count < limit), pa.int32())


def _lookup(parameters: Parameters) -> pa.Array:
    if "labels" in parameters:
        return pa.array(parameters["labels"], pa.large_string())
    return _inline_parts(parameters["categories"])[0]


def _labels(categories: pd.Index) -> list[str]:
    texts = [str(category) for category in categories]
    unique = len(set(texts)) == len(texts)
    return texts if unique else [f"{position} {text}" for position, text in enumerate(texts)]
