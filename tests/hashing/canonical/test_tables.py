"""The canonical hash of pandas and Arrow tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb.exceptions import UnhashableValueError
from scidb.hashing import canonical_hash
from scidb.hashing.canonical.arrow import arrow_strings
from scidb.hashing.canonical.cbor import CHUNK
from scidb.hashing.canonical.numpy import encode_strings


def differ(*values: object) -> bool:
    return len({canonical_hash(value) for value in values}) == len(values)


def agree(*values: object) -> bool:
    return len({canonical_hash(value) for value in values}) == 1


# ---------------------------------------------------------------- pandas


def test_all_that_can_be_seen_of_a_frame_counts() -> None:
    """M8: index, dtypes, names, order of columns and attrs each make another frame."""
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    noted = frame.copy()
    noted.attrs["unit"] = "mV"
    named = frame.rename_axis(index="i")
    headed = frame.rename_axis(columns="c")
    assert differ(
        *(frame, noted, named, headed, frame[["b", "a"]], frame.astype("f8"), frame.astype("Int64")),
        *(frame.set_axis([1, 2]), frame.set_axis(["0", "1"]), frame.iloc[::-1], frame.iloc[:1], frame.iloc[:0]),
        *(frame.rename(columns={"b": "c"}), frame.astype({"a": "i4"}), frame["a"], frame[["a"]], frame.to_numpy()),
        *(frame["a"].rename("b"), frame["a"].array, frame.index, frame.columns, frame.T),
    )


def test_storage_of_a_frame_is_ignored() -> None:
    """M9: blocks, RangeIndex and the way that the columns lie in memory make no difference."""
    values = np.arange(6.0).reshape(3, 2)
    split = pd.DataFrame({"a": values[:, 0].copy()})
    split["b"] = values[:, 1]
    spelled = pd.DataFrame(values, columns=["a", "b"], index=pd.Index([0, 1, 2]))
    assert agree(pd.DataFrame(values, columns=["a", "b"]), split, spelled)
    assert agree(pd.DataFrame(np.asfortranarray(values)), pd.DataFrame(values))


def test_text_is_text_however_it_is_kept() -> None:
    """M9: object columns of text are the str columns of pandas 3; NA semantics are another kind."""
    plain = pd.Series(["x", None, "é"], dtype=object)
    assert agree(plain, pd.Series(["x", np.nan, "é"], dtype=object), pd.Series(["x", None, "é"]))
    strings = [pd.Series(["x", None, "é"], dtype=f"string[{kind}]") for kind in ("python", "pyarrow")]
    assert agree(*strings)
    assert agree(pd.Series([], dtype=object), pd.Series(["x"], dtype=object)[:0])
    mixed = pd.Series(["x", pd.NA, "é"], dtype=object)
    arrow = pd.Series(["x", None, "é"], dtype=pd.ArrowDtype(pa.string()))
    assert differ(plain, strings[0], mixed, arrow, plain.astype("category"), plain.fillna(""))
    assert differ(pd.Series([None], dtype=object), pd.Series([np.nan], dtype=object), pd.Series([np.nan]))


@given(st.lists(st.one_of(st.none(), st.text(max_size=4)), max_size=6), st.data())
def test_texts_agree_only_when_equal(texts: list[str | None], data: Any) -> None:
    """M8, M9: text columns have one hash exactly when they hold the same texts, also with surrogates."""
    others = data.draw(st.one_of(st.permutations(texts), st.lists(st.text(max_size=2), max_size=3)))
    left, right = (pd.Series([*items, "end"], dtype=object) for items in (texts, others))
    assert agree(left, right) == (texts == others)
    strings = pd.Series([*texts, "end"], dtype=object).array
    assert agree(pd.Series(strings), left)


def test_many_texts_are_encoded_as_one_by_one() -> None:
    """M9: lengths that are made a chunk at a time, of slices and of chunks, are those of the texts themselves."""
    texts = [f"{number % 1_000} é"[: number % 7] for number in range(CHUNK // 8 + 1_000)]
    column = pa.array(["before", *texts, "after"])
    pieces = pa.chunked_array([texts[:10], [], texts[10:]], pa.string())
    expected = encode_strings(list(texts))
    assert b"".join(arrow_strings(column[1:-1])) == expected
    assert b"".join(arrow_strings(pieces)) == expected


def test_what_resembles_text_is_not_text() -> None:
    """M8: one item of another type among texts makes a column of objects; a subclass of str is another type."""
    plain = pd.Series(["x", "y"], dtype=object)
    others = [pd.Series(["x", item], dtype=object) for item in (np.str_("y"), b"y", 1.5, pd.NA)]
    assert differ(plain, *others)

    class Text(str):
        __slots__ = ()

    with pytest.raises(UnhashableValueError, match=r"\[1\]"):
        canonical_hash(pd.Series(["x", Text("y")], dtype=object))


def test_lone_surrogates_in_columns() -> None:
    """M8: text that UTF-8 cannot hold is told apart from what it resembles."""
    assert differ(*(pd.Series([text], dtype=object) for text in ("\ud800", "\udfff", "?", "\ufffd")))


def test_resolution_of_dates_is_ignored_and_zones_count() -> None:
    """M9: pandas 2 and 3 choose other units for the same dates; M8: another zone is another value."""
    days = pd.Series(pd.to_datetime(["2020-01-01", None, "2020-01-02"]))
    assert agree(*(days.astype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")))
    assert agree(*(pd.Timestamp("2020-01-01 00:00:00.5").as_unit(unit) for unit in ("ms", "us", "ns")))
    spans = pd.Series(np.array([1_000, 2_000], "m8[ms]"))
    assert agree(spans, spans.astype("timedelta64[s]"), spans.astype("timedelta64[ns]"))
    zoned = days.dt.tz_localize("Europe/Berlin")
    later = days + np.timedelta64(1, "ns")
    assert differ(days, zoned, zoned.dt.tz_convert("UTC"), days.dt.tz_localize("UTC"), later, spans)


def test_categories_count() -> None:
    """M8: order, orderedness and unused categories are part of a categorical."""

    def make(categories: list[str], ordered: bool = False) -> Any:
        return pd.Categorical(["a", "b", None], categories, ordered=ordered)

    assert differ(make(["a", "b"]), make(["b", "a"]), make(["a", "b", "c"]), make(["a", "b"], True))
    assert differ(make(["a", "b"]), pd.Series(make(["a", "b"])), pd.Index(make(["a", "b"])))


def test_unused_levels_are_ignored() -> None:
    """M9: the levels that a MultiIndex keeps but does not use are storage."""
    whole = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    assert agree(whole[:2], whole[:2].remove_unused_levels())
    assert differ(whole, whole[:2], whole.swaplevel(), whole.set_names(["x", "y"]))


def test_masked_columns() -> None:
    """M9: what lies under NA is ignored; M8: NA, NaN and zero are three values."""
    under = pd.Series([1, 5], dtype="Int64")
    under[1] = pd.NA
    assert agree(under, pd.Series([1, None], dtype="Int64"))
    assert differ(under, pd.Series([1, 0], dtype="Int64"), pd.Series([1, np.nan]), pd.Series([1, None], dtype="UInt8"))


def test_columns_of_one_name_and_refusals_within() -> None:
    """M7: a refusal names its column, by position where names repeat."""
    twice = pd.DataFrame([[1, object()]], columns=["a", "a"])
    for value, path in ((twice, "[1][0]"), (twice.set_axis(["a", "b"], axis=1), '["b"][0]')):
        with pytest.raises(UnhashableValueError) as caught:
            canonical_hash(value)
        assert caught.value.details["path"] == path
    noted = pd.DataFrame({"a": [1]})
    noted.attrs["by"] = object()
    with pytest.raises(UnhashableValueError) as caught:
        canonical_hash(noted)
    assert caught.value.details["path"] == '.attrs["by"]'
    assert differ(pd.DataFrame([[1, 2]], columns=["a", "a"]), pd.DataFrame([[2, 1]], columns=["a", "a"]))


def test_subclasses_are_refused() -> None:
    """M7: a subclass of DataFrame may keep more than a DataFrame shows."""

    class Frame(pd.DataFrame):  # type: ignore[misc]
        pass

    with pytest.raises(UnhashableValueError):
        canonical_hash(Frame({"a": [1]}))


# ---------------------------------------------------------------- Arrow

LOGICAL: list[tuple[list[Any], Any]] = [
    ([1, None, 3, 4, 5], pa.int64()),
    ([True, None, False, True, True], pa.bool_()),
    (["a", None, "", "déf", "g"], pa.string()),
    ([b"a", None, b"", b"def", b"g"], pa.binary()),
    ([b"ab", None, b"cd", b"ef", b"gh"], pa.binary(2)),
    ([[1], None, [], [2, None], [3]], pa.list_(pa.int64())),
    ([[1, 2], None, [3, 4], [5, 6], [7, 8]], pa.list_(pa.int64(), 2)),
    ([{"a": 1}, None, {"a": None}, {"a": 4}, {"a": 5}], pa.struct([("a", pa.int64())])),
    ([[("k", 1)], None, [], [("l", 2), ("m", None)], [("n", 3)]], pa.map_(pa.string(), pa.int64())),
    ([["a", None], None, [], ["b"], ["c"]], pa.list_(pa.string())),
    ([0.5, None, float("nan"), -0.0, 0.0], pa.float64()),
    (["a", None, "b", "a", "c"], pa.dictionary(pa.int8(), pa.string())),
]


@pytest.mark.parametrize(("items", "kind"), LOGICAL, ids=[str(kind) for _, kind in LOGICAL])
def test_storage_of_arrow_arrays_is_ignored(items: list[Any], kind: Any) -> None:
    """M9: chunking and offsets make no difference, and every item makes one (M8)."""
    whole = pa.array(items, kind)
    padded = pa.concat_arrays([whole, whole, whole])
    chunks = pa.chunked_array([pa.array(items[:2], kind), pa.array([], kind), pa.array(items[2:], kind)])
    assert agree(whole, padded[5:10], chunks, pa.chunked_array([padded[5:6], padded[6:10]]))
    assert agree(whole[2:4], pa.array(items[2:4], kind))
    shorter = [whole[:4], whole[1:], whole[:0], whole[3:], whole[:1], whole[1:2]]
    assert differ(whole, *shorter, pa.table({"a": whole}), pa.table({"b": whole}))


def test_bytes_under_nulls_are_ignored() -> None:
    """M9: what a buffer holds where a value is missing is not part of the value."""
    valid = pa.array([True, False, True]).buffers()[1]
    numbers = [pa.array(items, pa.int64()).buffers()[1] for items in ([1, 2, 3], [1, 9, 3])]
    assert agree(*(pa.Array.from_buffers(pa.int64(), 3, [valid, data]) for data in numbers))
    _, offsets, data = pa.array(["a", "zz", "c"]).buffers()
    assert agree(pa.Array.from_buffers(pa.string(), 3, [valid, offsets, data]), pa.array(["a", None, "c"]))
    lists = pa.ListArray.from_arrays([0, 1, 2, 3], pa.array([1, 2, 3]), mask=pa.array([False, True, False]))
    assert agree(lists, pa.array([[1], None, [3]]))


def test_variants_of_a_type_are_one_type() -> None:
    """M9: large and view types, and schema metadata, are storage."""
    texts, lists = ["a", None, "b"], [[1], None, []]
    assert agree(*(pa.array(texts, kind) for kind in (pa.string(), pa.large_string(), pa.string_view())))
    assert agree(
        *(pa.array(lists, kind(pa.int64())) for kind in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view))
    )
    table = pa.table({"a": texts})
    assert agree(table, table.replace_schema_metadata({"k": "v"}))


def test_order_of_a_dictionary_is_ignored() -> None:
    """M9: which code stands for a value, and unused or missing entries, are storage."""
    first = pa.DictionaryArray.from_arrays([0, 1, None], ["a", "b"])
    second = pa.DictionaryArray.from_arrays([2, 1, 0], [None, "b", "a", "c"])
    assert agree(first, second)
    assert differ(first, first.dictionary_decode())


def test_types_of_arrow_count() -> None:
    """M8: equal numbers of other types, tables, batches and scalars are other values."""
    kinds = [pa.int64(), pa.int32(), pa.uint64(), pa.float64(), pa.timestamp("s"), pa.timestamp("ms"), pa.date64()]
    assert differ(*(pa.array([1], pa.int64()).cast(kind) for kind in kinds))
    assert differ(pa.table({"a": [1]}), pa.record_batch({"a": [1]}), pa.array([1]), pa.scalar(1), 1, [1])
