"""A large value is sent while it is read: in pieces, complete, in order, and whatever its types."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.net.serving import serve

import scidb
from scidb import BaseVariable
from scidb.exceptions import CorruptDatabaseError, LimitExceededError, SerializationError
from scidb.hashing.ids import content_hash, record_id
from scidb.records import encode_stored
from scidb.store import Wrapper, open_store
from scidb.store.duck.large import LargeValue
from scidb.store.model import Batch, Chunk, Entries, Latest, Match, Record, SchemaKey, Tagged, Tags, TypeInfo
from scidb.store.unread import NotInPieces, Unread
from scidbnet.server.exchange.verify import Verified
from scidbnet.wire.chunks import chunk_parts, chunks_from
from scidbnet.wire.framing import Parts, end, envelope_to, part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scidb.store import Store

ROWS = 300_000
"""More than two batches of the file."""


class LargeTable(BaseVariable):
    """A table of all kinds of columns."""


class LargeSignal(BaseVariable):
    """An array."""


def table(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 100, rows)
    moments = pd.Timestamp("2026-01-01") + pd.to_timedelta(whole, "D")
    columns: dict[str, Any] = {
        f"number_{kind}": whole.astype(kind)
        for kind in ("int8", "int16", "int32", "int64", "uint8", "uint64", "float32", "float64", "bool")
    }
    columns |= {
        "zeros": np.where(whole % 2, -0.0, 0.0),
        "text": pd.array([f"μ{n}" for n in whole], "object"),
        "gaps": pd.array([None if n == 3 else f"{n}" for n in whole], "object"),
        "moment": moments,
        "zoned": moments.tz_localize("Europe/Berlin"),
        "lag": pd.to_timedelta(whole, "s"),
        "kind": pd.Categorical([f"c{n % 5}" for n in whole]),
        "nullable": pd.array([None if n == 7 else n for n in whole.tolist()], "Int64"),
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "study.duckdb"
    with scidb.open(path, {"subject": int}) as db:
        LargeTable.save(table(), subject=1, db=db)
        LargeSignal.save(np.arange(float(ROWS)), subject=1, db=db)
    return path


@pytest.fixture
def chunk(file: Path) -> Iterator[Unread]:
    """Give a value as a store has found it."""
    with closing(open_store(file)) as store:
        [found] = store.fetch(Latest(Match(variables=("LargeSignal",))))
        assert isinstance(found, Unread)
        yield found


def sent(chunk: Chunk) -> list[bytes]:
    """Return the parts of a chunk as they travel."""
    return [b"".join(bytes(piece) for piece in pieces) for pieces in chunk_parts(chunk)]


def received(parts: list[bytes]) -> list[Chunk]:
    stream = [*parts, b"".join(bytes(piece) for piece in end(len(parts)))]
    return list(chunks_from(Parts(stream), given=True))


def values(chunk: Chunk) -> Any:
    assert chunk.table is not None
    return chunk.table["value"][0].values.to_numpy()


@pytest.mark.slow
def test_every_kind_of_column_comes_back(file: Path) -> None:
    """A table loaded from a server is the table loaded from the file, to the type of each column."""
    target = serve([SchemaKey("subject", "int")])
    with scidb.open(target) as db:
        LargeTable.save(table(), subject=1, db=db)
        remote = LargeTable.load(subject=1, db=db).data
        remote.iloc[0, 0] = 5  # it is the value's own memory
    with scidb.open(file) as db:
        local = LargeTable.load(subject=1, db=db).data

    pd.testing.assert_frame_equal(remote.iloc[1:], local.iloc[1:])
    assert np.signbit(remote["zeros"]).sum() == np.signbit(local["zeros"]).sum() > 0


def test_it_is_sent_in_pieces_before_it_is_whole(chunk: Unread, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of one row is never made at the server."""
    monkeypatch.setattr(LargeValue, "table", lambda _: pytest.fail("It was read whole."))

    parts = sent(chunk)

    assert len(parts) == 1 + 3  # of 122,880 rows
    assert np.array_equal(values(received(parts)[0]), np.arange(float(ROWS)))


