"""SQL over HTTP: off unless allowed, within limits, and unable to reach the server's other files (N8)."""

from __future__ import annotations

import datetime as dt
import decimal
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from tests.net.serving import serve

import scidb
from scidb import BaseVariable, raw_sql
from scidb.exceptions import (
    FilterError,
    LimitExceededError,
    PermissionDeniedError,
    QueryError,
    UnsupportedOperationError,
)
from scidb.store import Sql
from scidb.store.model import SchemaKey
from scidbnet.client import HttpStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = [SchemaKey("subject", "int")]
ENDLESS = "SELECT count(*) FROM range(1_000_000) a, range(1_000_000) b WHERE a.range + b.range = 3"


class Force(BaseVariable): ...


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return where a file with three values is served, for SQL of 1000 rows and half a second."""
    file = tmp_path_factory.mktemp("sql") / "study.duckdb"
    address = serve(KEYS, str(file), allow_sql=True, sql_rows=1000, sql_seconds=0.5)
    with scidb.open(address) as db:
        Force.save_many([(float(n), {"subject": n}) for n in range(3)], db=db)
    return address


@pytest.fixture
def store(address: str) -> Iterator[HttpStore]:
    store = HttpStore.open(address)
    yield store
    store.close()


def test_offered(address: str, store: HttpStore) -> None:
    """A server that allows SQL says so, and answers it."""
    assert store.describe().abilities == ("sql", "maintenance", "snapshots", "claims")
    assert isinstance(store, Sql)
    with scidb.open(address) as db:
        assert db.query("SELECT sum(value) AS total FROM Force").to_arrow().to_pylist() == [{"total": 3.0}]
        assert len(db.load_all(Force, as_df=True, where=raw_sql("value > 0"))) == 2


def test_off_by_default() -> None:
    """Nobody asks SQL, not even in a filter, unless the owner of the server said so; who tries learns whom to ask."""
    with scidb.open(serve(KEYS)) as db:
        Force.save(1.0, subject=1, db=db)
        assert db._store.describe().abilities == ("maintenance", "claims")
        with pytest.raises(PermissionDeniedError, match=r"scidb serve --allow-sql") as refused:
            db.query("SELECT 1")
        assert refused.value.details["ability"] == "sql"
        for ask in (db.load, db.find_record):
            with pytest.raises(PermissionDeniedError, match="raw_sql filters are off"):
                ask(Force, where=raw_sql("value > 0"))


def test_a_store_without_sql() -> None:
    """Where the store has no SQL, that is what is said."""
    store = HttpStore(serve(KEYS, allow_sql=True))
    with pytest.raises(UnsupportedOperationError, match="no SQL"):
        store.sql("SELECT 1")


def test_rows_are_limited(store: HttpStore) -> None:
    """Not a row more than the server allows; a client may ask for less, and not for more."""
    assert len(store.sql("FROM range(1000)")) == 1000
    for rows, limit in ((1001, None), (10**9, None), (11, 10), (1001, 10**6)):
        with pytest.raises(LimitExceededError, match="more than"):
            store.sql(f"FROM range({rows})", max_rows=limit)
        with pytest.raises(LimitExceededError, match="more than"):
            store.sql("FROM range(?)", [rows], max_rows=limit)
    assert len(store.sql("FROM range(10)", max_rows=10)) == 10


def test_time_is_limited(store: HttpStore) -> None:
    """A query that takes too long is stopped, really: its time is over soon after, and so is its work."""
    for limit in (None, 0.1, 1000.0):
        begun = time.monotonic()
        with pytest.raises(LimitExceededError, match="was stopped"):
            store.sql(ENDLESS, max_seconds=limit)
        assert time.monotonic() - begun < 20
    assert store.sql("SELECT 1 AS x").to_pylist() == [{"x": 1}]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT content FROM read_text('{file}')",
        "ATTACH '{file}' AS other",
        "COPY Force TO '{file}.csv'",
        "DELETE FROM _records",
        "SELECT 1; SELECT 2",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "SELECT getenv('HOME')",
    ],
)
def test_nothing_else_is_reached(store: HttpStore, tmp_path: Path, query: str) -> None:
    """N8: SQL of a client neither changes the database nor reads or writes any file."""
    file = tmp_path / "other.duckdb"
    file.write_text("secret")
    with pytest.raises(QueryError):
        store.sql(query.format(file=file))
    assert [path.name for path in tmp_path.iterdir()] == ["other.duckdb"]


@pytest.mark.parametrize(
    "condition",
    [
        "(SELECT count(*) FROM read_csv('/etc/passwd')) > 0",
        "(SELECT count(*) FROM '/etc/passwd') > 0",
        "value > (SELECT count(*) FROM read_text('{file}'))",
        "1 = 1) OR (SELECT true",
        "value > 0; DROP VIEW Force",
        "getenv('HOME') = ''",
    ],
)
def test_nothing_else_is_reached_by_a_filter(address: str, tmp_path: Path, condition: str) -> None:
    """N8: a condition in SQL is behind the same fences."""
    file = tmp_path / "other.duckdb"
    file.write_text("secret")
    with scidb.open(address) as db, pytest.raises((QueryError, FilterError)):
        db.load(Force, where=raw_sql(condition.format(file=file)))


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 3, 0.5, "a", "ä'; --", [1, 2], [], np.int64(3), np.float32(0.5)),
        *(dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 3, 4, 5, 6), dt.time(1, 2, 3), dt.timedelta(1, 2, 3)),  # noqa: DTZ001
        *(decimal.Decimal("1.50"), b"\x00\xff", uuid.UUID(int=7), float("inf"), np.datetime64("2026-01-02T03:04")),
    ],
    ids=repr,
)
def test_parameters(store: HttpStore, tmp_path: Path, value: Any) -> None:
    """What a parameter holds arrives, and is answered as a file answers it."""
    with scidb.open(tmp_path / "local.duckdb", ["subject"]) as db:
        local = db.query("SELECT ? AS x", [value]).to_arrow()
    answer = store.sql("SELECT ? AS x", [value])
    assert (answer, answer.schema) == (local, local.schema)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"query": 1}',
        b'{"query": "SELECT 1", "path": "/etc/passwd"}',
        b'{"query": "SELECT 1", "max_rows": "all"}',
        b'{"query": "SELECT 1", "max_rows": -1}',
        b'{"query": "SELECT 1", "max_seconds": true}',
        b'{"query": "SELECT ?", "parameters": 1}',
        b'{"query": "SELECT ?", "parameters": [{"decimal": "x"}]}',
        b'{"query": "SELECT ?", "parameters": [{"uuid": 1}]}',
        b'{"query": "SELECT ?", "parameters": [{"timedelta": ["x"]}]}',
        b'{"query": "SELECT ?", "parameters": [{"what": 1}]}',
        b'{"query": "SELECT ?", "parameters": {"a": 1, "b": 2}}',
        b'{"query": "SELECT \\ud800"}',
    ],
)
def test_what_is_no_question(address: str, body: bytes) -> None:
    """A body that is no question is the client's mistake, whatever it is."""
    answer = httpx.post(f"{address}/api/v1/ability/sql", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["class"] in ("serialization", "query")
