"""What pandas holds comes back as it was: every kind of column, index and label (V3-V6, V10)."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import string
import zoneinfo
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from scidb.codecs import decode, encode
from scidb.hashing.ids import content_hash

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

UNITS = ("s", "ms", "us", "ns")
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", dt.UTC, dt.timezone(dt.timedelta(hours=-3), "BRT"))


# ------------------------------------------------------------------ the same


def restored(value: Any) -> Any:
    """Return a value after it went through its codec and an Arrow file."""
    (part,) = encode([value])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, part.table.schema) as writer:
        writer.write_table(part.table)
    (back,) = decode(part.encoding, pa.ipc.open_stream(sink.getvalue()).read_all())
    return back


def assert_same(back: Any, value: Any) -> None:
    """Compare what can be seen of values; more strictly than pandas does."""
    assert type(back) is type(value)
    if isinstance(value, pd.DataFrame):
        assert_same(back.index, value.index)
        assert_same(back.columns, value.columns)
        for position in range(value.shape[1]):
            assert_same_column(back.iloc[:, position], value.iloc[:, position])
    elif isinstance(value, pd.MultiIndex):
        assert repr(list(back.names)) == repr(list(value.names))
        for level in range(value.nlevels):
            assert type(back.levels[level]) is type(value.levels[level])
            left, right = (index.set_names([None] * index.nlevels).get_level_values(level) for index in (back, value))
            assert_same(left, right)
    elif isinstance(value, pd.Series | pd.Index):
        assert_same_column(back, value)
        assert_same_cell(back.name, value.name)
        assert getattr(back, "freq", None) == getattr(value, "freq", None)
        if isinstance(value, pd.Series):
            assert_same(back.index, value.index)
        if isinstance(value, pd.RangeIndex):
            assert (back.start, back.stop, back.step) == (value.start, value.stop, value.step)
    else:
        assert_same(pd.Series(back), pd.Series(value))
    if isinstance(value, pd.DataFrame | pd.Series):
        assert back.flags == value.flags
        assert_same_cell(back.attrs, value.attrs)
    assert content_hash(back) == content_hash(value)


def assert_same_column(back: Any, value: Any) -> None:
    assert_same_dtype(back.dtype, value.dtype)
    assert type(back.array) is type(value.array)
    assert len(back) == len(value)
    for left, right in zip(list(back.array), list(value.array), strict=True):
        assert_same_cell(left, right)


def assert_same_dtype(back: Any, value: Any) -> None:
    assert (type(back), repr(back), back) == (type(value), repr(value), value)
    if isinstance(value, pd.DatetimeTZDtype):
        assert (type(back.tz), repr(back.tz)) == (type(value.tz), repr(value.tz))
    elif isinstance(value, pd.CategoricalDtype):
        assert back.ordered is value.ordered
        assert_same(back.categories, value.categories)
    elif isinstance(value, pd.StringDtype):
        assert repr(back.na_value) == repr(value.na_value)
        assert back.storage == value.storage


def assert_same_cell(back: Any, value: Any) -> None:
    assert type(back) is type(value)
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        assert_same(back, value)
    elif isinstance(value, np.ndarray):
        assert (back.dtype, back.shape) == (value.dtype, value.shape)
        assert back.tobytes() == value.tobytes()
    elif isinstance(value, list | tuple):
        assert len(back) == len(value)
        for left, right in zip(back, value, strict=True):
            assert_same_cell(left, right)
    elif isinstance(value, dict):
        assert list(back) == list(value)
        assert_same_cell(list(back.values()), list(value.values()))
    else:
        assert repr(back) == repr(value)  # tells -0.0 from 0.0, and NaN is NaN


# ------------------------------------------------------------------ columns of every kind


def arrays(length: int) -> SearchStrategy[Any]:
    """Return columns of all kinds; numpy's own arrays for those that numpy has."""
    kinds = (numbers, texts, objects, masked, strings, times, periods, intervals, categories, sparse, arrow)
    return st.one_of(*(kind(length) for kind in kinds))


def items(draw: DrawFn, elements: SearchStrategy[Any], length: int) -> list[Any]:
    return draw(st.lists(elements, min_size=length, max_size=length))


def as_objects(cells: list[Any]) -> Any:
    whole = np.empty(len(cells), object)
    for position, cell in enumerate(cells):
        whole[position] = cell
    return whole


