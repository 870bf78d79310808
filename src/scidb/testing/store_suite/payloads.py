"""Payloads come back as they were written, whatever their shape, and in the order of the question."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pytest

from scidb.store.model import Batch, Chunk, Entries, Latest, Match, Records, Results, Stored
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import LIST, SCALAR, call, log, record, save, scalars, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.model import Record
    from scidb.store.protocol import Store

__all__ = ["PayloadCases"]

_INF: Final = float("inf")
_NAN: Final = float("nan")
_MOMENT: Final = dt.datetime(2024, 2, 29, 23, 59, 59, 123456)  # noqa: DTZ001 - a column without a zone

_SCALARS: Final = {
    "bool": pa.array([True, None, False]),
    "int8": pa.array([-128, None, 127], pa.int8()),
    "int64": pa.array([-(2**63), None, 2**63 - 1], pa.int64()),
    "uint8": pa.array([0, None, 255], pa.uint8()),
    "uint64": pa.array([0, None, 2**64 - 1], pa.uint64()),
    "float": pa.array([0.5, None, -_INF], pa.float32()),
    "double": pa.array([-0.0, _NAN, 0.1 + 0.2], pa.float64()),
    "utf8": pa.array(["", None, "Größe 🦶 \"q\" 'q' \\ \n"]),
    "binary": pa.array([b"", None, b"\x00\xff'"], pa.binary()),
    "date": pa.array([dt.date(1, 1, 1), None, dt.date(9999, 12, 31)], pa.date32()),
    "timestamp": pa.array([_MOMENT, None, dt.datetime(1969, 7, 20)], pa.timestamp("us")),  # noqa: DTZ001
    "all null": pa.array([None, None, None], pa.float64()),
}
_LISTS: Final = {
    "doubles": pa.array([[0.1, -0.0, _NAN], [], [_INF, None]], pa.list_(pa.float64())),
    "floats": pa.array([[0.5], [1.5, 2.5], [3.5]], pa.list_(pa.float32())),
    "int16": pa.array([[1, None], [-(2**15)], []], pa.list_(pa.int16())),
    "bools": pa.array([[True, False, None], [], [False]], pa.list_(pa.bool_())),
    "texts": pa.array([["a", None, ""], [], ["ß", "nan"]], pa.list_(pa.string())),
    "bytes": pa.array([[b"\x00", None], [b""], []], pa.list_(pa.binary())),
    "times": pa.array([[_MOMENT, None], [], [_MOMENT]], pa.list_(pa.timestamp("us"))),
    "all empty": pa.array([[], [], []], pa.list_(pa.float64())),
    "equal lengths": pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int64())),
}


class PayloadCases(StoreCases):
    """Cases of ``fetch``."""

    @pytest.mark.parametrize("kind", _SCALARS)
    def test_one_scalar_column(self, store: Store, kind: str) -> None:
        """A column of scalars, nulls among them, comes back value for value and in its type."""
        _assert_round_trip(store, pa.table({"value": _SCALARS[kind]}), SCALAR)

    def test_several_scalar_columns(self, store: Store) -> None:
        """Several scalar columns keep their names, types and order."""
        _assert_round_trip(store, pa.table({name: _SCALARS[name] for name in ("utf8", "bool", "int64")}), SCALAR)

    @pytest.mark.parametrize("kind", _LISTS)
    def test_one_list_column(self, store: Store, kind: str) -> None:
        """A column of lists, empty ones and nulls inside among them, comes back list for list."""
        _assert_round_trip(store, pa.table({"value": _LISTS[kind]}), LIST)

    def test_several_list_columns(self, store: Store) -> None:
        """Several list columns, as of a frame, keep the order of their rows and columns."""
        table = pa.table(
            {
                "time": pa.array([[0.0, 0.1, 0.2], [], [9.0]], pa.list_(pa.float64())),
                "count": pa.array([[3, None, 1], [], [7]], pa.list_(pa.int32())),
                "label": pa.array([["c", "a", "b"], [], [None]], pa.list_(pa.string())),
            }
        )
        _assert_round_trip(store, table, LIST)

    def test_columns_with_awkward_names(self, store: Store) -> None:
        """Column names that SQL would stumble over are kept (V3)."""
        names = [
            'with "quotes"',
            "it's",
            "a space",
            "select",
            "a.b",
            "%s",
            "$1",
            "?",
            "ß",
            "a;--",
            "schema_id",
        ]
        table = pa.table({name: pa.array([[number, -number]]) for number, name in enumerate(names)})
        entry = record("Emg", "awkward", {"subject": 1}, encoding=LIST)
        store.write(Batch(chunks=(Chunk((entry,), table),)))
        [chunk] = store.fetch(Latest())
        _assert_same(chunk.table, table)

    def test_long_lists_keep_their_order(self, store: Store) -> None:
        """An array of 300,000 samples comes back in the order of its samples."""
        samples = pa.array(range(300_000), pa.int64())
        column = pa.ListArray.from_arrays(pa.array([0, 100_000, 100_000, 300_000], pa.int32()), samples)
        entries = [record("Emg", n, {"subject": n}, seq=n, encoding=LIST) for n in range(3)]
        store.write(Batch(chunks=(Chunk(tuple(entries), pa.table({"value": column})),)))
        columns = [chunk.table.column(0) for chunk in store.fetch(Latest()) if chunk.table is not None]
        assert [len(one) for part in columns for one in part.to_pylist()] == [100_000, 0, 200_000]
        assert pa.chunked_array([part for column in columns for part in _flat(column)]).equals(
            pa.chunked_array([samples])
        )

    def test_sliced_and_chunked_tables(self, store: Store) -> None:
        """A table that is a slice, or of several Arrow chunks, is stored as what it shows."""
        column = pa.chunked_array([[[0, 1], [2]], [[], [3, 4, 5], [6]]])
        entries = [record("Emg", n, {"subject": n}, seq=n, encoding=LIST) for n in range(3)]
        store.write(Batch(chunks=(Chunk(tuple(entries), pa.table({"value": column}).slice(1, 3)),)))
        assert values(store, Latest()) == [[2], [], [3, 4, 5]]

    def test_int_then_float(self, store: Store) -> None:
        """An integer and a float of one variable load each in its own type (V1)."""
        whole = record("Force", 1, {"subject": 1}, encoding='{"type":"int"}')
        store.write(Batch(chunks=(scalars([whole], [1], pa.int64()),)))
        broken = record("Force", 2.5, {"subject": 2}, encoding='{"type":"float"}')
        store.write(Batch(chunks=(scalars([broken], [2.5], pa.float64()),)))
        assert [repr(value) for value in values(store, Latest())] == ["1", "2.5"]
        types = [chunk.table.schema.types for chunk in store.fetch(Latest()) if chunk.table is not None]
        assert types == [[pa.int64()], [pa.float64()]]

    def test_a_variable_that_changes_shape(self, store: Store) -> None:
        """Scalars, arrays and frames of one variable load each as it was saved (V2, A10)."""
        shapes = {
            "scalar": pa.table({"value": pa.array([1.5])}),
            "float32": pa.table({"value": pa.array([[0.1]], pa.list_(pa.float32()))}),
            "float64": pa.table({"value": pa.array([[0.1]], pa.list_(pa.float64()))}),
            "frame": pa.table({"a": pa.array([[1, 2]]), "b": pa.array([["x", None]])}),
            "wider frame": pa.table({"a": pa.array([[1]]), "b": pa.array([["x"]]), "c": pa.array([[0.5]])}),
        }
        for number, (name, table) in enumerate(shapes.items()):
            entry = record("Force", name, {"subject": number}, encoding=f'{{"kind":"{name}"}}')
            store.write(Batch(chunks=(Chunk((entry,), table),)))
        for chunk, (name, table) in zip(store.fetch(Latest()), shapes.items(), strict=True):
            assert chunk.records[0].encoding == f'{{"kind":"{name}"}}'
            _assert_same(chunk.table, table)

    def test_one_layout_several_encodings(self, store: Store) -> None:
        """Records that are stored alike but restored differently come in chunks of one encoding each."""
        for number in range(4):
            entry = record("Force", number, {"subject": number}, encoding=f'{{"scale":{number // 2}}}')
            store.write(Batch(chunks=(scalars([entry], [float(number)]),)))
        chunks = list(store.fetch(Latest()))
        assert [[entry.schema["subject"] for entry in chunk.records] for chunk in chunks] == [[0, 1], [2, 3]]
        assert values(store, Latest()) == [0.0, 1.0, 2.0, 3.0]

    def test_mixed_encodings_stream_in_order(self, store: Store) -> None:
        """Chunks follow the order of the question also when encodings alternate."""
        numbers = range(60)
        scalar = [record("Force", n, {"subject": n}, seq=n) for n in numbers if n % 3]
        arrays = [record("Force", n, {"subject": n}, seq=n, encoding=LIST) for n in numbers if not n % 3]
        table = pa.table({"value": pa.array([[entry.seq] * entry.seq for entry in arrays])})
        store.write(Batch(chunks=(Chunk(tuple(arrays), table), scalars(scalar, [entry.seq for entry in scalar]))))
        for query in (Latest(), Records(), Entries()):
            chunks = list(store.fetch(query))
            assert [entry for chunk in chunks for entry in chunk.records] == store.find(query)
            assert all(len({entry.encoding for entry in chunk.records}) == 1 for chunk in chunks)
            expected = [n if n % 3 else [n] * n for n in numbers]
            assert values(store, query) == (expected if query != Entries() else expected[::-1])

    def test_several_variables_in_one_fetch(self, store: Store) -> None:
        """One fetch over several variables brings each record with its own payload."""
        for number in (1, 2):
            save(store, "Force", float(number), subject=number)
            save(store, "Emg", -float(number), subject=number)
        assert values(store, Latest()) == [1.0, -1.0, 2.0, -2.0]

    def test_entries_repeat_their_payload(self, store: Store) -> None:
        """Every line of the log comes with its record's payload, also when a record was saved again."""
        save(store, "Force", 1.0, subject=1)
        save(store, "Force", 2.0, subject=1)
        save(store, "Force", 1.0, subject=1)
        assert values(store, Entries()) == [1.0, 2.0, 1.0]
        assert values(store, Entries(limit=2)) == [1.0, 2.0]
        assert values(store, Records()) == [2.0, 1.0]

    def test_stored_records(self, store: Store) -> None:
        """Records that are asked for by their ids alone come each once, with their payloads, whoever knows them."""
        made = call("c1")
        lineage_id = made.computation.lineage_id
        save(store, "Force", 1.0, calls=[made], lineage_id=lineage_id, call_id="c1", output_num=0, subject=1)
        save(store, "Force", 1.0, subject=1)
        save(store, "Emg", 2.0, lineage_id=lineage_id, call_id="c1", output_num=1, subject=2)
        entry = record("Force", 3, {"subject": 3}, encoding=LIST)
        store.write(Batch(chunks=(Chunk((entry,), pa.table({"value": pa.array([[3.0, -0.0, _NAN]])})),)))
        ids = tuple(dict.fromkeys(one.record_id for one in log(store)))
        wanted = repr(sorted([(ids[0], 1.0), (ids[1], 2.0), (ids[2], [3.0, -0.0, _NAN])], key=str))
        for asked in (ids, (*ids, ids[0], "unknown"), ids):
            found = []
            for chunk in store.fetch(Stored(asked)):
                assert chunk.table is not None
                entries = (one.record_id for one in chunk.records)
                found += list(zip(entries, chunk.table.column(0).to_pylist(), strict=True))
            assert repr(sorted(found, key=str)) == wanted
            assert sorted(one.record_id for one in store.find(Stored(asked))) == sorted(ids)
            store.find(Results((lineage_id,)))  # after which two of them are known
        assert [value for number in (0, 1, 0) for value in values(store, Stored((ids[number],)))] == [1.0, 2.0, 1.0]
        assert list(store.fetch(Stored(()))) == []

    def test_nothing_to_fetch(self, store: Store) -> None:
        """A question that nothing answers brings no chunk."""
        save(store, "Force", 1.0, subject=1)
        assert list(store.fetch(Latest(Match(variables=("Emg",))))) == []

    def test_fetch_shows_one_moment(self, store: Store) -> None:
        """What is written while a fetch is under way does not change what it brings."""
        save(store, "Force", 1.0, subject=1)
        chunks = store.fetch(Latest())
        save(store, "Force", 2.0, subject=1)
        first = next(chunks)
        assert first.table is not None
        assert first.table.column(0).to_pylist() in ([1.0], [2.0])
        assert list(chunks) == []

    def test_a_batch_of_two_thousand(self, store: Store) -> None:
        """Two thousand records in one batch are stored whole, and come back in few chunks and in order."""
        count = 2_000
        entries = [record("Force", n, {"subject": n // 10, "trial": n % 10}, seq=n) for n in range(count)]
        backwards = entries[::-1]
        stored = store.write(Batch(chunks=(scalars(backwards, [float(one.seq) for one in backwards]),)))
        assert [entry.seq for entry in stored] == list(range(count))
        assert log(store) == stored
        assert store.find(Latest()) == stored
        chunks = list(store.fetch(Latest()))
        assert len(chunks) <= 20
        assert values(store, Latest()) == [float(n) for n in range(count)]


def _flat(column: pa.ChunkedArray) -> Sequence[pa.Array]:
    return [part.flatten() for part in column.chunks]


def _assert_round_trip(store: Store, table: pa.Table, encoding: str) -> None:
    entries: list[Record] = [
        record("Emg", number, {"subject": number}, seq=number, encoding=encoding) for number in range(table.num_rows)
    ]
    stored = store.write(Batch(chunks=(Chunk(tuple(entries), table),)))
    [chunk] = store.fetch(Latest())
    assert list(chunk.records) == stored
    assert stored == [replace(one, timestamp=stored[0].timestamp) for one in entries]
    _assert_same(chunk.table, table)


def _assert_same(actual: pa.Table | None, expected: pa.Table) -> None:
    assert actual is not None
    assert actual.schema.names == expected.schema.names
    for got, wanted in zip(actual.schema.types, expected.schema.types, strict=True):
        # Stores may name the elements of a list differently, which Arrow counts as another type.
        assert pa.types.is_list(got) == pa.types.is_list(wanted)
        assert (got.value_type if pa.types.is_list(got) else got) == (
            wanted.value_type if pa.types.is_list(wanted) else wanted
        )
    # As text, since nan is not equal to itself and -0.0 is equal to 0.0.
    assert repr(actual.to_pylist()) == repr(expected.to_pylist())
