"""Containers of anything, Python's other plain values, and the bytes beside a text (V4, V7, V8)."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions
import json
import pathlib
import random
import time
import uuid
import zoneinfo
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb import BaseVariable
from scidb.codecs import Codec, base, decode, encode
from scidb.exceptions import SerializationError, UnsupportedValueError
from scidb.hashing.ids import content_hash
from scidb.store.duck.types import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    import scidb

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


class Anything(BaseVariable):
    """Values of any kind."""


def back_of(value: Any) -> Any:
    (part,) = encode([value])
    Shape.of(part.table)  # refuses what a store cannot hold
    (back,) = decode(part.encoding, part.table)
    return back


def assert_same(value: Any, back: Any) -> None:
    assert type(back) is type(value)
    assert content_hash(back) == content_hash(value)


PLAIN = [
    bytearray(b"ab\0"),
    fractions.Fraction(-1, 3),
    fractions.Fraction(2**70, 3),
    dt.time(1, 2, 3, 4),
    dt.time(1, 2, fold=1),
    dt.time(1, 2, tzinfo=BERLIN),
    dt.time(1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1), "here")),
    range(3),
    range(1, 1, -2),
    range(0, 2**70, 7),
    slice(1, None, 2),
    slice("a", (1, 2.5)),
    pathlib.Path("/data/a b"),
    pathlib.PurePosixPath("relative"),
    pathlib.PureWindowsPath("C:\\data"),
    pathlib.PurePosixPath("not-unicode-\udcff"),
    dt.UTC,
    BERLIN,
    decimal.Decimal("-0.00"),
    uuid.UUID(int=1),
    pd.Period("2020-01", "M"),
    pd.Interval(1, 2.5, "both"),
    pd.Interval(pd.Timestamp("2020"), pd.Timestamp("2021")),
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values(value: Any) -> None:
    """Python's plain values come back with their type, alone and in a container (V8)."""
    assert_same(value, back_of(value))
    assert_same([value], back_of([value]))
    assert back_of(value) == value


@given(st.lists(st.fractions() | st.times(timezones=st.none() | st.timezones()) | st.binary().map(bytearray)))
def test_plain_values_in_company(values: list[Any]) -> None:
    """Values of several of these types, encoded together, come back in their places (V8)."""
    back: list[Any] = [None] * len(values)
    for part in encode(values):
        for position, value in zip(part.positions, decode(part.encoding, part.table), strict=True):
            back[position] = value

    assert_same(values, back)


HOLDING = {
    "ragged": [np.arange(size) for size in range(5)],
    "empty arrays": [np.zeros((0, 3)), np.zeros(0), np.zeros((3, 0))],
    "tables": {"frame": pd.DataFrame({"a": [1.5], "b": ["x"]}), "series": pd.Series([1], name="s"), 3: pd.Index(["i"])},
    "deep": {"a": [({"b": np.ones((2, 2))}, None, {1, 2})]},
    "looks like a part": {"$part": 0, "x": np.ones(2)},
    "keys of all kinds": {1: np.ones(1), None: np.ones(2), (1, "a"): np.ones(3), "k\ud800": np.ones(4), 1.5: {}},
    "ordered": collections.OrderedDict(b=np.ones(2), a=collections.OrderedDict()),
    "one array twice": [twice := np.ones(2), twice],
    "no arrays": {"a": [1, 2.5, None, (True, "x")], "e": [[], {}, "", ()]},
    "units": (np.float32(1), {"s": {np.float64(2)}}, np.arange(3, dtype="m8[s]")),
}


@pytest.mark.parametrize("value", HOLDING.values(), ids=HOLDING.keys())
def test_containers(value: Any) -> None:
    """Types, order of keys and everything inside come back (V4, V7)."""
    back = back_of(value)

    assert_same(value, back)
    if isinstance(value, dict):
        assert list(map(repr, back)) == list(map(repr, value))


def test_order_of_ordered_dicts() -> None:
    """An OrderedDict keeps its order, which is part of its identity."""
    value = collections.OrderedDict([("b", 1), ("a", 2)])

    assert list(back_of(value)) == ["b", "a"]