def surrogates() -> SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=()), max_size=3)


@st.composite
def numbers(draw: DrawFn, length: int) -> Any:
    names = ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64", "complex64", "complex128"]
    return draw(npst.arrays(np.dtype(draw(st.sampled_from(names))), length))


@st.composite
def texts(draw: DrawFn, length: int) -> Any:
    missing = draw(st.sampled_from([None, math.nan, pd.NA]))
    return as_objects(items(draw, st.text(max_size=3) | surrogates() | st.just(missing), length))


@st.composite
def objects(draw: DrawFn, length: int) -> Any:
    plain = (
        st.none() | st.integers() | st.floats() | st.booleans() | st.binary(max_size=2) | st.decimals(allow_nan=False)
    )
    nested = st.tuples(plain) | st.lists(plain, max_size=2) | st.dictionaries(st.text(max_size=2), plain, max_size=2)
    held = npst.arrays(np.float32, st.integers(0, 2)) | st.builds(lambda cell: pd.Series([cell], dtype=object), plain)
    cells = draw(st.sampled_from([plain, plain | nested, plain | held, st.lists(held, max_size=2)]))
    return as_objects(items(draw, cells, length))


@st.composite
def masked(draw: DrawFn, length: int) -> Any:
    name = draw(st.sampled_from(["Int8", "Int64", "UInt16", "UInt64", "Float32", "Float64", "boolean"]))
    plain = np.dtype("bool" if name == "boolean" else name.lower())
    kind = pd.api.types.pandas_dtype(name).construct_array_type()
    return kind(draw(npst.arrays(plain, length)), draw(npst.arrays(np.bool_, length)))  # NaN and NA in one


@st.composite
def strings(draw: DrawFn, length: int) -> Any:
    storage = draw(st.sampled_from(["python", "pyarrow"]))
    missing = draw(st.sampled_from([pd.NA, math.nan]))
    words = st.text(max_size=3) | (surrogates() if storage == "python" else st.nothing())
    return pd.array(as_objects(items(draw, words | st.none(), length)), dtype=pd.StringDtype(storage, na_value=missing))


@st.composite
def times(draw: DrawFn, length: int) -> Any:
    unit, bound = draw(st.sampled_from(UNITS)), 2**33
    ticks = np.array(items(draw, st.integers(-bound, bound) | st.just(np.iinfo("i8").min), length), np.int64)
    zone = draw(st.sampled_from([None, "length", *ZONES, zoneinfo.ZoneInfo("America/New_York")]))
    if zone == "length":
        return ticks.view(f"m8[{unit}]")
    moments = ticks.view(f"M8[{unit}]")
    return moments if zone is None else pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(zone).array


@st.composite
def periods(draw: DrawFn, length: int) -> Any:
    freq = draw(st.sampled_from(["D", "3D", "h", "15min", "W-WED", "M", "2M", "Q-NOV", "Y-MAR", "s", "ns"]))
    ordinals = np.array(items(draw, st.integers(-999, 999) | st.just(np.iinfo("i8").min), length), np.int64)
    return pd.arrays.PeriodArray(ordinals, dtype=pd.PeriodDtype(freq))


@st.composite
def intervals(draw: DrawFn, length: int) -> Any:
    sides: Any = np.sort(np.array(items(draw, st.integers(0, 99), length), np.int64))
    kind = draw(st.sampled_from(["i8", "u1", "f4", "f8", "M8[us]", "m8[ns]", "zoned"]))
    ends = [
        sides.astype("M8[s]" if kind == "zoned" else kind),
        (sides + 1).astype("M8[s]" if kind == "zoned" else kind),
    ]
    if kind.startswith("f"):
        ends[0][::2] = ends[1][::2] = np.nan
    left, right = (pd.DatetimeIndex(end, tz="Europe/Berlin") if kind == "zoned" else end for end in ends)
    return pd.arrays.IntervalArray.from_arrays(left, right, draw(st.sampled_from(["left", "right", "both", "neither"])))


@st.composite
def categories(draw: DrawFn, length: int) -> Any:
    kinds = (numbers, texts, strings, times, periods, intervals)
    found = index_of(draw(st.one_of(*(kind(4) for kind in kinds))))
    labels = found[~(found.duplicated() | found.isna())]
    codes = np.array(items(draw, st.integers(-1, len(labels) - 1), length), np.int8)
    return pd.Categorical.from_codes(codes, labels, ordered=draw(st.booleans()))


