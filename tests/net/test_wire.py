"""What travels comes back equal, and what is something else is refused, whatever it is."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import itertools
import typing
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb import exceptions
from scidb.exceptions import LimitExceededError, SciDBError, SerializationError
from scidb.filters import Filter, KeyFilter, VariableFilter
from scidb.store import model
from scidb.store.columns import RecordColumns
from scidb.store.model import Batch, Chunk, Record
from scidb.testing.store_suite.samples import record
from scidbnet.wire import coding
from scidbnet.wire.batches import answer_of_records, batch_bytes, batch_from, records_of_answer
from scidbnet.wire.chunks import chunk_parts, chunks_from
from scidbnet.wire.errors import error_from_json, error_to_json
from scidbnet.wire.framing import Parts, end, envelope_from, envelope_to, part
from scidbnet.wire.messages import EVENTS, QUERIES
from scidbnet.wire.plain import from_text, plain_from_json, plain_to_json, to_text
from scidbnet.wire.records import records_from_columns, records_from_json, records_to_json

_texts = st.text(st.characters(codec="utf-8"), max_size=5)
_keys: st.SearchStrategy[Any] = st.one_of(
    st.integers(), st.floats(allow_nan=False), _texts, st.dates(), st.datetimes(timezones=st.none() | st.just(dt.UTC))
)
_left = VariableFilter("Side", "==", "L")
_filters = st.sampled_from([KeyFilter("subject", ">=", 3), ~(_left & KeyFilter("day", "<", dt.date(2026, 1, 2)))])
_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: _texts,
    int: st.integers(),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    type(None): st.none(),
    object: _texts,
    Filter: _filters,
    model.KeyValue: _keys,
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Return values of a type hint of the model."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if dataclasses.is_dataclass(hint):
        return instances_of(typing.cast("type[Any]", hint))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is collections.abc.Mapping:
        return st.dictionaries(_texts, values_of(arguments[1]), max_size=2)
    return st.one_of([values_of(member) for member in arguments])


def instances_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Return instances of a dataclass of the model."""
    hints = typing.get_type_hints(kind, localns=coding._NAMES)
    return st.builds(kind, **{one.name: values_of(hints[one.name]) for one in dataclasses.fields(kind)})


_OWN = {model.Answers, model.Answered}  # those of a server, which do not travel
_QUERIES = [
    kind
    for kind in vars(model).values()
    if isinstance(kind, type) and issubclass(kind, model.Query) and kind not in _OWN
]


@given(st.data())
@pytest.mark.parametrize("kind", [kind for kind in _QUERIES if kind is not model.Query])
def test_questions(kind: type[Any], data: st.DataObject) -> None:
    """Every question comes back equal, through its text."""
    query = data.draw(instances_of(kind))
    assert QUERIES.read(from_text(to_text(QUERIES.write(query)), "x"), "x") == query


@given(st.data())
@pytest.mark.parametrize("kind", [kind for kind in typing.get_args(model.Event) if kind not in _OWN])
def test_events(kind: type[Any], data: st.DataObject) -> None:
    """Every event comes back equal, through its text."""
    event = data.draw(instances_of(kind))
    assert EVENTS.read(from_text(to_text(EVENTS.write(event)), "x"), "x") == event


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


_PARTS = st.sampled_from(["match", "limit", "keys", "as_of", "record_ids", "since"])
_nearly = st.builds(
    lambda kind, rest: {**rest, "kind": kind.__name__},
    st.sampled_from(_QUERIES),
    st.dictionaries(_PARTS, _JSON, max_size=3),
)


@given(data=st.one_of(_JSON, _nearly))
def test_what_is_no_question(data: Any) -> None:
    """JSON that is no question is refused as such, and as nothing else."""
    try:
        query = QUERIES.read(data, "query")
    except SciDBError:
        return
    assert isinstance(query, model.Query)


@given(st.lists(instances_of(Record), max_size=4))
def test_records(records: list[Record]) -> None:
    """Records come back equal, with every location as it was."""
    assert records_from_json(from_text(to_text(records_to_json(records)), "x")) == records


def test_locations_keep_the_order_of_keys() -> None:
    """Of records at several levels, each location keeps its keys in schema order."""
    places: list[Any] = [{"trial": 1}, {"subject": 2, "trial": 3}, {"subject": 1, "session": "a"}]
    back = records_from_json(records_to_json([record("Force", 1.0, place) for place in places]))
    assert [list(one.schema.items()) for one in back] == [list(place.items()) for place in places]


