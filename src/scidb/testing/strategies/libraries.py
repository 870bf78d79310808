"""Strategies for values of polars, pyarrow and xarray; each needs its library, as SciDB's extras bring it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from scidb.extras import require
from scidb.testing.strategies.arrays import dtypes
from scidb.testing.strategies.plain import TIME_UNITS, TIME_ZONES

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["arrow_columns", "arrow_tables", "data_arrays", "datasets", "polars_frames", "polars_series"]

_DIMENSIONS = ("time", "channel", "trial")


# ------------------------------------------------------------------ Arrow


@st.composite
def arrow_tables(draw: DrawFn) -> Any:
    """Return Arrow tables: flat and nested types, missing values, several chunks, names given twice."""
    length = draw(st.integers(0, 4))
    names = draw(st.lists(st.sampled_from(["a", "A", "row", "record_no", "", 'q"', "value"]), max_size=4))
    columns = [draw(arrow_columns(length)) for _ in names]
    table = pa.Table.from_arrays(columns, names=names)
    split = draw(st.integers(0, length)) if columns else 0
    return pa.concat_tables([table.slice(0, split), table.slice(split)]) if columns else table


@st.composite
def arrow_columns(draw: DrawFn, length: int) -> Any:
    """Return Arrow arrays of flat and nested types, with missing values."""
    kind, cells = draw(st.sampled_from(_ARROW_TYPES))
    return pa.array(draw(st.lists(st.none() | cells, min_size=length, max_size=length)), kind)


_SMALL = st.integers(-100, 100)
_WORDS = st.text(max_size=3)
_ARROW_TYPES: list[tuple[Any, SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    (pa.int8(), _SMALL),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.string(), _WORDS),
    (pa.large_string(), _WORDS),
    (pa.binary(), st.binary(max_size=3)),
    (pa.binary(2), st.binary(min_size=2, max_size=2)),
    (pa.decimal128(9, 2), st.decimals(-1000, 1000, places=2)),
    (pa.date32(), st.dates()),
    (pa.time64("us"), st.times()),
    (pa.duration("us"), st.timedeltas(dt.timedelta(days=-(10**8)), dt.timedelta(days=10**8))),
    (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["a", "b"])),
    (pa.list_(pa.int32()), st.lists(_SMALL, max_size=3)),
    (pa.list_(pa.float64(), 2), st.lists(st.floats(), min_size=2, max_size=2)),
    (pa.struct({"x": pa.int16(), "y": pa.string()}), st.fixed_dictionaries({"x": _SMALL, "y": _WORDS})),
    *((pa.timestamp(unit), st.integers(-(2**40), 2**40)) for unit in TIME_UNITS),
    *((pa.timestamp("us", zone), st.integers(-(2**40), 2**40)) for zone in TIME_ZONES),
]


# ------------------------------------------------------------------ polars


def polars_frames() -> SearchStrategy[Any]:
    """Return polars DataFrames of the dtypes that can be stored."""
    parametric = require("polars.testing.parametric", "polars")
    return parametric.dataframes(min_cols=0, max_cols=4, max_size=5, excluded_dtypes=_excluded())  # type: ignore[no-any-return]


def polars_series() -> SearchStrategy[Any]:
    """Return polars Series of the dtypes that can be stored."""
    parametric = require("polars.testing.parametric", "polars")
    return parametric.series(max_size=5, excluded_dtypes=_excluded())  # type: ignore[no-any-return]


def _excluded() -> list[Any]:
    """Return the dtypes that are refused: Python's objects, and types that a program registers."""
    polars = require("polars", "polars")
    return [getattr(polars, name) for name in ("Object", "Extension") if hasattr(polars, name)]


# ------------------------------------------------------------------ xarray


@st.composite
def data_arrays(draw: DrawFn) -> Any:
    """Return DataArrays with dims, coordinates with and without index, attrs and a name."""
    xarray = require("xarray", "xarray")
    sizes = draw(_sizes())
    values = draw(npst.arrays(draw(dtypes()), tuple(sizes.values())))
    coordinates = draw(_coordinates(sizes))
    name = draw(st.none() | st.sampled_from(["emg", ""]))
    return xarray.DataArray(_ns(values), coordinates, list(sizes), name=name, attrs=draw(_attrs()))


@st.composite
def datasets(draw: DrawFn) -> Any:
    """Return Datasets of variables over some of the same dims."""
    xarray = require("xarray", "xarray")
    sizes = draw(_sizes())
    variables = {}
    for name in draw(st.lists(st.sampled_from(["emg", "force", "t"]), max_size=3, unique=True)):
        dims = [dim for dim in sizes if draw(st.booleans())]
        values = draw(npst.arrays(draw(dtypes()), tuple(sizes[dim] for dim in dims)))
        variables[name] = (dims, _ns(values), draw(_attrs()))
    return xarray.Dataset(variables, draw(_coordinates(sizes)), draw(_attrs()))


def _sizes() -> SearchStrategy[dict[str, int]]:
    return st.lists(st.sampled_from(_DIMENSIONS), max_size=3, unique=True).flatmap(
        lambda dims: st.fixed_dictionaries({dim: st.integers(0, 3) for dim in dims})
    )


@st.composite
def _coordinates(draw: DrawFn, sizes: dict[str, int]) -> dict[str, Any]:
    coordinates: dict[str, Any] = {}
    for dim, size in sizes.items():
        kind = draw(st.sampled_from(["none", "numbers", "texts", "times", "beside"]))
        if kind == "numbers":
            coordinates[dim] = (dim, np.arange(size) * draw(st.sampled_from([1, 0.5])), draw(_attrs()))
        elif kind == "texts":
            coordinates[dim] = (dim, np.array([f"c{number}" for number in range(size)], "U4"))
        elif kind == "times":
            coordinates[dim] = (dim, pd.date_range("2020", periods=size, freq="s").to_numpy())
        elif kind == "beside":
            coordinates[f"of_{dim}"] = (dim, np.arange(size) + 10)
    if draw(st.booleans()):
        coordinates["height"] = draw(st.floats(0, 2))
    return coordinates


def _attrs() -> SearchStrategy[dict[str, Any]]:
    units = st.fixed_dictionaries({"units": st.sampled_from(["m", "mV"])})
    return st.just({}) | units | st.dictionaries(st.text(max_size=3), st.integers() | st.floats() | _WORDS, max_size=2)


def _ns(values: Any) -> Any:
    # xarray keeps the units of pandas only, and warns of others.
    kind = values.dtype.kind
    return values.astype(values.dtype.newbyteorder("=")).view("i8").view(f"{kind}8[ns]") if kind in "mM" else values