@st.composite
def sparse(draw: DrawFn, length: int) -> Any:
    dtype = np.dtype(draw(st.sampled_from(["bool", "int8", "int64", "float32", "float64", "complex128"])))
    values = draw(npst.arrays(dtype, length, elements=st.sampled_from([0, 1, 2] if dtype != "bool" else [False, True])))
    if dtype.kind == "f":
        values[::3] = draw(st.sampled_from([np.nan, np.inf, -0.0]))
    return pd.arrays.SparseArray(values, kind=draw(st.sampled_from(["integer", "block"])))


ARROW = [
    pa.array(["a", None]),
    pa.array(["a", None], pa.large_string()),
    pa.array([b"a", None]),
    pa.array([True, None]),
    pa.array([1, None], pa.uint8()),
    pa.array([math.nan, None], pa.float32()),
    pa.array([decimal.Decimal("1.50"), None], pa.decimal128(10, 2)),
    pa.array([1, None], pa.timestamp("ns", "Europe/Berlin")),
    pa.array([1, None], pa.date32()),
    pa.array([1, None], pa.time64("ns")),
    pa.array([1, None], pa.duration("ms")),
    pa.array(["b", None]).dictionary_encode(),
    pa.array([[1, 2], None]),
    pa.array([{"a": 1, "b": None}, None]),
    pa.nulls(2),
]


@st.composite
def arrow(draw: DrawFn, length: int) -> Any:
    whole = draw(st.sampled_from(ARROW))
    return pd.arrays.ArrowExtensionArray(whole.take(pa.array(items(draw, st.integers(0, 1), length), pa.int8())))


@st.composite
def series(draw: DrawFn) -> pd.Series:
    length = draw(st.integers(0, 4))
    values = draw(arrays(length))
    return pd.Series(values, index=draw(indexes(length)), dtype=values.dtype, name=draw(labels()))


def index_of(values: Any, name: Any = None) -> pd.Index:
    dtype = values.dtype if values.dtype != np.float16 else np.dtype("float32")  # no index of half floats
    return pd.Index(values, dtype=dtype, name=name)


def labels() -> SearchStrategy[Any]:
    texts_ = st.sampled_from(["a", "A", "record_id", "row", "value", "index", 'q"', "a b", "", "\U0001f600", "a\0"])
    times_ = st.builds(pd.Timestamp, st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1)))  # noqa: DTZ001
    return st.one_of(texts_, surrogates(), st.none(), st.integers(), st.floats(), st.tuples(st.integers()), times_)


@st.composite
def indexes(draw: DrawFn, length: int) -> pd.Index:
    kind = draw(st.sampled_from(["range", "column", "regular", "levels", "product"]))
    name = draw(labels())
    if kind == "range":
        step = draw(st.sampled_from([1, 2, -1]))
        return pd.RangeIndex(3, 3 + step * length, step, name=name)
    if kind == "column":
        return index_of(draw(arrays(length)), name)
    if kind == "regular":
        freq = draw(st.sampled_from(["D", "2h", "B", "W-TUE", "MS", "ME", "QS-NOV", "YE-MAR", "us"]))
        return pd.date_range(
            "2020-01-06", periods=length, freq=freq, tz=draw(st.sampled_from([None, "UTC"])), name=name
        )
    if kind == "levels":
        hashable = (numbers, texts, masked, strings, times, periods, intervals)
        own = [index_of(draw(draw(st.sampled_from(hashable))(length))) for _ in range(draw(st.integers(1, 3)))]
        return pd.MultiIndex.from_arrays(own, names=[draw(labels()) for _ in own])
    return pd.MultiIndex.from_product([range(length), [1.5]], names=[name, None])


@st.composite
def frames(draw: DrawFn) -> pd.DataFrame:
    length, width = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    index = draw(indexes(length))
    columns = {}
    for position in range(width):
        values = draw(arrays(length))
        columns[position] = pd.Series(values, index=index, dtype=values.dtype)
    frame = pd.DataFrame(columns, index=index)
    if draw(st.booleans()):
        frame.columns = draw(indexes(width))
    else:
        frame.columns = pd.Index(as_objects(items(draw, labels(), width)), dtype=object, tupleize_cols=False)
    return frame


# ------------------------------------------------------------------ the properties


