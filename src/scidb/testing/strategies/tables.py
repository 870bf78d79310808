"""Strategies for what pandas has: frames, Series and Indexes of every dtype."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from scidb.testing.strategies.libraries import arrow_columns
from scidb.testing.strategies.plain import TIME_UNITS, TIME_ZONES, texts

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["frames", "indexes", "series"]


@st.composite
def series(draw: DrawFn, length: int | None = None) -> pd.Series:
    """Return a Series of any dtype that can be stored, with name and index."""
    length = draw(st.integers(0, 4)) if length is None else length
    values = draw(_columns(length))
    return pd.Series(values, index=draw(indexes(length)), dtype=values.dtype, name=draw(_labels()))


@st.composite
def indexes(draw: DrawFn, length: int | None = None) -> pd.Index:
    """Return row indexes: ranges, single columns of any dtype, and several levels."""
    length = draw(st.integers(0, 4)) if length is None else length
    kind = draw(st.sampled_from(["range", "range", "column", "levels"]))
    if kind == "range":
        start, step = draw(st.integers(-3, 3)), draw(st.sampled_from([1, 2, -1]))
        return pd.RangeIndex(start, start + step * length, step, name=draw(_labels()))
    if kind == "column":
        return _index(draw(_columns(length)), draw(_labels()))
    levels = [_index(draw(_levels(length)), None) for _ in range(draw(st.integers(1, 3)))]
    return pd.MultiIndex.from_arrays(levels, names=[draw(_labels()) for _ in levels])


@st.composite
def frames(draw: DrawFn) -> pd.DataFrame:
    """Return DataFrames, with no rows or no columns among them, and labels of any kind, also repeated."""
    length, width = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    index = draw(indexes(length))
    columns = {}
    for position in range(width):
        values = draw(_columns(length))
        columns[position] = pd.Series(values, index=index, dtype=values.dtype)
    frame = pd.DataFrame(columns, index=index)
    labels = draw(st.sampled_from(["text", "any", "index"]))
    if labels == "text":
        names = st.sampled_from(["a", "A", "row", "record_id", 'q"', ""])
        frame.columns = pd.Index(_items(draw, names, width))
    elif labels == "any":
        frame.columns = pd.Index(
            np.fromiter(_items(draw, _labels(), width), object, width), dtype=object, tupleize_cols=False
        )
    else:
        frame.columns = draw(indexes(width))
    if draw(st.booleans()):
        frame.attrs = draw(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2))
    return frame


# ------------------------------------------------------------------ parts of pandas objects


def _labels() -> SearchStrategy[Any]:
    names = st.sampled_from([None, "value", "Value", "index", "record_no"]) | texts()
    return names | st.integers(-9, 9) | st.floats(allow_nan=False) | st.tuples(st.text(max_size=2), st.integers())


def _index(values: Any, name: Any) -> pd.Index:
    dtype = values.dtype if values.dtype != np.float16 else np.dtype("float32")  # no index of half floats
    return pd.Index(values, dtype=dtype, name=name)


def _unit() -> SearchStrategy[str]:
    return st.sampled_from(TIME_UNITS)


def _columns(length: int) -> SearchStrategy[Any]:
    """Return arrays of a pandas dtype; numpy's own for those that numpy has."""
    return _levels(length) | _objects(length) | _sparse(length) | _arrow(length)


def _levels(length: int) -> SearchStrategy[Any]:
    """Return columns that can be a level of a MultiIndex: pandas sorts those, and warns of tuples among numbers."""
    kinds = (_numbers, _mixed, _texts, _masked, _strings, _categories, _times, _periods, _intervals)
    return st.one_of(*(kind(length) for kind in kinds))


def _items(draw: DrawFn, elements: SearchStrategy[Any], length: int) -> list[Any]:
    return draw(st.lists(elements, min_size=length, max_size=length))


def _missing(draw: DrawFn, length: int) -> np.ndarray[Any, Any]:
    return draw(npst.arrays(np.bool_, length))


