"""A wrapper is a store; a read-only one reads like the store inside and refuses to change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from scidb.exceptions import StorageError, UnsupportedOperationError
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, Edge, Entries, Latest, Records, TraceQuery, TypeInfo
from scidb.store.wrap import ReadOnly, Wrapper
from scidb.testing import StoreTests
from scidb.testing.store_suite.samples import KEYS, call, record, save, scalars, used, values

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scidb.store.model import SchemaKey
    from scidb.store.protocol import Sql, Store


class TestWrapper(StoreTests):
    def make_store(self, schema_keys: Sequence[SchemaKey], tmp_path: Path) -> Store:
        return Wrapper(MemoryStore(schema_keys))

    def make_clocked_store(
        self, schema_keys: Sequence[SchemaKey], tmp_path: Path, clock: Callable[[], dt.datetime]
    ) -> Store:
        return Wrapper(MemoryStore(schema_keys, clock=clock))


class SqlStore(MemoryStore):
    """A store with the ability ``sql``, which answers with the question."""

    def sql(self, query: str, parameters: Sequence[object] = (), **_: Any) -> pa.Table:
        return pa.table({"query": [query], "parameters": [list(parameters)]})


@pytest.fixture
def inside() -> MemoryStore:
    store = MemoryStore(KEYS)
    store.register(TypeInfo("Force"))
    store.register(TypeInfo("Emg"))
    raw = save(store, "Force", 1.0, subject=1)
    save(store, "Emg", 2.0, calls=[call("c1", used(raw))], call_id="c1", subject=1)
    store.write(Batch(edges=(Edge("Force", "Emg", "f", "h"),)))
    return store


def test_read_only_reads(inside: MemoryStore) -> None:
    """Every reading verb answers as the store inside does."""
    store = ReadOnly(inside)
    raw = inside.find(Latest())[0]
    assert store.describe().read_only
    assert store.describe().schema_keys == KEYS
    assert store.types() == inside.types()
    for query in (Latest(), Records(), Entries()):
        assert store.find(query) == inside.find(query)
        assert values(store, query) == values(inside, query)
    down = TraceQuery((raw.record_id,), "down", edges=True)
    assert store.trace(down) == inside.trace(down)


def test_read_only_refuses_to_change(inside: MemoryStore) -> None:
    """Writing and registering are refused, saying what to do, and change nothing."""
    store, before = ReadOnly(inside), inside.find(Entries())
    entry = record("Force", 3.0, {"subject": 1})
    with pytest.raises(StorageError, match=r"read-only; a batch of 1 records.*Open it for writing"):
        store.write(Batch(chunks=(scalars([entry], [3.0]),)))
    with pytest.raises(StorageError, match=r"read-only; variable 'New'.*Open it for writing"):
        store.register(TypeInfo("New"))
    assert inside.find(Entries()) == before
    assert [info.name for info in inside.types()] == ["Emg", "Force"]


def test_read_only_closes(inside: MemoryStore) -> None:
    """Closing the wrapper closes the store inside."""
    store = ReadOnly(inside)
    store.close()
    with pytest.raises(StorageError, match="closed"):
        inside.find(Latest())


def test_sql_is_handed_on() -> None:
    """SQL reaches a store that has the ability, and is refused by name where it has not."""
    able: Sql = ReadOnly(SqlStore(KEYS))
    assert able.sql("SELECT ?", [1]).to_pylist() == [{"query": "SELECT ?", "parameters": [1]}]
    with pytest.raises(UnsupportedOperationError, match="'memory:'"):
        ReadOnly(MemoryStore(KEYS)).sql("SELECT 1")