@pytest.mark.parametrize(
    "kind",
    [numbers, texts, objects, masked, strings, times, periods, intervals, categories, sparse, arrow],
    ids=lambda kind: kind.__name__,
)
@given(data=st.data())
def test_columns(kind: Any, data: Any) -> None:
    """Columns of one kind come back alone, in a frame, and as an index, with their dtype (V5, V6)."""
    values = data.draw(kind(data.draw(st.integers(0, 5))))
    column = pd.Series(values, dtype=values.dtype)

    assert_same(restored(column), column)
    frame = pd.DataFrame({"a": column, "b": range(len(column))})
    assert_same(restored(frame), frame)
    if values.dtype.kind != "c" or len(values):  # pandas cannot sort an empty one
        assert_same(restored(index_of(values)), index_of(values))
    if isinstance(values, pd.api.extensions.ExtensionArray):
        assert_same(restored(values), values)


@given(st.lists(series(), min_size=1, max_size=3))
def test_series(values: list[pd.Series]) -> None:
    """Series encoded together come back in their places, with name and index (V10)."""
    for part in encode(values):
        for position, back in zip(part.positions, decode(part.encoding, part.table), strict=True):
            assert_same(back, values[position])


@given(st.integers(0, 4).flatmap(indexes))
def test_indexes(value: pd.Index) -> None:
    """Indexes come back with class, names and frequency (V3, V10)."""
    assert_same(restored(value), value)


@given(frames())
def test_frames(value: pd.DataFrame) -> None:
    """Frames come back with any labels on both sides, also repeated ones, none and no rows (V3, V4)."""
    assert_same(restored(value), value)


@given(frames())
def test_a_given_table(value: pd.DataFrame) -> None:
    """Of a table that nobody else holds, frames are restored the same, and can be written to (V3, V6)."""
    (part,) = encode([value])
    back: Any
    (back,) = decode(part.encoding, in_own_memory(part.table), given=True)
    assert_same(back, value)
    for position in range(back.shape[1]):
        if isinstance(array := back.iloc[:, position].array, pd.arrays.NumpyExtensionArray) and len(array):
            array[:] = array[::-1].copy()


def test_numbers_of_a_large_frame_keep_the_memory_that_they_were_loaded_into() -> None:
    """Numbers of a given table are not copied; a table that others hold is."""
    frame = pd.DataFrame({"force": np.arange(1000.0), "count": np.arange(1000)})
    (part,) = encode([frame])
    table = in_own_memory(part.table)
    kept: Any
    mine: Any
    (kept,) = decode(part.encoding, table, given=True)
    (mine,) = decode(part.encoding, table)
    for name in frame:
        whole = table.column(name).chunk(0).values.to_numpy()
        assert np.shares_memory(kept[name].to_numpy(), whole)
        assert not np.shares_memory(mine[name].to_numpy(), whole)


@pytest.mark.parametrize("count", [1, 126, 127, 128, 129, 40_000])
def test_many_categories(count: int) -> None:
    """Columns with any number of categories come back with their codes (V6)."""
    codes = np.append(np.arange(count)[::-1], -1)
    value = pd.Series(pd.Categorical.from_codes(codes, pd.Index([f"c{number}" for number in range(count)])))
    back = restored(value)
    assert_same(back, value)
    assert back.cat.codes.dtype == value.cat.codes.dtype
    assert back.cat.codes.tolist() == codes.tolist()


def in_own_memory(table: pa.Table) -> pa.Table:
    """Return a table of lists in memory that can be written to, as a store gives it."""
    columns = []
    for column in table.columns:
        lists = column.combine_chunks()
        taken = lists.values.take(pa.array(np.arange(len(lists.values))))
        columns.append(pa.LargeListArray.from_arrays(lists.offsets.cast(pa.int64()), taken))
    return pa.table(columns, names=table.column_names)


# ------------------------------------------------------------------ what chance seldom finds


LEVELS = pd.MultiIndex.from_product([[2, 1], ["b", "a"]], names=["n", None])