def test_what_is_not_in_order_comes_again_as_a_whole(chunk: Unread, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else has rewritten the table: what was sent until then is forgotten."""
    pieces = LargeValue.pieces

    def unordered(self: LargeValue) -> Iterator[pa.RecordBatch]:
        yield next(pieces(self))
        raise NotInPieces

    monkeypatch.setattr(LargeValue, "pieces", unordered)
    [found] = received(sent(chunk))

    assert np.array_equal(values(found), np.arange(float(ROWS)))


def test_rows_that_were_reordered_are_noticed(tmp_path: Path) -> None:
    """Another tool sorted the table otherwise: the value is the same, by way of a query that sorts."""
    import duckdb

    path = tmp_path / "study.duckdb"
    with scidb.open(path, {"subject": int}) as db:
        LargeSignal.save(np.arange(float(ROWS)), subject=1, db=db)
    with duckdb.connect(path) as connection:
        name = LargeSignal.table_name()
        connection.execute(f'CREATE TABLE other AS SELECT * FROM "{name}" ORDER BY "row" DESC')
        connection.execute(f'DELETE FROM "{name}"')
        connection.execute(f'INSERT INTO "{name}" SELECT * FROM other')
        connection.execute("DROP TABLE other")
    with closing(open_store(path)) as store:
        [found] = store.fetch(Latest())
        parts = sent(found)

        assert any(b'"again"' in one[:64] for one in parts)
        assert np.array_equal(values(received(parts)[0]), np.arange(float(ROWS)))


def test_rows_that_are_missing_are_an_error(chunk: Unread, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is shorter than it was counted is none."""
    monkeypatch.setattr(LargeValue, "count", lambda _: ROWS + 1)

    with pytest.raises(CorruptDatabaseError, match="complete"):
        sent(chunk)


def test_a_stream_of_elements_that_is_cut_is_no_value(chunk: Unread) -> None:
    """Nor one with too few, too many, or other ones than announced."""
    parts = sent(chunk)
    body = b"".join(bytes(one) for one in envelope_to({"kind": "more", "continued": False}, parts[1][-100:]))
    other = [
        parts[:2],
        parts[:-1],
        [parts[0], *parts[2:]],
        [*parts, parts[-1]],
        [parts[0], parts[0]],
        [parts[0], len(body).to_bytes(4, "big") + body],
    ]
    for wrong in other:
        with pytest.raises(SerializationError):
            received(wrong)


@pytest.mark.parametrize(
    ("count", "kind"),
    [(-1, pa.float64()), ("5", pa.float64()), (2**62, pa.float64()), (5, pa.list_(pa.int8())), (5, None)],
)
def test_announcements_that_cannot_be_meant_are_refused(count: Any, kind: pa.DataType | None) -> None:
    """A number of elements that is none or that no memory holds; types that have no elements, or strange ones."""
    schema = pa.schema([("value", pa.int64() if kind is None else pa.large_list(kind))])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema):
        pass
    records: dict[str, Any] = {"count": 0, "columns": {}, "schema": {}}
    header = {"kind": "chunk", "records": records, "format": "elements", "count": count, "continued": True}
    with pytest.raises(SerializationError):
        received([b"".join(bytes(one) for one in part(header, memoryview(sink.getvalue())))])


def test_a_write_does_not_come_in_elements(chunk: Unread) -> None:
    """A server takes whole values alone, of which nobody can claim that they are larger than they are."""
    parts = sent(chunk)
    stream = [*parts, b"".join(bytes(piece) for piece in end(len(parts)))]

    with pytest.raises(SerializationError, match="format arrow"):
        list(chunks_from(Parts(stream)))


# ------------------------------------------------------------------ writing


def batch(value: Any, content: str | None = None) -> Batch:
    """Return what stores an array, with its hash or another one."""
    [encoded] = encode_stored([value], custom=False)
    made = Record("", "LargeSignal", {"subject": 2}, "{}", content or content_hash(value), 1, encoded.encoding, 8)
    made = replace(made, record_id=record_id("LargeSignal", 1, made.content_hash, made.schema, {}))
    return Batch((Chunk((made,), encoded.table),))


@pytest.fixture(params=["memory", "duck"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    keys = [SchemaKey("subject", "int")]
    with closing(open_store("memory:" if request.param == "memory" else tmp_path / "study.duckdb", keys)) as store:
        store.register(TypeInfo("LargeSignal"))
        yield store


def test_a_large_value_is_verified_while_it_is_stored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store begins before the hash is known."""
    has_begun = threading.Event()

    class Beginning(Wrapper):
        def write(self, batch: Batch) -> list[Record]:
            has_begun.set()
            return super().write(batch)

    def check(*_: object) -> None:
        assert has_begun.wait(20)

    monkeypatch.setattr(Verified, "_check", check)
    assert len(Verified(Beginning(store)).write(batch(np.arange(1e6)))) == 1


def test_a_large_value_that_is_not_what_was_sent_is_not_stored(store: Store) -> None:
    """What began to be stored is undone, and the next write finds nothing in its way."""
    verified = Verified(store)
    with pytest.raises(SerializationError, match="not the one that was sent"):
        verified.write(batch(np.arange(1e6), "0" * 64))

    assert store.find(Entries()) == []
    assert len(verified.write(batch(np.arange(1e6)))) == 1
    assert np.array_equal(values(next(store.fetch(Latest()))), np.arange(1e6))


def test_what_is_wrong_with_a_value_is_said_first(store: Store) -> None:
    """A value that is damaged and cannot be stored either is damaged."""
    wrong = batch(np.arange(1e6), "0" * 64)
    elsewhere = replace(wrong.chunks[0].records[0], schema={"nowhere": 1})
    with pytest.raises(SerializationError, match="not the one that was sent"):
        Verified(store).write(replace(wrong, chunks=(replace(wrong.chunks[0], records=(elsewhere,)),)))


def test_a_store_asks_before_it_commits(store: Store) -> None:
    """When the check of a batch raises, nothing of the batch is there."""

    def refuse() -> None:
        raise LimitExceededError("No.")

    with pytest.raises(LimitExceededError):
        store.write(replace(batch(np.arange(10.0)), events=(Tagged("no"),), check=refuse))

    assert store.find(Entries()) == []
    assert store.find(Tags()) == []