def _more(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(_texts, inner)


@given(st.recursive(_keys | st.none() | st.booleans(), _more, max_leaves=5))
def test_details_of_errors(value: Any) -> None:
    """Plain values among the details of an error keep their types: tuples, dates, infinities."""
    back = plain_from_json(from_text(to_text(plain_to_json(value)), "x"), "x")
    assert (back, type(back)) == (value, type(value))


def _all_errors(kind: type[SciDBError]) -> list[type[SciDBError]]:
    own = [kind] if kind.__module__ == exceptions.__name__ else []
    return own + [one for below in kind.__subclasses__() for one in _all_errors(below)]


@pytest.mark.parametrize("kind", _all_errors(SciDBError))
def test_errors(kind: type[SciDBError]) -> None:
    """Every error crosses as itself, with message and attributes (N1)."""
    error = error_from_json(from_text(to_text(error_to_json(kind("It failed.", record_ids=["a"], place=(1, 2)))), "x"))
    assert (type(error), str(error), error.details) == (kind, "It failed.", {"record_ids": ["a"], "place": (1, 2)})


# ------------------------------------------------------------------ bytes


def test_envelope() -> None:
    """An envelope is 4 bytes of length, a header in JSON, and a body."""
    assert b"".join(envelope_to({"a": 1}, b"xyz")) == b'\x00\x00\x00\x07{"a":1}xyz'
    read = envelope_from(b'\x00\x00\x00\x07{"a":1}xyz')
    assert (read.header, bytes(read.body)) == ({"a": 1}, b"xyz")


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x00\x00", b"\x00\x00\x00\x09{}", b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x02{x"]
)
def test_what_is_no_envelope(data: bytes) -> None:
    """Anything else is refused (N5)."""
    with pytest.raises(SerializationError):
        envelope_from(data)


def test_header_that_is_too_long() -> None:
    """A header longer than allowed is not even read."""
    with pytest.raises(LimitExceededError):
        envelope_from(b"\x00\x00\x00\x0c" + b'{"a":"12345"}'[:12], header_limit=11)


def _stream(count: int, claimed: int | None = None) -> bytes:
    pieces = [piece for number in range(count) for piece in part({"number": number}, b"x" * number)]
    return b"".join(pieces + end(count if claimed is None else claimed))


@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_parts_arrive_in_any_pieces(cuts: list[int]) -> None:
    """How a stream is cut on its way makes no difference."""
    data = _stream(4)
    marks = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in itertools.pairwise(marks)]
    assert [(one.header["number"], len(one.body)) for one in Parts(pieces)] == [(n, n) for n in range(4)]


@pytest.mark.parametrize("length", range(len(_stream(2))))
def test_a_cut_stream_is_noticed(length: int) -> None:
    """A stream that ends before its last part is an error wherever it is cut."""
    with pytest.raises(SerializationError, match="cut"):
        list(Parts([_stream(2)[:length]]))


def test_a_stream_of_another_count() -> None:
    """So is one of which parts are missing, or that goes on."""
    with pytest.raises(SerializationError, match="2 parts came of a stream of 3"):
        list(Parts([_stream(2, claimed=3)]))
    with pytest.raises(SerializationError, match="after the end"):
        list(Parts([_stream(2), b"x"]))


def test_part_that_is_too_long() -> None:
    """The length that a part claims is checked before anything is kept for it."""
    with pytest.raises(LimitExceededError):
        list(Parts([b"\xff\xff\xff\xff"]))


def _chunk(values: list[list[float]]) -> Chunk:
    table = pa.table({"value": pa.array(values, pa.large_list(pa.float64()))})
    return Chunk(tuple(record("Force", float(n), {"subject": n}) for n in range(len(values))), table)


@given(
    values=st.lists(st.lists(st.floats(allow_nan=False), max_size=50), min_size=1, max_size=3), size=st.integers(1, 900)
)
def test_chunks_in_slices(values: list[list[float]], size: int) -> None:
    """A chunk comes back whole whatever the length of its slices."""
    chunk = _chunk(values)
    data = b"".join(piece for pieces in chunk_parts(chunk, size) for piece in pieces)
    count = len(list(chunk_parts(chunk, size)))
    [back] = chunks_from(Parts([data + b"".join(end(count))]))
    assert back.table is not None
    assert (tuple(back.records), back.table.equals(chunk.table)) == (chunk.records, True)


