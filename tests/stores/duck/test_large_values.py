"""Values that arrive in many batches: in their order, whole, or not at all."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidb.exceptions import CorruptDatabaseError
from scidb.store.duck import DuckStore, connection, payloads
from scidb.store.gather import Elements
from scidb.store.model import Batch, Chunk, Latest, Record, SchemaKey, TypeInfo

if TYPE_CHECKING:
    from pathlib import Path

KEYS = (SchemaKey("subject", "int"),)
NAME = "Signal"


@pytest.fixture(autouse=True)
def tiny_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stream everything, in batches of one vector of DuckDB."""
    monkeypatch.setattr(payloads, "STREAMED", 0)
    monkeypatch.setattr(connection, "_BATCH_ROWS", 2048)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.duckdb"


def _columns(length: int, seed: int = 0) -> dict[str, pa.Array]:
    rng = np.random.default_rng(seed)
    missing = rng.random(length) < 0.1
    signed = np.where(rng.random(length) < 0.1, -0.0, np.round(rng.normal(size=length), 2))
    texts = ["" if number % 7 == 0 else f"é{number}" * (number % 3) for number in range(length)]
    return {
        "number": pa.array(rng.normal(size=length)),
        "small": pa.array(rng.integers(-100, 100, length).astype(np.int8), mask=missing),
        "signed": pa.array(signed),
        "flag": pa.array(rng.random(length) < 0.5, mask=missing),
        "text": pa.array(texts, pa.string(), mask=missing),
        "bytes": pa.array([text.encode() for text in texts], pa.large_binary()),
        "time": pa.array(rng.integers(0, 2**40, length), pa.timestamp("ns"), mask=missing),
        "day": pa.array(rng.integers(0, 20_000, length).astype(np.int32)).cast(pa.date32()),
    }


def _table(lengths: list[int]) -> pa.Table:
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))))
    columns = _columns(sum(lengths))
    return pa.table({name: pa.LargeListArray.from_arrays(offsets, column) for name, column in columns.items()})


def _save(path: Path, table: pa.Table) -> None:
    subjects = range(table.num_rows)
    records = tuple(Record(f"{n:064x}", NAME, {"subject": n}, "{}", f"{n:064x}", 1, "{}", 8, seq=n) for n in subjects)
    with closing(DuckStore.open(path, KEYS)) as store:
        store.register(TypeInfo(NAME))
        store.write(Batch(chunks=(Chunk(records, table),)))


def _load(path: Path) -> pa.Table:
    with closing(DuckStore.open(path, read_only=True)) as store:
        tables = [chunk.table for chunk in store.fetch(Latest())]
    assert all(tables)
    return pa.concat_tables([table for table in tables if table is not None]).combine_chunks()


def _change(path: Path, *statements: str) -> None:
    with duckdb.connect(path) as other:
        for statement in statements:
            other.execute(statement)


@pytest.mark.parametrize("lengths", [[7_000], [1], [0], [0, 5_000, 0, 2_048, 1, 0], [2_048, 2_048]])
def test_batches_make_the_value(path: Path, lengths: list[int]) -> None:
    """Whatever the lengths, every type comes back as it was, missing items and signs of zeros included."""
    table = _table(lengths)

    _save(path, table)
    loaded = _load(path)

    assert loaded.equals(table.cast(loaded.schema))
    signs = [np.signbit(one.column("signed").combine_chunks().flatten().to_numpy()) for one in (loaded, table)]
    assert np.array_equal(*signs)


@pytest.mark.parametrize("nbytes_known", [True, False])
def test_rewritten_in_another_order(path: Path, monkeypatch: pytest.MonkeyPatch, *, nbytes_known: bool) -> None:
    """Rows that another program has put in another order come back in theirs, streamed or not."""
    monkeypatch.setattr(payloads, "STREAMED", 0 if nbytes_known else 2**60)
    table = _table([3_000, 0, 4_000])
    _save(path, table)

    _change(path, f'CREATE TABLE other AS FROM "{NAME}_data"', f'DELETE FROM "{NAME}_data"')
    _change(path, f'INSERT INTO "{NAME}_data" FROM other ORDER BY hash("row"), record_no', "DROP TABLE other")
    loaded = _load(path)

    assert loaded.equals(table.cast(loaded.schema))


