"""Numpy's less usual arrays: fields, masks, raw bytes, text of variable width, objects (V4, V9)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from scidb import BaseVariable
from scidb.codecs import decode, encode
from scidb.exceptions import SerializationError
from scidb.hashing.ids import content_hash
from scidb.store.duck.types import Shape
from scidb.testing import strategies
from scidb.testing.looks import look

if TYPE_CHECKING:
    import scidb

Text = np.dtypes.StringDType
RECORD = np.dtype([("x", "f4", (2, 3)), ("in", [("n", "i2"), ("who", "U3")]), ("at", "M8[10ns]"), ("z", "c8")])

# numpy itself has no masked arrays with times in fields.
MASKABLE = np.dtype([(name, RECORD[name]) for name in ("x", "in", "z")])


class Anything(BaseVariable):
    """Values of any kind."""


def back_of(*values: Any) -> list[Any]:
    back: list[Any] = [None] * len(values)
    for part in encode(values):
        Shape.of(part.table)  # refuses what a store cannot hold
        for position, value in zip(part.positions, decode(part.encoding, part.table), strict=True):
            back[position] = value
    return back


def assert_same(value: Any, back: Any) -> None:
    assert type(back) is type(value)
    assert content_hash(back) == content_hash(value)
    assert back.dtype == (value.dtype if value.dtype.kind == "T" else value.dtype.newbyteorder("="))
    assert record_types(back.dtype) == record_types(value.dtype)
    assert back.shape == value.shape
    if isinstance(value, np.ma.MaskedArray):
        assert np.array_equal(np.ma.getmaskarray(back), np.ma.getmaskarray(value))
        assert back.hardmask == value.hardmask


def record_types(dtype: np.dtype[Any]) -> list[bool]:
    return [dtype.type is np.record, *(kind for name in dtype.names or () for kind in record_types(dtype[name]))]


def objects(*items: Any, shape: tuple[int, ...] | None = None) -> np.ndarray[Any, Any]:
    whole = np.fromiter(items, object, len(items))
    return whole if shape is None else whole.reshape(shape)


def records(dtype: Any, *items: Any) -> np.ndarray[Any, Any]:
    return np.array(list(items), dtype)


def masked(data: Any, mask: Any, fill_value: Any) -> Any:
    return np.ma.MaskedArray(data, mask, fill_value=fill_value)


UNUSUAL = {
    "fields": np.ones((2, 2), RECORD),
    "fields in other order of bytes": np.ones(2, ">i4,>f8"),
    "fields, 0-d": np.ones((), "i4,f8"),
    "fields, none of them": np.zeros(3, np.dtype([])),
    "fields, no items": np.zeros((3, 0), "i4,f8"),
    "fields, an empty one": np.zeros(3, [("x", "f4", (0,)), ("y", "U0"), ("z", "V0")]),
    "fields, more than columns": np.ones(3, [("x", "f4", (300,)), ("y", "i4")]),
    "fields, objects among them": records([("o", object), ("x", "f8")], (None, 1.5), ([1], 2.5)),
    "fields with gaps": np.ones(2, np.dtype({"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [4, 0]})),
    "fields, aligned": np.ones(2, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "fields with titles": np.ones(2, [(("title", "a"), "i4"), ("b", "i4")]),
    "fields in one place": np.ones(2, np.dtype({"names": ["a", "b"], "formats": ["i4", "u4"], "offsets": [0, 0]})),
    "fields named alike": np.ones(2, [("a", "i4"), ("A", "f4"), ("a\ud800", "i4"), ("record_no", "i4")]),
    "record array": np.rec.array([(1, 2.5)], dtype="i4,f8"),
    "array of records": np.ones(2, np.dtype((np.record, [("in", np.dtype((np.record, [("x", "i4")])))]))),
    "record array without fields": np.arange(3.0).view(np.recarray),
    "record array of objects": records([("a", int), ("b", object)], (1, None)).view(np.recarray),
    "matrix": np.arange(4).reshape(2, 2).view(np.matrix),
    "matrix of objects": objects(1, None, shape=(1, 2)).view(np.matrix),
    "raw bytes": np.array([b"\x01\0\x02", b"\0\0\0"], "V3"),
    "raw bytes, none": np.zeros(3, "V0"),
    "text": np.array([["a", "ü\0"], ["", "𝄞"]], Text()),
    "text with a lone surrogate": np.array([["a", "\ud800b"]]),
    "text with a lone surrogate in a field": np.array([("\ud800",)], [("x", "U2")]),
    "text with a lone surrogate, masked": np.ma.MaskedArray(["\ud800", "\ud801"], [True, False]),
    "text, 0-d": np.array("a", Text()),
    "text, missing is None": np.array(["a", None], Text(na_object=None)),
    "text, missing is nan": np.array(["a", np.nan], Text(na_object=np.nan)),
    "text, missing is NA": np.array(["a", pd.NA], Text(na_object=pd.NA)),
    "text, missing is text": np.array(["a", "gone"], Text(na_object="gone")),
    "text, strict": np.array(["a"], Text(coerce=False)),
    "long long": np.array([1, -1], np.longlong),
    "years": np.array(["2020", "NaT"], "M8[Y]"),
    "times without unit": np.array([1, 2]).view("m8"),
    "times of tens": np.array([[1, 2]], "m8[10ns]"),
    "half": np.array([0.1, np.inf, np.nan, -0.0], "f2"),
    "objects": objects(1, None, "x", np.ones(2), {"k": (1, np.ones(2))}, pd.DataFrame({"a": [1]})),
    "objects that look like a table": objects([1], [2]),
    "objects, 0-d": np.array(None),
    "objects, none": np.empty((0, 3), object),
    "objects in objects": objects(objects(1, np.ones(2)), 1, shape=(2, 1)),
    "masked": np.ma.MaskedArray([1.5, 2.5, 3.5], [True, False, False]),
    "masked, without a mask": np.ma.MaskedArray([[1, 2]]),
    "masked, filled and hard": np.ma.MaskedArray([[1, 2], [3, 4]], np.eye(2) > 0, fill_value=7, hard_mask=True),
    "masked, filled with nan": np.ma.MaskedArray([1.5, 2.5], fill_value=np.nan),
    "masked, 0-d": np.ma.MaskedArray(5, True),
    "masked, no items": np.ma.zeros((0, 3)),
    "masked times": np.ma.MaskedArray(np.array(["2020", "NaT", "2021"], "M8[D]"), [True, False, False]),
    "masked complex": np.ma.MaskedArray([1 + 1j, 2], [False, True]),
    "masked text": np.ma.MaskedArray(["a", "bc"], [True, False], fill_value="z"),
    "masked text of any width": np.ma.MaskedArray(np.array(["a", None], Text(na_object=None)), [True, False]),
    "masked bytes": np.ma.MaskedArray([b"a", b"bc"], [True, False]),
    "masked raw bytes": np.ma.MaskedArray(np.ones(2, "V4"), [True, False], fill_value=b"abcd"),
    "masked fields": masked(np.ones(2, MASKABLE), [(True, (True, False), False)] * 2, fill_value=(2.5, (1, "x"), 1j)),
    "masked half": np.ma.MaskedArray(np.array([1, 2], "f2"), [False, True], fill_value=3),
    "masked objects": np.ma.MaskedArray(objects(1, print, "x"), [False, True, False]),
    "masked objects, filled": np.ma.MaskedArray(objects(1, 2), [False, True], fill_value="none"),
    "masked fields of objects": masked(
        np.zeros(2, [("o", object), ("x", "f8")]), [(True, False), (False, True)], fill_value=("?", 2.0)
    ),
}


@pytest.mark.parametrize("value", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_unusual_arrays(value: Any) -> None:
    """Type, dtype, shape, mask and content come back, alone, in company and inside a container."""
    alone, again = back_of(value, value)
    (inside,) = back_of({"k": [value, 1]})

    for back in (alone, again, inside["k"][0]):
        assert_same(value, back)
        assert not np.shares_memory(back, value)
    assert not np.shares_memory(alone, again)


@st.composite
@np.errstate(over="ignore")
def _masked_fields(draw: st.DrawFn) -> Any:
    plain = draw(strategies.structured_arrays())
    mask = draw(npst.arrays(np.ma.make_mask_descr(plain.dtype), plain.shape))
    try:
        return np.ma.MaskedArray(plain, mask)
    except ValueError:
        reject()  # numpy itself fails to make up a fill value for some times


@given(_masked_fields())
@np.errstate(over="ignore")  # numpy's fill value is beyond half precision
def test_masked_fields(value: Any) -> None:
    """Masks of single fields come back, whatever the fields are."""
    (back,) = back_of(value)

    assert_same(value, back)


def test_what_lies_under_a_mask_is_not_kept() -> None:
    """A masked item is NULL in the store, and nothing of it is left (V9)."""
    value = np.ma.MaskedArray([1.5, 2.5], [True, False])
    (part,) = encode([value])
    (back,) = decode(part.encoding, part.table)

    assert part.table.to_pylist() == [{"value": [None, 2.5]}]
    assert back.data.tolist() == [0.0, 2.5]  # type: ignore[attr-defined]


def test_fields_are_columns() -> None:
    """Each simple field is a column of its name."""
    (part,) = encode([np.ones(2, RECORD)])

    assert part.table.column_names == [
        *(f"x_{position}" for position in range(6)), "in_n", "in_who", "at", "z_real", "z_imag"
    ]  # fmt: skip


def test_a_memory_map_is_where_an_array_lives(tmp_path: Any) -> None:
    """A memory map comes back as an array in memory."""
    value = np.memmap(tmp_path / "samples", "f4", "w+", shape=(3, 2))
    value[:] = 1.5
    (back,) = back_of(value)

    assert type(back) is np.ndarray
    assert content_hash(back) == content_hash(value)


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(3, [("x", "i4"), ("who", "U3")])[0],
        np.void(b"a\0\0"),
        np.bytes_(b"a\0"),
        np.str_("a\0\ud800"),
        np.array(["2020"], "M8[25s]")[0],
        np.timedelta64("NaT", "s"),
    ],
    ids=repr,
)
def test_single_items(value: Any) -> None:
    """A single item of an array comes back, zeros at its end included (V8)."""
    for back in (*back_of(value), back_of([value])[0][0]):
        assert type(back) is type(value)
        assert back.dtype == value.dtype
        assert content_hash(back) == content_hash(value)


def test_the_masked_constant() -> None:
    """What indexing gives for a masked item stays that one object."""
    assert back_of(np.ma.masked)[0] is np.ma.masked
    assert back_of([np.ma.masked])[0][0] is np.ma.masked


@pytest.mark.parametrize(
    ("value", "old", "new"),
    [
        (np.ones(2, "i4,f8"), "float64", "O"),
        (np.ones(2, "i4,f8"), "float64", "int8"),
        (np.ones(2, "i4,f8"), '"f1"', '"f0"'),
        (np.ma.MaskedArray([1, 2], fill_value=7), '"fill":', '"fill":[],"x":'),
        (np.ma.MaskedArray([1, 2], fill_value=7), "int64", "datetime64[s]"),
        (np.ma.MaskedArray([[[1]]]), '"trailing":[1,1]', '"shape":[-1]'),
        (np.ones(2, "V3"), "V3", "V4"),
        (np.array([None], Text(na_object=None)), '\\"na\\":null', '\\"na\\":7'),
        (np.array([None], Text(na_object=None)), ',\\"na\\":null', ""),
        (np.ones((1, 1)).view(np.matrix), "matrix", "exec"),
    ],
)
def test_damaged_encodings(value: Any, old: str, new: str) -> None:
    """Parameters that do not fit the table are refused as damaged."""
    (part,) = encode([value])
    assert old in part.encoding

    with pytest.raises(SerializationError):
        decode(part.encoding.replace(old, new), part.table)


def test_text_of_both_kinds(db: scidb.DatabaseManager) -> None:
    """Arrays of text with and without lone surrogates come back together, also from two layouts."""
    texts = ["a", "\ud800", "b"]
    Anything.save_many(
        [(np.array([text]), {"subject": text.encode("utf-8", "replace").decode()}) for text in texts[:2]]
    )
    Anything.save(np.array([texts[2]]), subject="b")
    loaded = [record.data.tolist() for record in db.load_all(Anything)]

    assert sorted(loaded) == sorted([text] for text in texts)


def test_through_a_database(db: scidb.DatabaseManager) -> None:
    """Every kind of array comes back from both stores, and fields and masks can be queried (V9)."""
    names = list(UNUSUAL)
    Anything.save_many([(UNUSUAL[name], {"subject": name}) for name in names])
    for name in names:
        assert_same(UNUSUAL[name], db.load(Anything, subject=name).data)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "u2", "f2", "b1", "M8[ns]", "c16", "U3"])
@pytest.mark.parametrize("shape", [(7,), (2, 3, 4), (3, 2), (0,), ()])
def test_a_given_table(dtype: str, shape: tuple[int, ...]) -> None:
    """Of a table that nobody else holds, arrays are restored the same, and can be written to (V9)."""
    value = np.arange(math.prod(shape)).astype(dtype).reshape(shape)
    (part,) = encode([value])
    (back,) = decode(part.encoding, copied(part.table), given=True)

    assert isinstance(back, np.ndarray)
    assert look(back) == look(value)
    assert back.flags.writeable


def test_a_large_array_keeps_the_memory_that_it_was_loaded_into() -> None:
    """Numbers of a given table are not copied; a table that cannot be written to is."""
    value = np.arange(1000.0)
    (part,) = encode([value])
    table = copied(part.table)
    (kept,) = decode(part.encoding, table, given=True)
    (mine,) = decode(part.encoding, table)
    whole = table.column("value").chunk(0).values.to_numpy()

    assert np.shares_memory(kept, whole)
    assert not np.shares_memory(mine, whole)


def copied(table: pa.Table) -> pa.Table:
    """Return a table in memory of its own that can be written to, as a store gives it."""
    columns = []
    for column in table.columns:
        lists = column.combine_chunks()
        taken = lists.values.take(pa.array(np.arange(len(lists.values))))
        columns.append(pa.LargeListArray.from_arrays(lists.offsets, taken))
    return pa.table(columns, names=table.column_names)