def test_batches() -> None:
    """A batch comes back whole: chunks with and without data, calls, edges, events."""
    computation = model.Computation("l", "f", "h", "i", "1")
    call = model.Call("c", computation, (model.CallInput("x", "constant", value_repr="1"),), seconds=0.5)
    again = Chunk((record("Force", 9.0, {"subject": 9}),), None)
    batch = Batch((_chunk([[1.0], [2.0]]), again), (call,), (model.Edge("A", "B", "f", "h"),), (model.Tagged("t"),))
    back = batch_from(memoryview(b"".join(batch_bytes(batch))))
    assert (back.calls, back.edges, back.events) == (batch.calls, batch.edges, batch.events)
    assert [tuple(chunk.records) for chunk in back.chunks] == [tuple(chunk.records) for chunk in batch.chunks]
    assert [chunk.table is None for chunk in back.chunks] == [False, True]


def test_what_became_of_records() -> None:
    """The answer to a write says when, and what is not as it was sent."""
    batch = Batch((_chunk([[1.0], [2.0]]),))
    sent = batch.chunks[0].records
    stamped = [dataclasses.replace(one, timestamp="2026", user_id="ada") for one in sent]
    stored = [stamped[0], dataclasses.replace(stamped[1], nbytes=7)]
    assert records_of_answer(batch, from_text(to_text(answer_of_records(batch, stored)), "x")) == stored


def _by_column(records: list[Record], places: dict[str, list[Any]]) -> RecordColumns:
    fields = {name: [getattr(one, name) for one in records] for name in Record.__slots__ if name != "schema"}
    whole = {"schema_version", "nbytes", "output_num", "piece", "pieces", "seq"}
    kinds = {name: pa.int64() if name in whole else pa.string() for name in fields}
    return RecordColumns(pa.table({name: pa.array(values, kinds[name]) for name, values in fields.items()}), places)


def _logged(count: int) -> RecordColumns:
    places: dict[str, list[Any]] = {"subject": list(range(count)), "day": [None] + [dt.date(2026, 1, 2)] * (count - 1)}
    made = [
        dataclasses.replace(record("Force", float(n), {}), timestamp=f"{n:04}", seq=n, piece=None if n % 2 else n)
        for n in range(count)
    ]
    return _by_column(made, places)


def _parts_of(records: RecordColumns) -> list[bytes]:
    chunk = Chunk(records, pa.table({"value": [float(n) for n in range(len(records))]}))
    return [b"".join(pieces) for pieces in (*chunk_parts(chunk, by_column=True), end(1))]


@pytest.mark.parametrize("count", [1, 100])
def test_many_records_go_by_column(count: int) -> None:
    """Many records come back equal though they travel as Arrow, with what they have in common said once."""
    sent = _logged(count)
    [back] = chunks_from(Parts(_parts_of(sent)), given=True)
    assert (list(back.records), list(back.records[:1])) == (list(sent), list(sent[:1]))
    assert back.table is not None
    assert back.table["value"].to_pylist() == [float(n) for n in range(count)]


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("count", lambda described: described["count"] + 1),
        ("nbytes", lambda described: described["nbytes"] - 8),
        ("nbytes", lambda _: -1),
        ("nbytes", lambda _: True),
        ("nbytes", lambda _: 2**40),
        ("columns", lambda described: {**described["columns"], "record_id": {"all": "a"}}),
        ("columns", lambda described: {**described["columns"], "nbytes": {"all": "many"}}),
        ("columns", lambda described: {**described["columns"], "schema_id": {"all": 1}}),
        ("columns", lambda _: {}),
        ("schema", lambda _: {"subject": [1, 2]}),
    ],
)
def test_what_are_no_records_by_column(name: str, wrong: typing.Callable[[Any], Any], *, given: bool) -> None:
    """Records as Arrow that are not what their header says are refused; a server takes none from a client at all."""
    [one] = Parts(_parts_of(_logged(50)))
    described = {**one.header["records"], name: wrong(one.header["records"])}
    stream = b"".join([*part({**one.header, "records": described}, one.body), *end(1)])
    with pytest.raises(SerializationError):
        list(chunks_from(Parts([stream]), given=given))


def test_a_record_without_an_id_is_none() -> None:
    """What every record has is missing in none of those that came as Arrow."""
    table = pa.table({"record_id": pa.array(["a", None])}, schema=pa.schema([pa.field("record_id", pa.string())]))
    [one] = Parts(_parts_of(_logged(50)))
    described = {key: value for key, value in one.header["records"].items() if key != "nbytes"}
    with pytest.raises(SerializationError):
        records_from_columns({**described, "count": 2}, table)