@st.composite
def _numbers(draw: DrawFn, length: int) -> Any:
    names = ["bool", "int8", "uint64", "int64", "float16", "float32", "float64", "complex64", "complex128"]
    return draw(npst.arrays(np.dtype(draw(st.sampled_from(names))), length))


def _cells() -> SearchStrategy[Any]:
    return st.one_of(st.none(), st.integers(), st.floats(), texts(), st.booleans())


@st.composite
def _mixed(draw: DrawFn, length: int) -> Any:
    return np.fromiter(_items(draw, _cells(), length), object, length)


@st.composite
def _objects(draw: DrawFn, length: int) -> Any:
    return np.fromiter(_items(draw, _cells() | st.tuples(st.integers()), length), object, length)


@st.composite
def _texts(draw: DrawFn, length: int) -> Any:
    words = np.fromiter(_items(draw, st.text(max_size=4), length), object, length)
    words[_missing(draw, length)] = draw(st.sampled_from([None, np.nan]))
    return words


@st.composite
def _masked(draw: DrawFn, length: int) -> Any:
    name = draw(st.sampled_from(["Int8", "Int64", "UInt16", "Float32", "Float64", "boolean"]))
    plain = np.dtype("bool" if name == "boolean" else name.lower())
    elements = npst.from_dtype(plain, allow_nan=False) if plain.kind == "f" else npst.from_dtype(plain)
    column = pd.array(np.array(_items(draw, elements, length), plain), dtype=name)
    column[_missing(draw, length)] = pd.NA
    return column


@st.composite
def _strings(draw: DrawFn, length: int) -> Any:
    dtype = draw(st.sampled_from(["string", "string[python]", "string[pyarrow]"]))
    column = pd.array(np.array(_items(draw, st.text(max_size=4), length), object), dtype=dtype)
    column[_missing(draw, length)] = pd.NA
    return column


@st.composite
def _categories(draw: DrawFn, length: int) -> Any:
    words = st.lists(st.text(string.ascii_letters, max_size=2), min_size=1, max_size=4, unique=True)
    categories = draw(words | st.lists(st.integers(-9, 9), min_size=1, max_size=4, unique=True))
    codes = np.array(_items(draw, st.integers(-1, len(categories) - 1), length), np.int8)
    return pd.Categorical.from_codes(codes, categories, ordered=draw(st.booleans()))


@st.composite
def _times(draw: DrawFn, length: int) -> Any:
    unit = draw(_unit())
    # Years that every unit and every time zone can show.
    bound = 2**33 if unit == "s" else 2**40
    numbers = np.array(_items(draw, st.integers(-bound, bound), length), np.int64)
    numbers[_missing(draw, length)] = np.iinfo(np.int64).min  # NaT
    moments = numbers.view(f"M8[{unit}]")
    zone = draw(st.sampled_from([None, "length", *TIME_ZONES]))
    if zone is None:
        return moments
    if zone == "length":
        return moments.view(f"m8[{unit}]")
    return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(zone).array


@st.composite
def _periods(draw: DrawFn, length: int) -> Any:
    start = pd.Period("2020-01", draw(st.sampled_from(["D", "h", "M"])))
    return pd.period_range(start, periods=length).array


@st.composite
def _intervals(draw: DrawFn, length: int) -> Any:
    breaks = np.arange(length + 1) * draw(st.sampled_from([1, 0.5]))
    closed = draw(st.sampled_from(["left", "right", "both", "neither"]))
    return pd.arrays.IntervalArray.from_breaks(breaks, closed=closed)


@st.composite
def _sparse(draw: DrawFn, length: int) -> Any:
    values = draw(npst.arrays(np.dtype(draw(st.sampled_from(["int64", "float64"]))), length))
    return pd.arrays.SparseArray(values, fill_value=draw(st.sampled_from([0, 1])))


@st.composite
def _arrow(draw: DrawFn, length: int) -> Any:
    return pd.arrays.ArrowExtensionArray(draw(arrow_columns(length)))