def test_through_a_database(db: scidb.DatabaseManager) -> None:
    """Containers and plain values come back from both stores."""
    values = dict(enumerate([*HOLDING.values(), *PLAIN]))
    Anything.save_many([(value, {"subject": number}) for number, value in values.items()])
    for number, value in values.items():
        assert_same(value, db.load(Anything, subject=number).data)


def test_json_stays_json() -> None:
    """A container without arrays is one text; with arrays, the text says where they belong."""
    (plain,) = encode([{"a": (1, 2)}])
    (mixed,) = encode([{"a": [np.ones(2), 1]}])

    assert plain.encoding == '{"codec":"nested"}'
    assert plain.table.to_pylist() == [{"value": '{"a":{"$tuple":[1,2]}}'}]
    assert mixed.table.column("value").to_pylist() == ['{"a":[{"$part":0},1]}']
    assert mixed.nbytes == (len('{"a":[{"$part":0},1]}') + len(blob(mixed.table)),)


def test_any_arrow_library_reads_the_parts() -> None:
    """The bytes are Arrow streams, one for all parts of an encoding."""
    (part,) = encode([{"a": np.ones(2), "b": [np.zeros(3)], "c": np.ones(1, "i4")}])
    source = pa.BufferReader(blob(part.table))
    first = pa.ipc.open_stream(source).read_all()
    second = pa.ipc.open_stream(source).read_all()

    assert first.to_pylist() == [{"value": [1, 1]}, {"value": [0, 0, 0]}]
    assert json.loads(first.schema.metadata[b"scidb.encoding"]) == {"codec": "array", "dtype": "float64"}
    assert second.to_pylist() == [{"value": [1]}]


@pytest.mark.usefixtures("registry")
def test_parts_of_one_kind_are_encoded_at_once() -> None:
    """Ten thousand arrays in a list are one table, not ten thousand."""
    calls: list[int] = []

    class Counted(base.Codec):
        name = "counted"
        types = (np.memmap,)

        def describe(self, value: object) -> dict[str, Any]:
            return {}

        def encode(self, values: Any, parameters: Any) -> pa.Table:
            calls.append(len(values))
            return pa.table({"value": [float(value[0]) for value in values]})

        def decode(self, table: pa.Table, parameters: Any) -> list[Any]:
            return [np.array([item]) for item in table.column("value").to_pylist()]

        def nbytes(self, values: Any, table: pa.Table) -> tuple[int, ...]:
            return (8,) * len(values)

    encode([[np.ones(1).view(np.memmap) for _ in range(10_000)]])

    assert calls == [10_000]


@pytest.fixture
def registry() -> Iterator[None]:
    codecs, types = dict(base._CODECS), dict(base._BY_TYPE)
    yield
    for mapping, before in ((base._CODECS, codecs), (base._BY_TYPE, types)):
        mapping.clear()
        mapping.update(before)  # type: ignore[arg-type]


@pytest.mark.usefixtures("registry")
def test_what_another_codec_accepts_may_be_inside() -> None:
    """A container holds whatever a registered codec stores; its refusals say where that is."""

    class Volume:
        def __init__(self, size: float) -> None:
            self.size = size

    class Volumes(Codec):
        name = "volume"
        types = (Volume,)

        def describe(self, value: Any) -> dict[str, Any]:
            if value.size < 0:
                raise UnsupportedValueError("A volume is negative.", path=".size")
            return {}

        def encode(self, values: Any, parameters: Any) -> pa.Table:
            return pa.table({"value": [value.size for value in values]})

        def decode(self, table: pa.Table, parameters: Any) -> list[Any]:
            return [Volume(size) for size in table.column("value").to_pylist()]

        def nbytes(self, values: Any, table: pa.Table) -> tuple[int, ...]:
            return (8,) * len(values)

    assert back_of({"k": [Volume(2.5)]})["k"][0].size == 2.5
    with pytest.raises(UnsupportedValueError, match=r"A volume is negative.*\[\"k\"\]\[1\]") as caught:
        encode([{"k": [Volume(1), Volume(-1)]}])
    assert caught.value.path == '["k"][1].size'


# ------------------------------------------------------------------ damage


