"""DataFrames and Series of polars come back with exactly their dtypes (case V10)."""

from __future__ import annotations

import datetime as dt
import decimal
import sys
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given

import scidb
from scidb import BaseVariable
from scidb.codecs import base, decode, encode
from scidb.exceptions import SerializationError, UnsupportedOperationError, UnsupportedValueError
from scidb.hashing.ids import content_hash
from scidb.store.duck.types import Shape
from scidb.testing import strategies

pl = pytest.importorskip("polars")

MOMENT = dt.datetime(2020, 7, 1, 12)  # noqa: DTZ001

COLUMNS: list[tuple[Any, list[Any]]] = [
    (pl.Categorical(), ["b", "a", None]),
    (pl.Enum(["b", "a", "unused"]), ["a", "b", None]),
    (pl.Decimal(10, 2), [decimal.Decimal("1.50"), None]),
    (pl.Decimal(38, 20), [decimal.Decimal("-0.5"), None]),
    (pl.Time(), [dt.time(1, 2, 3, 4), None]),
    (pl.Date(), [dt.date(2020, 1, 1), None]),
    (pl.Datetime("ns", "Europe/Berlin"), [MOMENT, None]),
    (pl.Datetime("ms"), [MOMENT, None]),
    (pl.Duration("us"), [dt.timedelta(microseconds=-1), None]),
    (pl.List(pl.Int64()), [[1, None], [], None]),
    (pl.List(pl.Enum(["b", "a"])), [["a"], [], None]),
    (pl.List(pl.Int128()), [[2**100], None]),
    (pl.Array(pl.Int8(), 2), [[1, 2], None]),
    (pl.Array(pl.Array(pl.Int8(), 2), 2), [[[1, 2], [3, 4]], None]),
    (
        pl.Struct({"a": pl.Int64(), "t": pl.List(pl.Time())}),
        [{"a": 1, "t": [dt.time(1)]}, None, {"a": None, "t": None}],
    ),
    (pl.Binary(), [b"a", b"", None]),
    (pl.Null(), [None, None]),
    (pl.Int128(), [2**100, -1, None]),
    (pl.UInt64(), [2**64 - 1, None]),
    (pl.Float32(), [1.5, -0.0, None]),
    (pl.String(), ["a", "", "\0é", None]),
    (pl.Boolean(), [True, None]),
]


class Measured(BaseVariable):
    pass


def restored(value: Any) -> Any:
    (part,) = encode([value])
    Shape.of(part.table)  # nothing that a store cannot hold
    (back,) = decode(part.encoding, part.table)
    assert_same(value, back)
    return back


def assert_same(value: Any, back: Any) -> None:
    assert type(back) is type(value)
    if isinstance(value, pl.DataFrame):
        assert back.schema == value.schema
        assert back.shape == value.shape
    else:
        assert back.dtype == value.dtype
        assert back.name == value.name
    assert back.equals(value)
    assert content_hash(back) == content_hash(value)


@pytest.mark.parametrize(("dtype", "items"), COLUMNS, ids=[str(dtype) for dtype, _ in COLUMNS])
def test_every_dtype(dtype: Any, items: list[Any]) -> None:
    """Each dtype comes back exactly: whole, sliced, empty, in chunks, with a name and in a frame (V10)."""
    whole = pl.Series("x", items, dtype=dtype)
    chunks = pl.concat([whole, whole[1:]], rechunk=False)
    for value in (whole, whole[:0], whole[1:], whole.alias(""), chunks, whole.to_frame(), whole.alias("").to_frame()):
        restored(value)


def test_named_categories() -> None:
    """Categories of one's own stay those."""
    if not hasattr(pl, "Categories"):
        pytest.skip("came with polars 1.31")
    own = pl.Categorical(pl.Categories("side", "gait", pl.UInt8))

    assert restored(pl.Series(["left", None], dtype=own)).dtype == own
    assert restored(pl.Series([["left"], None], dtype=pl.List(own))).dtype == pl.List(own)