@pytest.mark.parametrize(
    "value",
    [
        pd.DataFrame(),
        pd.DataFrame(index=pd.Index([], name="i"), columns=pd.Index([], name="c")),
        pd.DataFrame(index=range(5)),
        pd.DataFrame(index=LEVELS[:0], columns=LEVELS[:0]),
        pd.DataFrame({"a": np.array([], np.int8)}),
        pd.DataFrame([[1, 2.5, "x", None]], columns=LEVELS),
        pd.DataFrame({"v": range(2)}, index=LEVELS[2:]),  # levels that are not used
        pd.DataFrame({"v": range(4)}, index=LEVELS.repeat(2)[:4]),
        pd.DataFrame({"v": range(4)}, index=LEVELS.set_names([1, 0])),  # pandas takes positions for names
        pd.DataFrame([[1, 2]], columns=pd.interval_range(0, 2)),
        pd.DataFrame([[1, 2]], columns=pd.period_range("2020", periods=2, freq="2M")),
        pd.DataFrame([[1, 2]], columns=pd.CategoricalIndex(["b", "a"], ["a", "b", "c"], ordered=True)),
        pd.DataFrame([[1, 2]], columns=pd.Index([pd.Timestamp("2020", tz="UTC"), None], dtype=object)),
        pd.DataFrame(np.arange(12.0).reshape(3, 4)[::-1], index=pd.Index([1.5, np.nan, 2], name=("a", 1))),
        pd.Series([1], name=decimal.Decimal("1.0")),
        pd.Series(pd.Categorical.from_codes([0, 2, -1], pd.interval_range(0, 3, closed="both"))),
        pd.Series(pd.Categorical([1 + 1j, 1 + 2j, None])),
        pd.Series(pd.Categorical.from_codes([1, 0], pd.Index(["b", "a"], dtype=pd.ArrowDtype(pa.string())))),
        pd.Series(pd.Categorical.from_codes([1, 0], pd.Index([1, "1"], dtype=object))),
        pd.Series(pd.arrays.SparseArray(np.array(["2020", "NaT"], "M8[ns]"))),
        pd.Series(pd.arrays.SparseArray([1.5, 2.0], fill_value=1.5)),
        pd.Series(np.array(["9999-12-31", "0001-01-01", "-4000-01-01"], "M8[s]")),
        pd.Series(pd.interval_range(pd.Timestamp("2020", tz="Europe/Berlin"), periods=3)),
        pd.Series(np.array(["word", "other", None] * 5_000, object), dtype=object),
        pd.Series(np.array([str(number) for number in range(15_000)], object), dtype=object),
        pd.Series([np.arange(3), None, [np.eye(2), "x"], pd.DataFrame({"a": [1]})], dtype=object),
        pd.arrays.NumpyExtensionArray(np.array([1, 2])),
        pd.array(np.array(["2020", "NaT"], "M8[ns]")),
    ],
)
def test_known_trouble(value: Any) -> None:
    """Tables that other ways of storing change come back the same (V3-V6)."""
    assert_same(restored(value), value)


@pytest.mark.parametrize(
    "offset",
    [
        pd.offsets.CustomBusinessDay(weekmask="Mon Tue", holidays=["2020-01-06"]),
        pd.offsets.BusinessHour(start="10:00", end="12:00"),
        pd.DateOffset(months=2, days=1),
        pd.offsets.MonthEnd(2, normalize=True),
        pd.offsets.Easter(),
        pd.offsets.FY5253(weekday=4, startingMonth=12),
    ],
    ids=str,
)
def test_frequencies_without_a_name(offset: Any) -> None:
    """A frequency comes back with the words that its short name does not say (V3)."""
    value = pd.date_range("2020", periods=3, freq=offset)

    assert_same(restored(value), value)


def test_what_hangs_on_a_frame() -> None:
    """Nested attrs, also with arrays in them, and flags come back with a frame."""
    frame = pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False)
    frame.attrs = {"unit": {"a": ("mV", None)}, 3: 1.5}
    measured = frame.copy()
    measured.attrs = {"calibration": [np.arange(3)], "who": pd.DataFrame({string.ascii_letters: [1]})}

    assert_same(restored(frame), frame)
    assert_same(restored(measured), measured)
    assert_same(restored(frame["a"]), frame["a"])


def test_what_is_restored_can_be_written_to() -> None:
    """Columns own their memory: one frame does not change with another."""
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": pd.array([1, None], dtype="Int64"), "c": ["x", "y"]})
    (part,) = encode([frame])
    first: Any
    first, second = (decode(part.encoding, part.table)[0] for _ in range(2))

    first.loc[0] = [9.0, 9, "z"]

    assert_same(second, frame)
