"""Encodings, the registry, and what a damaged or foreign encoding says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scidb.codecs import Codec, Parameters, base, decode, encode
from scidb.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def registry() -> Iterator[None]:
    codecs, types = dict(base._CODECS), dict(base._BY_TYPE)
    yield
    for mapping, before in ((base._CODECS, codecs), (base._BY_TYPE, types)):
        mapping.clear()
        mapping.update(before)  # type: ignore[arg-type]


class _Text(Codec):
    """A base without a name, for codecs of the tests."""

    def describe(self, value: object) -> Parameters:
        return {}

    def encode(self, values: Any, parameters: Parameters) -> pa.Table:
        return pa.table({"value": [str(value.real) for value in values]})

    def decode(self, table: pa.Table, parameters: Parameters) -> list[Any]:
        return [Point(float(text)) for text in table.column("value").to_pylist()]

    def nbytes(self, values: Any, table: pa.Table) -> tuple[int, ...]:
        return (8,) * len(values)


class Point:
    def __init__(self, real: float) -> None:
        self.real = real


def test_values_of_one_kind_share_an_encoding() -> None:
    """Numbers, arrays of any length, and frames of any length group; order within a group is kept."""
    frames = [pd.DataFrame({"x": np.arange(n), "y": "a"}) for n in (3, 5)]
    parts = encode([1.5, np.zeros(3), frames[0], 2.5, "a", np.zeros(7), frames[1]])

    assert [part.positions for part in parts] == [(0, 3), (4,), (1, 5), (2, 6)]
    assert [part.nbytes for part in parts[:3]] == [(8, 8), (1,), (24, 56)]


def test_encoding_is_canonical_json() -> None:
    """An encoding is one JSON text: sorted keys, no blanks, valid UTF-8 whatever the labels."""
    frame = pd.DataFrame([[1, 2]], columns=pd.Index(["\ud800", "é"], dtype=object))
    for value in (1, np.zeros((2, 3)), frame, [1.0], {"a": 1}):
        (part,) = encode([value])
        data = json.loads(part.encoding)

        assert part.encoding == json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert part.encoding.encode()
        assert "codec" in data


def test_columns_are_named_for_sql() -> None:
    """Tables have natural names, unique ignoring case and clear of the store's own."""
    frame = pd.DataFrame([[1, 2, 3, 4]], columns=["a", "A", "row", 0], index=pd.Index(["i"], name="who"))
    names = {
        type(value).__name__ + str(np.ndim(value)): encode([value])[0].table.column_names
        for value in (1.5, np.zeros(3), np.zeros((3, 2)), np.zeros((3, 65)), frame, [1, 2], (1,))
    }

    assert names == {
        "float0": ["value"],
        "ndarray1": ["value"],
        "ndarray2": ["value"],
        "DataFrame2": ["who", "a", "A_2", "row_2", "0"],
        "list1": ["value"],
        "tuple1": ["value"],
    }
    assert encode([np.zeros((3, 2))])[0].table.column_names == ["value_0", "value_1"]


def test_one_array_is_not_copied() -> None:
    """A contiguous array enters its table as it is."""
    value = np.arange(1000.0)
    (part,) = encode([value])
    samples = part.table.column("value").chunk(0).values

    assert np.shares_memory(value, samples.to_numpy())


def test_categories_and_instants_are_readable_in_sql() -> None:
    """A category is stored by its label, a zoned time as its instant in UTC."""
    when = pd.to_datetime(["2020-07-01 12:00"]).tz_localize("Europe/Berlin")
    (part,) = encode([pd.DataFrame({"side": pd.Categorical(["left"], ["right", "left"]), "when": when})])
    row = part.table.to_pylist()[0]

    assert row["side"] == ["left"]
    assert str(row["when"][0]) == "2020-07-01 10:00:00"


def test_no_values() -> None:
    """Nothing encodes to nothing."""
    assert encode([]) == []


def test_chunked_and_narrower_tables_decode() -> None:
    """A store may return several chunks, and lists and texts with 32-bit offsets."""
    (part,) = encode([[f"a{i}", "é"] for i in range(5)])
    column = part.table.column("value").cast(pa.list_(pa.string()))
    table = pa.concat_tables([pa.table({"value": column.slice(0, 2)}), pa.table({"value": column.slice(2)})])

    assert decode(part.encoding, table) == [[f"a{i}", "é"] for i in range(5)]


@pytest.mark.usefixtures("registry")
def test_new_codec_registers_itself() -> None:
    """Defining a named codec is all that it takes."""

    class Points(_Text):
        name = "point"
        types = (Point,)

    (part,) = encode([Point(1.5)])

    assert part.encoding == '{"codec":"point"}'
    assert [point.real for point in decode(part.encoding, part.table)] == [1.5]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("registry")
def test_two_codecs_of_one_name() -> None:
    """A second class of the same name is refused, naming both; the same class again is fine."""

    def define() -> None:
        class Points(_Text):
            name = "point"

    define()
    define()
    with pytest.raises(TypeError, match=r"Points and .*Other"):

        class Other(_Text):
            name = "point"


def test_unknown_codec() -> None:
    """A value of a codec that is not here says which one is missing."""
    with pytest.raises(SerializationError, match="codec 'volume'") as caught:
        decode('{"codec":"volume"}', pa.table({"value": [1]}))

    assert caught.value.codec == "volume"


@pytest.mark.parametrize("encoding", ["", "[]", "{}", "null", '{"codec":[]}', '"scalar"', "[" * 100_000])
def test_not_an_encoding(encoding: str) -> None:
    """Text that is no encoding is refused as such."""
    with pytest.raises(SerializationError):
        decode(encoding, pa.table({"value": [1]}))


@pytest.mark.parametrize(
    ("encoding", "column"),
    [
        ('{"codec":"scalar"}', pa.array([1])),
        ('{"codec":"scalar","type":"exec"}', pa.array([1])),
        ('{"codec":"scalar","type":"float"}', pa.array([1.0, None])),
        ('{"codec":"scalar","dtype":"object","type":"numpy"}', pa.array([1])),
        ('{"codec":"scalar","type":"json"}', pa.array(['{"$exec":1}'])),
        ('{"codec":"array","dtype":"float64"}', pa.array([1.0])),
        ('{"codec":"array","dtype":"float64"}', pa.array([[1]])),
        ('{"codec":"array","dtype":"O"}', pa.array([[1]])),
        ('{"codec":"array","dtype":"float64","trailing":[7]}', pa.array([[1.0, 2.0]])),
        ('{"codec":"array","dtype":"float64","shape":[-5]}', pa.array([[1.0, 2.0, 3.0]])),
        ('{"codec":"list","items":"int"}', pa.array([[1, None]])),
        ('{"codec":"nested"}', pa.array(["{"])),
        ('{"codec":"nested"}', pa.array(["[" * 100_000])),
        ('{"codec":"frame","physical":["value"]}', pa.array([[1]])),
    ],
)
def test_damaged_table(encoding: str, column: pa.Array) -> None:
    """A table that is not what its encoding says is refused, whatever the library beneath raised."""
    with pytest.raises(SerializationError):
        decode(encoding, pa.table({"value": column}))