def test_frames_without_columns_or_rows() -> None:
    """An empty frame comes back empty, with the columns that it has (V4)."""
    for value in (pl.DataFrame(), pl.DataFrame({"a": []}), pl.DataFrame({"a": [1], "A": [2], "row": [3], 'q"': [4]})):
        restored(value)


@given(strategies.polars_frames())
def test_frames(value: Any) -> None:
    """Any frame comes back (V10)."""
    restored(value)


@given(strategies.polars_series())
def test_series(value: Any) -> None:
    """Any Series comes back (V10)."""
    restored(value)


def test_what_sql_sees() -> None:
    """Categories are their labels, times of day TIME, wide integers text."""
    frame = pl.DataFrame(
        {
            "side": pl.Series(["left"], dtype=pl.Enum(["left", "right"])),
            "hour": [dt.time(1)],
            "wide": pl.Series([2**100], dtype=pl.Int128),
            "volts": [1.5],
        }
    )
    (part,) = encode([frame])

    assert [str(field.type.value_type) for field in part.table.schema] == [
        *("large_string", "time64[us]", "large_string", "double")
    ]
    assert part.table.column("side").to_pylist() == [["left"]]


def test_frames_of_one_schema_share_an_encoding() -> None:
    """Many frames are one Arrow table, whatever their lengths."""
    frames = [pl.DataFrame({"a": list(range(n + 1)), "b": ["x"] * (n + 1)}) for n in range(3)]
    (part,) = encode(frames)

    for value, back in zip(frames, decode(part.encoding, part.table), strict=True):
        assert_same(value, back)


@pytest.mark.parametrize("plan", [pl.LazyFrame({"a": [1]}), pl.col("a")], ids=["frame", "expression"])
def test_plans_are_refused(plan: Any) -> None:
    """A lazy frame is a plan, not data: refused with what to do (V11)."""
    with pytest.raises(UnsupportedValueError, match=r"collect\(\)"):
        encode([plan])


@pytest.mark.parametrize(
    "column",
    [pl.Series([object()], dtype=pl.Object), pl.Series([[]], dtype=pl.Array(pl.Int8, 0))],
    ids=["objects", "arrays of nothing"],
)
def test_refused_by_column(column: Any) -> None:
    """A dtype that cannot come back is refused with its column (V11)."""
    with pytest.raises(UnsupportedValueError, match="dtype") as caught:
        encode([pl.DataFrame({"x": column})])

    assert caught.value.path == '["x"]'


def test_without_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stored frame that is loaded where polars is missing says what to install."""
    (part,) = encode([pl.DataFrame({"a": [1]})])
    monkeypatch.delitem(base._CODECS, "polars")
    monkeypatch.setitem(sys.modules, "polars", None)

    with pytest.raises(UnsupportedOperationError, match=r"pip install 'scidb\[polars\]'"):
        decode(part.encoding, part.table)


@pytest.mark.parametrize(
    "dtype", ['"Object"', '"Int7"', '["Enum",[1]]', '["List"]', '["Datetime","h",null]', "{}", "1"]
)
def test_unknown_dtype(dtype: str) -> None:
    """A dtype that this polars does not have is a SerializationError."""
    encoding = (
        f'{{"codec":"polars","columns":[{{"as":"int64","dtype":{dtype}}}],"names":["x"],"physical":["x"],'
        '"type":"series"}'
    )
    with pytest.raises(SerializationError):
        decode(encoding, pa.table({"x": [[1]]}))


def test_saved_and_loaded(db: scidb.DatabaseManager) -> None:
    """A frame of every dtype goes through a store and back (V10)."""
    frame = pl.DataFrame([pl.Series(f"c{n}", items[:2], dtype=dtype) for n, (dtype, items) in enumerate(COLUMNS)])
    for subject, value in enumerate([frame, frame[:0], frame["c1"], pl.DataFrame()]):
        Measured.save(value, subject=subject)
        assert_same(value, Measured.load_one(subject=subject).data)
