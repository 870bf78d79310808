"""Every value comes back the same: type, content, dtype, shape, labels (cases V1-V10)."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import uuid
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scidb.codecs import decode, encode
from scidb.hashing.canonical.encode import canonical_hash
from scidb.testing import strategies

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def restored(values: list[Any]) -> list[Any]:
    back: list[Any] = [None] * len(values)
    for part in encode(values):
        assert part.table.num_rows == len(part.positions) == len(part.nbytes)
        check_family(part.table)
        for position, value in zip(part.positions, decode(part.encoding, part.table), strict=True):
            back[position] = value
    return back


def check_family(table: pa.Table) -> None:
    listed = [pa.types.is_large_list(field.type) for field in table.schema]
    assert all(listed) or (not any(listed) and table.column_names in (["value"], ["value", "parts"]))
    if all(listed):
        lengths = [column.combine_chunks().value_lengths() for column in table.columns]
        assert all(length == lengths[0] for length in lengths)
        assert not any(pa.types.is_nested(field.type.value_type) for field in table.schema)


def assert_same(value: Any, back: Any) -> None:
    assert type(back) is type(value)
    assert canonical_hash(back) == canonical_hash(value)
    if isinstance(value, np.ndarray):
        assert (back.dtype, back.shape) == (value.dtype.newbyteorder("="), value.shape)
        assert back.flags.writeable
        assert not np.shares_memory(back, value)
        if isinstance(value, np.ma.MaskedArray):
            assert np.array_equal(np.ma.getmaskarray(back), np.ma.getmaskarray(value))
            assert back.hardmask == value.hardmask
    elif isinstance(value, pd.DataFrame):
        assert list(back.dtypes) == list(value.dtypes)
        assert back.columns.dtype == value.columns.dtype
        assert back.attrs == value.attrs
        assert_same(value.index, back.index)
    elif isinstance(value, pd.Series | pd.Index):
        assert back.dtype == value.dtype
    elif isinstance(value, dict):
        assert list(map(repr, back)) == list(map(repr, value))
        for own, other in zip(value.values(), back.values(), strict=True):
            assert_same(own, other)
    elif isinstance(value, list | tuple):
        for own, other in zip(value, back, strict=True):
            assert_same(own, other)


@quick
@given(st.lists(strategies.scalars(), max_size=6))
def test_scalars(values: list[Any]) -> None:
    """Scalars of any types, encoded together, come back in their places (V1, V8)."""
    for value, back in zip(values, restored(values), strict=True):
        assert_same(value, back)


@quick
@given(st.lists(strategies.arrays(), max_size=4))
def test_arrays(values: list[Any]) -> None:
    """Arrays of any dtype, rank and layout come back writable, sharing no memory (V2, V4, V9)."""
    for value, back in zip(values, restored(values), strict=True):
        assert_same(value, back)


@quick
@given(st.lists(strategies.structured_arrays() | strategies.masked_arrays(), max_size=4))
def test_arrays_with_fields_and_masks(values: list[Any]) -> None:
    """Fields, masks, fill values and hard masks come back, of arrays of any rank (V4, V9)."""
    for value, back in zip(values, restored(values), strict=True):
        assert_same(value, back)


@quick
@given(st.lists(strategies.object_arrays() | strategies.containers(), max_size=3))
def test_containers_of_anything(values: list[Any]) -> None:
    """Arrays and tables in containers, and in arrays of objects, come back as if they stood alone (V7, V9)."""
    for value, back in zip(values, restored(values), strict=True):
        assert_same(value, back)


@quick
@given(st.lists(strategies.frames() | strategies.series() | strategies.indexes(), max_size=3))
def test_frames(values: list[Any]) -> None:
    """DataFrames, Series and Indexes come back with dtypes, labels, index and attrs (V3-V6, V10)."""
    for value, back in zip(values, restored(values), strict=True):
        assert_same(value, back)


@quick
@given(st.lists(strategies.nested(), max_size=3))
def test_nested(values: list[Any]) -> None:
    """Containers come back with the types of their parts and the order of their keys (V4, V7)."""
    for value, back in zip(values, restored(values), strict=True):
        assert_same(value, back)


@pytest.mark.parametrize(
    "value",
    [
        [10**5000],  # longer than Python writes in decimals
        "\ud83d\ude00",
        float("-0.0"),
        {"$tuple": [1]},
        [1.0, 2],
        [True, False],
        [1, 2**64],
        np.zeros((0, 3)),
        np.zeros((3, 0)),
        np.zeros((2, 0, 3)),
        np.array(["a", "bcd"]),
        np.array([b"a", b"b\0c"]),
        np.array(["2020", "NaT"], "M8[25s]"),
        np.array([np.iinfo("i8").max, np.iinfo("i8").min + 1]).view("M8[ns]"),
        np.array([complex("inf+nanj"), complex("nan+infj")]),
        pd.DataFrame(index=range(3)),
        pd.DataFrame({"x": [1.0]}, index=pd.date_range("2020", periods=1, freq="D")),
        pd.DataFrame([[1]], columns=pd.date_range("2020", periods=1, freq="D")),
        pd.DataFrame([[1]], columns=pd.Index(["\ud800"], dtype=object)),
        pd.Series(pd.cut([1, 5, 9], 3)),
        pd.Series([(1, 2), (3, 4)]),
        pd.Series(["a", None, np.nan], dtype=object),
        pd.Series(pd.Categorical([], categories=["b", "a"], ordered=True)),
    ],
)
def test_known_trouble(value: Any) -> None:
    """Values that were lost or changed by other ways of storing come back the same (V3-V9)."""
    (back,) = restored([value])

    assert_same(value, back)
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(back, value, check_freq=True)


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),  # the second of two
        dt.datetime(2020, 3, 29, 2, 30, tzinfo=BERLIN),  # skipped by the clock
        dt.datetime(2020, 7, 1, fold=1, tzinfo=BERLIN),
        dt.datetime(2020, 7, 1, fold=1),  # noqa: DTZ001
        dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-5), "EST")),
        dt.datetime(2020, 7, 1, tzinfo=dt.UTC),
    ],
    ids=str,
)
def test_times_at_the_edges(value: dt.datetime) -> None:
    """A time comes back with its clock, fold and zone, also where it has no instant of its own (V8)."""
    (back,) = restored([value])

    assert_same(value, back)
    assert (back.isoformat(), back.fold, str(back.tzinfo)) == (value.isoformat(), value.fold, str(value.tzinfo))


def test_missing_text_keeps_its_kind() -> None:
    """None and NaN in a text column of objects stay what they were (V5)."""
    for missing in (None, np.nan):
        (back,) = restored([pd.Series(["a", missing], dtype=object)])

        assert type(back.iloc[1]) is type(missing)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (decimal.Decimal("-1.10"), "-1.10"),
        (decimal.Decimal("-0E+3"), "-0E+3"),
        (decimal.Decimal("sNaN12"), "sNaN12"),
        (fractions.Fraction(-1, 3), "-1/3"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ],
)
def test_scalars_that_are_plain_text_in_sql(value: Any, text: str) -> None:
    """Decimals, fractions and UUIDs stand in their column as people write them (V8)."""
    (part,) = encode([value])
    (back,) = decode(part.encoding, part.table)

    assert part.table.column("value").to_pylist() == [text]
    assert type(back) is type(value)
    assert str(back) == text


def test_a_fraction_too_long_to_write() -> None:
    """What Python would not write as digits comes back all the same (V8)."""
    value = fractions.Fraction(10**5000, 3)
    (back,) = restored([value])

    assert back == value
