"""DataFrames from save to load, and what of them is refused (V3-V6, V10, V11)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import scidb
from scidb import BaseVariable
from scidb.codecs import decode, encode
from scidb.exceptions import UnsupportedValueError
from scidb.hashing.ids import content_hash


class Measured(BaseVariable):
    """Tables of any kind."""


class Recording(pd.DataFrame):  # type: ignore[misc] # pandas has no types
    """A subclass, which may be more than the table in it."""


def mixed() -> pd.DataFrame:
    """Return one table with a column of every sort."""
    frame = pd.DataFrame(
        {
            "a": np.array([1, 2, 3], np.int8),
            "A": [1 + 1j, complex("inf+nanj"), -0.0],
            "record_id": ["x", None, "y"],
            'q" s': pd.Categorical(["b", None, "a"], ["z", "b", "a"], ordered=True),
            "row": pd.array([True, None, False], dtype="boolean"),
            "t": pd.to_datetime(["2020-10-25 00:30", "2020-10-25 01:30", None]).tz_localize("Europe/Berlin"),
            "span": pd.interval_range(0, 3, closed="both"),
            "value": pd.Series([np.arange(2), None, "text"], dtype=object),
            "thin": pd.arrays.SparseArray([0.0, 1.0, np.nan], fill_value=0.0),
            "p": pd.period_range("2020-01", periods=3, freq="2M"),
            "arrow": pd.array(["u", None, "v"], dtype=pd.ArrowDtype(pa.string())),
        },
        index=pd.MultiIndex.from_tuples([(1, "x"), (1, "y"), (2, "x")], names=["n", None]),
    )
    frame.attrs = {"unit": {"a": "mV"}, "calibration": np.arange(3.0)}
    return frame


def test_a_table_of_all_sorts(db: scidb.DatabaseManager) -> None:
    """A table with every sort of column comes back from a database as it was (V3-V6)."""
    value = mixed()
    Measured.save(value, subject=1)

    back = Measured.load(subject=1).data

    pd.testing.assert_frame_equal(back.drop(columns="value"), value.drop(columns="value"), check_exact=True)
    assert back["value"].map(type).tolist() == value["value"].map(type).tolist()
    assert back.attrs["calibration"].tolist() == [0.0, 1.0, 2.0]
    assert content_hash(back) == content_hash(value)


def test_nothing_is_stored_of_what_is_refused(db: scidb.DatabaseManager) -> None:
    """A table with one cell that cannot be stored leaves nothing behind, and the error says where (V11)."""
    value = pd.DataFrame({"a": [1, 2], "o": [np.arange(2), [object()]]})

    with pytest.raises(UnsupportedValueError) as caught:
        Measured.save(value, subject=1)

    assert caught.value.path == '["o"][1][0]'
    with pytest.raises(scidb.exceptions.NotRegisteredError):
        Measured.load(subject=1)


class Points(pd.api.extensions.ExtensionDtype):  # type: ignore[misc] # pandas has no types
    """The dtype of another package."""

    name = "points"
    type = object

    @classmethod
    def construct_array_type(cls) -> Any:
        return PointArray


class PointArray(pd.api.extensions.ExtensionArray):  # type: ignore[misc] # pandas has no types
    dtype = Points()

    def __init__(self, cells: Any) -> None:
        self.cells = np.asarray(cells)

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, item: Any) -> Any:
        return PointArray(self.cells[item])

    def copy(self) -> PointArray:
        return PointArray(self.cells.copy())


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Recording({"a": [1]}), ""),
        (pd.DataFrame({"a": [1], "where": PointArray([1])}), '["where"]'),
        (PointArray([1]), ""),
        (pd.DataFrame({"o": [lambda: 1]}), '["o"][0]'),
        (pd.Series([1, np.longdouble(1)], dtype=object), "[1]"),
        (pd.DataFrame([[1]], columns=pd.Index([int], dtype=object)), '["columns"][0]'),
        (pd.DataFrame({"s": pd.arrays.SparseArray(np.array(["a", None], object))}), '["s"]'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refused_with_its_place(value: Any, path: str) -> None:
    """Subclasses, dtypes of other packages and cells without a form are refused, never changed (V11)."""
    with pytest.raises(UnsupportedValueError, match="Cannot store") as caught:
        encode([value])

    assert caught.value.path == path


def test_what_sql_sees() -> None:
    """Labels stand for categories, two columns for complex numbers and intervals, NULL for what is missing."""
    (part,) = encode([mixed()])
    row = part.table.to_pylist()[0]

    assert row['q" s'] == ["b", None, "a"]
    assert row["record_id_2"] == ["x", None, "y"]
    assert row["row_2"] == [True, None, False]
    assert (row["span_left"], row["span_right"]) == ([0, 1, 2], [1, 2, 3])
    assert row["A_imag"][0] == 1.0
    assert row["arrow"] == ["u", None, "v"]
    assert (row["n"], row["level_1"]) == ([1, 1, 2], ["x", "y", "x"])


def test_a_category_that_is_none() -> None:
    """Labels that are not among the categories are damage, not missing values."""
    (part,) = encode([pd.Series(pd.Categorical(["a", "b"]))])
    (other,) = encode([pd.Series(pd.Categorical(["a", "c"]))])

    with pytest.raises(scidb.exceptions.SerializationError, match="not among its categories"):
        decode(part.encoding, other.table)


@pytest.mark.parametrize(
    "labels",
    [
        pd.array([pd.NA, "a"], dtype="string"),
        pd.array([pd.NA, 1], dtype=pd.ArrowDtype(pa.timestamp("us"))),
        pd.array([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_that_cannot_be_looked_up(labels: Any) -> None:
    """Columns are taken by their position, since pandas finds no column by some labels (V3)."""
    frame = pd.DataFrame([[1, 2.5]])
    frame.columns = pd.Index(labels)
    (part,) = encode([frame])
    (back,) = decode(part.encoding, part.table)

    assert content_hash(back) == content_hash(frame)
    assert isinstance(back, pd.DataFrame)
    assert back.columns.dtype == frame.columns.dtype
    assert back.iloc[0].tolist() == [1, 2.5]
