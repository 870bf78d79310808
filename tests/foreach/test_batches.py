"""When a run writes: its start with its first results, its end with the last ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, exceptions, for_each
from scidb.store.duck.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Raw(BaseVariable):
    pass


class Out(BaseVariable):
    pass


@pytest.fixture(params=["memory:", "file"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseManager]:
    target = "memory:" if request.param == "memory:" else tmp_path / "study.duckdb"
    with scidb.open(target, {"subject": int}) as db, db.as_current():
        Raw.save_many([(float(n), {"subject": n}) for n in range(4)])
        yield db


def run(function: Any) -> Any:
    return for_each(function, {"x": Raw}, [Out], subject=[])


def test_a_short_run_is_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R1: start, results, pipeline edges and end of a run of less than a batch are written as one."""
    begun: list[str] = []
    original = Connection._run

    def noted(self: Connection, query: str, work: Any) -> Any:
        begun.extend([query] if query.startswith("BEGIN") else [])
        return original(self, query, work)

    with scidb.open(tmp_path / "study.duckdb", {"subject": int}) as db, db.as_current():
        Raw.save_many([(float(n), {"subject": n}) for n in range(4)])
        db.register(Out)
        with monkeypatch.context() as patch:
            patch.setattr("scidb.foreach.results._BATCH_SECONDS", 60.0)
            patch.setattr("scidb.foreach.results._LATE_SECONDS", 60.0)
            patch.setattr(Connection, "_run", noted)
            run(lambda x: x + 1)
        assert len(begun) == 1
        [only] = db.runs()
        assert (only.completed, only.ended) == (4, only.started)
        assert [(one["source"], one["target"]) for one in db.get_pipeline_structure()] == [("Raw", "Out")]


def test_a_run_is_there_while_its_first_call_goes_on(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose first call takes long is noted as begun, although nothing of it is done."""
    monkeypatch.setattr("scidb.foreach.results._LATE_SECONDS", 0.05)

    def under_way() -> int:
        return sum(one.ended is None for one in db.runs())

    def slow(x: float) -> int:
        until = time.monotonic() + 10
        while not under_way() and time.monotonic() < until:
            time.sleep(0.01)
        return under_way()

    run(slow)
    assert [one.data for one in db.load_all(Out)] == [1, 1, 1, 1]
    assert [(one.ended is None, one.completed) for one in db.runs()] == [(False, 4)]


def test_nothing_runs_where_nothing_can_be_saved(tmp_path: Path) -> None:
    """A database that is open for reading refuses a run before it calls the function."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, {"subject": int}) as db:
        db.save_many(Raw, [(1.0, {"subject": 1})])
        db.register(Out)
    calls: list[float] = []

    def note(x: float) -> float:
        calls.append(x)
        return x

    with scidb.open(path, read_only=True) as db, db.as_current():
        with pytest.raises(exceptions.StorageError, match="read-only"):
            run(note)
        assert db.runs() == []
    assert calls == []


def test_a_last_result_that_cannot_be_stored_counts(db: DatabaseManager) -> None:
    """R3: what cannot be stored in the last batch is among the failures with which the run ends."""
    report = run(lambda x: object() if x == 3.0 else x)
    [only] = db.runs()
    assert (report.completed, report.failed) == (only.completed, only.failed) == (3, 1)
    assert only.ended is not None
    assert not only.interrupted
    assert [one.schema for one in db.failures()] == [{"subject": 3}]


def test_a_run_ends_once_more_when_its_end_was_not_saved(db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing the last results and the end fails, what is done is written once more, and the run ended."""
    real, left = db.record, [1]

    def fails_once(*args: Any) -> Any:
        if left:
            left.pop()
            raise exceptions.StorageError("no space left")
        return real(*args)

    monkeypatch.setattr(db, "record", fails_once)
    with pytest.raises(exceptions.StorageError, match="no space"):
        run(lambda x: x)
    [only] = db.runs()
    assert (only.completed, only.interrupted, only.ended is None) == (4, True, False)
    assert len(list(db.load_all(Out))) == 4


def test_computed_again_after_it_was_looked_for_in_vain(db: DatabaseManager) -> None:
    """A computation that was looked for and not there is stored once, however often it is run."""

    def double(x: float) -> float:
        return 2 * x

    assert run(double).completed == 4
    assert for_each(double, {"x": Raw}, [Out], subject=[], force=True).completed == 4
    assert run(double).up_to_date == 4
    assert {info.name: (info.records, info.entries) for info in db.types()}["Out"] == (4, 8)
