"""What codecs say of their columns to filters: names that are in the table, kinds that fit what stands there."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given

from scidb.codecs import Compared, contents, encode, physical_value
from scidb.exceptions import SerializationError
from scidb.testing.strategies import values

_DURATION: Final = Compared("timedelta", "ms")
_ZONED: Final = Compared("datetime with a time zone")


def _said(value: Any) -> tuple[str, dict[object, Compared | None]]:
    (part,) = encode([value])
    found = contents(part.encoding)
    named = [*(column.name for column in found.columns), *found.hidden]
    assert set(named) <= set(part.table.column_names)
    return found.form, {column.label: column.compared for column in found.columns}


@pytest.mark.parametrize(
    ("value", "form", "columns"),
    [
        (1, "single", {None: Compared("number")}),
        (None, "single", {None: Compared(None)}),
        (2**70, "single", {None: None}),
        (dt.timedelta(1), "single", {None: Compared("timedelta", "us")}),
        (np.array(1.5), "single", {None: Compared("number")}),
        (np.zeros(3), "items", {None: Compared("number")}),
        (np.array([1], "m8[ms]"), "items", {None: _DURATION}),
        (np.array([1], "m8[3ms]"), "items", {None: None}),
        (np.zeros((3, 2)), "other", {}),
        (np.zeros((3, 0)), "other", {}),
        (np.zeros(3, complex), "other", {}),
        ([1, 2], "other", {}),
        (pd.Series(["a"], name="n"), "items", {None: Compared("text")}),
        (pd.Index([1.5], name="n"), "items", {None: Compared("number")}),
        (pd.RangeIndex(3), "items", {None: Compared("number")}),
        (pd.MultiIndex.from_arrays([[1], [2]]), "other", {}),
        (pd.DataFrame({"a": [1j], 3: [1]}), "table", {"a": None, 3: Compared("number")}),
        (pd.DataFrame({"a": pd.arrays.SparseArray([0])}), "table", {"a": Compared("number")}),
        (pd.DataFrame({"a": pd.Categorical([dt.date(2026, 1, 1)])}), "table", {"a": None}),
        (pd.DataFrame({"a": pd.Categorical([1], [1, 2])}), "table", {"a": Compared("number", ordered=False)}),
        (pa.table({"a": pa.array([1], pa.duration("ms"))}), "table", {"a": _DURATION}),
        (pa.table({"a": pa.nulls(1)}), "table", {"a": Compared(None)}),
        (pa.array(["x"]).dictionary_encode(), "items", {None: Compared("text")}),
        (pa.scalar(1.5), "single", {None: Compared("number")}),
        (pl.DataFrame({"e": pl.Series(["b"], dtype=pl.Enum(["b"]))}), "table", {"e": Compared("text", ordered=False)}),
        (pl.DataFrame(), "table", {}),
        (pl.Series("t", [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]), "items", {None: _ZONED}),
    ],
)  # fmt: skip
def test_contents(value: Any, form: str, columns: dict[object, Compared | None]) -> None:
    """Columns compare with what they hold, and with nothing where their form in the store does not say it."""
    assert _said(value) == (form, columns)


@given(values())
def test_every_value_has_contents(value: object) -> None:
    """Whatever can be stored says what of it is compared, by columns that are in its table."""
    assert _said(value)[0] in ("single", "items", "table", "other")


def test_values_as_they_stand_in_columns() -> None:
    """Durations count in the unit of their column, exactly where that goes; zoned times are instants."""
    assert physical_value(dt.timedelta(seconds=1.5), _DURATION) == 1500
    assert physical_value(dt.timedelta(microseconds=500), _DURATION) == 0.5
    assert physical_value(dt.timedelta(days=365_000), Compared("timedelta", "ns")) == 365_000 * 86_400 * 10**9
    assert physical_value(dt.date(1969, 12, 31), Compared("date", "D")) == -1
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert physical_value(noon, _ZONED) == dt.datetime(2026, 1, 1, 10)  # noqa: DTZ001 - as it is stored
    assert physical_value("a", Compared("text")) == "a"


def test_what_is_no_encoding_is_refused() -> None:
    """Damaged parameters are an error of our own."""
    with pytest.raises(SerializationError):
        contents('{"codec":"frame","type":"frame"}')
    with pytest.raises(SerializationError):
        contents('{"codec":"unknown"}')