@pytest.mark.parametrize(
    "change",
    [
        f'DELETE FROM "{NAME}_data" WHERE "row" = 2500',
        f'DELETE FROM "{NAME}_data" WHERE "row" = 0',
        f'INSERT INTO "{NAME}_data" FROM "{NAME}_data" WHERE "row" = 4999',
    ],
    ids=["one is missing", "the first is missing", "one is there twice"],
)
def test_damaged_rows(path: Path, change: str) -> None:
    """A row that is missing or there twice is damage, and no shorter or longer value."""
    _save(path, _table([5_000]))

    _change(path, change)

    with pytest.raises(CorruptDatabaseError, match="no complete data"):
        _load(path)


@pytest.mark.parametrize("counted", [2, 4])
def test_another_count(counted: int) -> None:
    """A stream that ends early, or brings more than was counted, gives nothing: DuckDB 1.x may cut one off."""
    elements = Elements(np.array([7]), [pa.int64()], counted)

    elements.take(np.full(3, 7), np.arange(3), [pa.array([1, 2, 3])])

    assert elements.lists() is None


def test_the_handle_goes_on_after_a_failure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in the middle of a stream leaves a handle that reads on."""
    table = _table([20_000])
    _save(path, table)
    original, calls = Elements.take, 0

    def take(self: Elements, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        original(self, *arguments)

    monkeypatch.setattr(Elements, "take", take)
    with closing(DuckStore.open(path, read_only=True)) as store:
        with pytest.raises(KeyboardInterrupt):
            list(store.fetch(Latest()))
        (chunk,) = store.fetch(Latest())

    assert chunk.table is not None
    assert chunk.table.num_rows == 1
    assert len(chunk.table.column("number")[0]) == 20_000


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=5),
    st.lists(st.integers(0, 30), max_size=5),
    st.randoms(use_true_random=False),
)
def test_only_what_is_in_order_is_taken(lengths: list[int], cuts: list[int], random: Any) -> None:
    """However the batches are cut: in order all is taken, and with any two elements swapped nothing."""
    numbers = np.arange(3, 3 + 2 * len(lengths), 2)
    owner = np.repeat(numbers, lengths)
    place = np.concatenate([np.arange(length) for length in lengths])
    total = len(owner)

    def gathered() -> list[pa.Array] | None:
        elements = Elements(numbers, [pa.int64()], total)
        edges = sorted({0, total, *(min(cut, total) for cut in cuts)})
        for start, stop in pairwise(edges):
            within = slice(start, stop)
            elements.take(owner[within], place[within], [pa.array(np.arange(start, stop))])
        return elements.lists()

    whole = gathered()
    assert whole is not None
    assert [len(cell) for cell in whole[0]] == lengths
    assert whole[0].values.to_pylist() == list(range(total))
    if total > 1:
        one, other = random.sample(range(total), 2)
        owner[[one, other]], place[[one, other]] = owner[[other, one]], place[[other, one]]
        assert gathered() is None


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
@given(pieces=st.lists(st.lists(st.none() | st.text(max_size=40), max_size=6), max_size=5), cut=st.integers(0, 2))
def test_text_of_uneven_pieces(kind: pa.DataType, pieces: list[list[str | None]], cut: int) -> None:
    """Text comes together from pieces of any size, slices among them, whichever offsets they have."""
    arrays = [pa.array(piece, pa.string()).cast(kind).slice(cut) for piece in pieces]
    total = sum(map(len, arrays))
    large = pa.large_binary() if kind == pa.binary() else pa.large_string()
    elements = Elements(np.array([7]), [large], total)
    place = 0
    for array in arrays:
        elements.take(np.full(len(array), 7), np.arange(place, place + len(array)), [array])
        place += len(array)

    [found] = elements.lists() or []

    assert found.values.type == large
    assert found.values.to_pylist() == [item for array in arrays for item in array.to_pylist()]