def blob(table: pa.Table) -> bytes:
    data: bytes = table.column("parts")[0].as_py()
    return data


def with_blob(text: str, data: bytes) -> pa.Table:
    return pa.table({"value": pa.array([text], pa.large_string()), "parts": pa.array([data], pa.large_binary())})


def stream(table: pa.Table, encoding: str, numbers: str) -> bytes:
    sink = pa.BufferOutputStream()
    said = table.replace_schema_metadata({"scidb.encoding": encoding, "scidb.parts": numbers})
    with pa.ipc.new_stream(sink, said.schema) as out:
        out.write_table(said)
    data: bytes = sink.getvalue().to_pybytes()
    return data


ARRAY = pa.table({"value": pa.array([[1.5]], pa.large_list(pa.float64()))})
FLOATS = '{"codec":"array","dtype":"float64"}'


def test_the_form_of_the_bytes() -> None:
    """Bytes made by hand decode: the form is what the tests of damage take it to be."""
    (back,) = decode('{"codec":"nested","parts":true}', with_blob('[{"$part":0}]', stream(ARRAY, FLOATS, "[0]")))

    assert [part.tolist() for part in back] == [[1.5]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('[{"$part":1}]', stream(ARRAY, FLOATS, "[0]")),
        ('[{"$part":"0"}]', stream(ARRAY, FLOATS, "[0]")),
        ('[{"$part":0}]', b""),
        ('[{"$part":0}]', b"not an Arrow stream"),
        ('[{"$part":0}]', stream(ARRAY, FLOATS, "[0]")[:-20]),
        ('[{"$part":0}]', stream(ARRAY, FLOATS, "[0]")[:-80]),
        ('[{"$part":0}]', stream(ARRAY, FLOATS, "[0]") + b"more"),
        ('[{"$part":0}]', stream(ARRAY, FLOATS, "[7]")),
        ('[{"$part":0}]', stream(ARRAY, FLOATS, "[0,1]")),
        ('[{"$part":0}]', stream(ARRAY, FLOATS, "{")),
        ('[{"$part":0}]', stream(ARRAY, '{"codec":"array","dtype":"int64"}', "[0]")),
        ('[{"$part":0}]', stream(ARRAY, '{"codec":"absent"}', "[0]")),
        ('[{"$part":0}]', stream(ARRAY, "[]", "[0]")),
        ('[{"$part":0}]', stream(pa.table({"value": ["[]"]}), '{"codec":"nested"}', "[0]")),
        ('{"$objects":[[-1],[1]]}', b""),
        ('{"$objects":[[3],[1]]}', b""),
        ('{"$fields":[[{"fields":[["x","int64"]]},[2]],[]]}', b""),
        ('{"$masked":[true,[]]}', b""),
        ('{"$class":["exec",[1]]}', b""),
        ('{"$item":[null,[]]}', b""),
        ('{"$path":["Path",1]}', b""),
    ],
)
def test_damaged_parts(text: str, data: bytes) -> None:
    """Text and bytes that do not belong together are refused as damaged, also a part that is a container."""
    with pytest.raises(SerializationError):
        decode('{"codec":"nested","parts":true}', with_blob(text, data))


def test_any_damage_is_named_so() -> None:
    """Whatever byte is changed, a value comes back or the error says that it is damaged."""
    value = {"a": np.arange(99.0), "b": [np.array(["x", "yy"]), pd.DataFrame({"q": [1.5], "t": ["a"]})]}
    (part,) = encode([value])
    whole, text = blob(part.table), part.table.column("value")[0].as_py()
    draw = random.Random(1)
    refused = 0
    for _ in range(500):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] = draw.randrange(256)
        try:
            decode(part.encoding, with_blob(text, bytes(damaged)))
        except SerializationError:
            refused += 1
    assert refused > 250


def test_many_small_arrays_take_no_seconds() -> None:
    """A list of 10,000 small arrays is a matter of tenths of a second, even on a busy machine."""
    value = [np.arange(number % 7) for number in range(10_000)]
    started = time.process_time()
    back = back_of(value)

    assert time.process_time() - started < 2
    assert len(back) == len(value)
