"""Arrow tables, batches, arrays and scalars come back as they were saved, and are readable in SQL (case V10)."""

from __future__ import annotations

import decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given

import scidb
from scidb import BaseVariable
from scidb.codecs import decode, encode
from scidb.exceptions import SerializationError, UnsupportedValueError
from scidb.hashing.ids import content_hash
from scidb.store.duck.types import Shape
from scidb.testing import strategies

D = decimal.Decimal
BERLIN = "Europe/Berlin"

# Items of each type, instants as integers; None is added.
TYPES: list[tuple[Any, list[Any]]] = [
    (pa.bool_(), [True]),
    (pa.uint64(), [2**64 - 1]),
    (pa.float16(), [1.5, -0.0]),
    (pa.float32(), [1.5, -0.0, float("inf")]),
    (pa.float64(), [0.1, -0.0, float("nan")]),
    (pa.decimal32(5, 2), [D("1.50")]),
    (pa.decimal64(12, 10), [D(0)]),
    (pa.decimal128(38, 38), [D("1e-20"), D("-0.5")]),
    (pa.decimal128(10, -2), [D(1200)]),
    (pa.decimal256(76, 5), [D("1e70")]),
    (pa.string(), ["a", "", "\0é"]),
    (pa.large_string(), ["a"]),
    (pa.string_view(), ["a", "longer than twelve bytes"]),
    (pa.binary(), [b"a", b""]),
    (pa.binary_view(), [b"a"]),
    (pa.binary(2), [b"ab"]),
    (pa.binary(0), [b""]),
    (pa.timestamp("s"), [1, -(2**62)]),
    (pa.timestamp("ns", BERLIN), [2**63 - 1]),
    (pa.timestamp("us", "+02:00"), [1]),
    (pa.date32(), [-1]),
    (pa.date64(), [86_400_000]),
    (pa.time32("s"), [1]),
    (pa.time32("ms"), [1]),
    (pa.time64("us"), [86_399_999_999]),
    (pa.time64("ns"), [1]),
    (pa.duration("s"), [-1]),
    (pa.duration("ns"), [2**62]),
    (pa.null(), []),
    (pa.month_day_nano_interval(), [(1, -2, 3)]),
    (pa.dictionary(pa.int8(), pa.string()), ["a", "b", "a"]),
    (pa.dictionary(pa.uint16(), pa.large_string(), ordered=True), ["b", "a", "b"]),
    (pa.list_(pa.timestamp("ns", BERLIN)), [[1, None], []]),
    (pa.list_view(pa.date32()), [[1, None]]),
    (pa.large_list_view(pa.string_view()), [["a", None], []]),
    (pa.list_(pa.duration("s"), 2), [[1, None]]),
    (pa.list_(pa.float16()), [[1.5, float("nan")]]),
    (pa.list_(pa.uint64()), [[2**64 - 1]]),
    (pa.list_(pa.null()), [[None]]),
    (pa.list_(pa.dictionary(pa.int8(), pa.string())), [["a", None, "a"]]),
    (pa.list_(pa.decimal128(10, 2)), [[D("1.50")]]),
    (pa.struct([]), [{}]),
    (pa.struct([("$a", pa.time32("s")), ("b", pa.list_(pa.time64("ns")))]), [{"$a": 1, "b": [2]}]),
    (pa.map_(pa.string(), pa.date64()), [[("a", 86_400_000)], []]),
    (pa.list_(pa.map_(pa.binary(), pa.map_(pa.int8(), pa.int8()))), [[[(b"a", [(1, 2)])], None]]),
    (pa.large_list(pa.field("x", pa.int8(), nullable=False)), [[1], []]),
]


class Measured(BaseVariable):
    pass


def restored(value: Any) -> Any:
    (part,) = encode([value])
    Shape.of(part.table)  # nothing that a store cannot hold
    (back,) = decode(part.encoding, part.table)
    assert type(back) is type(value)
    assert content_hash(back) == content_hash(value)
    return back


@pytest.mark.parametrize(("kind", "items"), TYPES, ids=[str(kind) for kind, _ in TYPES])
def test_every_type(kind: Any, items: list[Any]) -> None:
    """Each Arrow type comes back exactly: in tables, batches, arrays, slices, chunks and as a scalar (V10)."""
    whole = pa.array([*items, None], kind)
    for value in (whole, whole[:0], whole[1:], pa.chunked_array([whole, whole[1:], whole[:0]])):
        back = restored(value)
        assert back.type == kind
        assert len(back) == len(value)
    assert restored(pa.chunked_array([], kind)).type == kind
    assert restored(whole[0]).type == restored(whole[-1]).type == kind
    for table in (pa.table({"x": whole, "X": whole}), pa.record_batch({"row": whole})):
        assert restored(table).schema == table.schema


def test_items_of_a_short_list_view_are_kept() -> None:
    """A list view of one item keeps it; pyarrow's own cast to a list loses it."""
    view = pa.array([[1, None]], pa.list_view(pa.date32()))

    assert restored(view).to_pylist() == view.to_pylist()
    assert restored(view[0]).as_py() == view[0].as_py()


def test_dictionaries_in_other_places() -> None:
    """Dictionaries of instants come back, and an ordered one keeps the order of its entries."""
    instants = pa.array([5, None, 7], pa.timestamp("ns", "UTC")).dictionary_encode()
    ordered = pa.DictionaryArray.from_arrays([1, 0, None], ["low", "high"], ordered=True)

    assert restored(instants).cast(instants.type.value_type).equals(instants.cast(instants.type.value_type))
    assert restored(ordered).dictionary.to_pylist() == ["low", "high"]
    assert restored(pa.chunked_array([ordered, ordered])).chunk(0).dictionary.to_pylist() == ["low", "high"]


@pytest.mark.parametrize(
    "table",
    [
        pa.table({}),
        pa.table({"a": [1, 2, 3]}).select([]),
        pa.record_batch({"a": [1, 2, 3]}).select([]),
        pa.table({"a": pa.array([], pa.int8())}),
        pa.Table.from_arrays([pa.array([1]), pa.array(["x"])], names=["a", "a"]),
        pa.table({"": [1], "record_no": [2], 'a "b"': [3]}),
        pa.table({"a": [1]}).replace_schema_metadata({"unit": "mV"}),
        pa.table({"a": [1]}, schema=pa.schema([pa.field("a", pa.int8(), nullable=False, metadata={"unit": "V"})])),
    ],
    ids=["nothing", "rows only", "batch of rows only", "no rows", "one name twice", "names", "metadata", "fields"],
)
def test_shapes_and_names(table: Any) -> None:
    """Tables without columns or rows, names given twice and metadata come back (V3, V4, V10)."""
    back = restored(table)

    assert back.equals(table)
    assert back.schema.equals(table.schema, check_metadata=True)
    assert back.num_rows == table.num_rows


@given(strategies.arrow_tables())
def test_tables(table: Any) -> None:
    """Any table comes back with its schema (V10)."""
    assert restored(table).schema.equals(table.schema, check_metadata=True)


def test_what_sql_sees() -> None:
    """Columns have DuckDB's own types where it has them, else readable text."""
    table = pa.table(
        {
            "volts": pa.array([1.5], pa.float16()),
            "at": pa.array([0], pa.timestamp("us", BERLIN)),
            "day": pa.array([86_400_000], pa.date64()),
            "hour": pa.array([3_600_000_000_000], pa.time64("ns")),
            "price": pa.array([D("1.50")]),
            "side": pa.array(["left"]).dictionary_encode(),
            "spikes": pa.array([[1, 2]]),
            "pose": pa.array([{"x": 1.5, "note": None}]),
        }
    )
    (part,) = encode([table])

    assert [str(field.type.value_type) for field in part.table.schema] == [
        *("float", "timestamp[us]", "timestamp[ms]", "time64[us]"),
        *("large_string", "large_string", "large_string", "large_string"),
    ]
    (row,) = part.table.select(["price", "side", "spikes", "pose"]).to_pylist()
    assert row == {"price": ["1.50"], "side": ["left"], "spikes": ["[1,2]"], "pose": ['{"x":1.5,"note":null}']}


def test_tables_of_one_schema_share_an_encoding() -> None:
    """Many tables are one Arrow table, whatever their lengths."""
    tables = [pa.table({"a": pa.chunked_array([list(range(n)), [n]], pa.int64())}) for n in range(4)]
    (part,) = encode(tables)
    back: list[Any] = decode(part.encoding, part.table)

    assert [one.to_pydict() for one in back] == [one.to_pydict() for one in tables]
    assert len(part.nbytes) == 4


@pytest.mark.parametrize(
    ("column", "name"),
    [
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))), "extension type arrow.uuid"),
        (pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]), "sparse_union"),
        (pa.RunEndEncodedArray.from_arrays([1], [1]), "run_end_encoded"),
        (pa.array([[(1, 2, 3)]], pa.list_(pa.month_day_nano_interval())), "month_day_nano"),
        (pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), "two fields of one name"),
        (pa.array([[None]], pa.list_(pa.struct([("a", pa.int8()), ("a", pa.int8())]))), "two fields of one name"),
    ],
    ids=["extension", "union", "run ends", "interval in a list", "struct", "struct in a list"],
)
def test_refused_by_name(column: Any, name: str) -> None:
    """A type without an exact form is refused with the type and the column (V11)."""
    with pytest.raises(UnsupportedValueError, match=name) as caught:
        encode([pa.table({"x": column})])

    assert caught.value.path == '["x"]'


def test_invalid_text_is_refused() -> None:
    """A column of text whose bytes are not UTF-8 is refused before anything is written (V11)."""
    _, offsets, _ = pa.array(["ab"]).buffers()
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff\xfe")])

    with pytest.raises(UnsupportedValueError, match="damaged"):
        encode([pa.table({"x": broken})])


def test_damaged_dictionary() -> None:
    """A value that its dictionary does not have is a SerializationError."""
    (part,) = encode([pa.DictionaryArray.from_arrays([0], ["low"], ordered=True)])

    with pytest.raises(SerializationError, match="not among its entries"):
        decode(part.encoding, pa.table({"value": [["high"]]}))


def test_saved_and_loaded(db: scidb.DatabaseManager) -> None:
    """A table with nulls, -0.0, nested and zoned columns goes through a store and back (V10)."""
    columns = {f"c{number}": pa.array([*items, None], kind)[:2] for number, (kind, items) in enumerate(TYPES) if items}
    columns["lists"] = pa.array([[-0.0], None])
    table = pa.table({name: column for name, column in columns.items() if len(column) == 2})
    for subject, value in enumerate([table, table.select([]), table["c0"], table["c0"][0], table.slice(0, 0)]):
        Measured.save(value, subject=subject)
        back = Measured.load_one(subject=subject).data
        assert type(back) is type(value)
        assert content_hash(back) == content_hash(value)
