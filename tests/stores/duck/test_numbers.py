"""Numbers of this file alone, by which computations, inputs and the newest line are found."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import scidb
from scidb import BaseVariable, DatabaseManager, for_each
from scidb.store.duck import DuckStore, sql
from scidb.store.duck.connection import Connection
from scidb.store.duck.state import load
from scidb.store.model import Entries, Match, Records, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Load(BaseVariable): ...


class Half(BaseVariable): ...


class Quarter(BaseVariable): ...


def half(x: float) -> float:
    return x / 2


def run(db: DatabaseManager) -> None:
    for_each(half, {"x": Load}, [Half], subject=[], db=db, progress=False)
    for_each(half, {"x": Half}, [Quarter], subject=[], db=db, progress=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file with values, with newer ones, with what was made of both, and with results that were recalled."""
    path = tmp_path / "study.duckdb"
    with scidb.open(path, {"subject": int}) as db:
        for shift in (0.0, 100.0, 0.0):  # the third time all is recalled
            Load.save_many([(shift + n, {"subject": n}) for n in range(10)], db=db)
            run(db)
    return path


def rows(path: Path, query: str) -> list[Any]:
    with closing(duckdb.connect(path, read_only=True)) as plain:
        return plain.execute(query).fetchall()


def test_computations_are_numbered_in_their_order(path: Path) -> None:
    """Each has a number of its own, ascending with time; a line has that of its computation, however late it comes."""
    numbers = rows(path, "SELECT computation_no, lineage_id FROM _computations ORDER BY rowid")
    assert [number for number, _ in numbers] == list(range(35))  # some of the halves are equal
    of = {lineage_id: number for number, lineage_id in numbers}
    lines = rows(path, "SELECT computation_no, lineage_id FROM _record_metadata ORDER BY timestamp, seq")
    assert [number for number, _ in lines] == [of.get(lineage_id) for _, lineage_id in lines]
    first, again = ([number for number, _ in lines[part]] for part in (slice(10, 30), slice(70, 90)))
    assert set(first) == set(again)


def test_inputs_have_the_number_of_their_record(path: Path) -> None:
    """Of every input that is a record it is known, also where the record was saved by another handle."""
    with scidb.open(path) as db:
        Load.save(55.0, subject=99, db=db)
    with scidb.open(path) as db:
        run(db)
    wrong = "SELECT count(*), count(r.record_no) FROM _call_inputs i LEFT JOIN _records r USING (record_id, record_no)"
    assert rows(path, wrong) == [(62, 62)]


def _prune(db: DatabaseManager) -> None:
    db.admin.prune(superseded=True)


def _prune_the_end(db: DatabaseManager) -> None:
    Load.save(7.5, subject=3, db=db)
    Load.save(3.0, subject=3, db=db)
    db.admin.prune(superseded=True, variable="Load")


def _erase(db: DatabaseManager) -> None:
    db.admin.erase(subject=9, reason="consent withdrawn")


@pytest.mark.parametrize(
    "change",
    [
        _prune,
        _prune_the_end,
        _erase,
        lambda db: db.admin.compact(),
        lambda db: db.admin.rename_variable(Load, "Weight"),
        lambda db: db.admin.add_schema_key("trial"),
    ],
    ids=["prune", "prune the end", "erase", "compact", "rename", "add a key"],
)
def test_the_newest_line_is_at_the_end(path: Path, change: Callable[[DatabaseManager], object]) -> None:
    """Whatever was done to a file, its end says which line is the newest, and the next one follows it."""
    with scidb.open(path) as db:
        change(db)
    everything = (
        "SELECT timestamp, chain FROM (SELECT timestamp, seq, chain FROM _record_metadata UNION ALL "
        "SELECT timestamp, seq, chain FROM _erased) ORDER BY timestamp DESC, seq DESC LIMIT 1"
    )
    [(stamp, chain)] = rows(path, everything)
    connection = Connection.open(path, read_only=True, lock_timeout=1)
    try:
        clockwork = load(connection).clockwork
    finally:
        connection.close()
    assert clockwork.chain == chain
    assert clockwork.timestamp >= stamp
    with scidb.open(path) as db:
        Half.save(-1.0, subject=-1, db=db)
        assert db.admin.check().problems == ()


def test_lines_of_a_time_after_the_end_are_found_by_a_check(path: Path) -> None:
    """Opening relies on the order of the log; where something else has changed it, a check says so."""
    with closing(duckdb.connect(path)) as plain:
        plain.execute("CREATE TEMP TABLE lines AS FROM _record_metadata ORDER BY timestamp DESC LIMIT 1")
        plain.execute(
            "INSERT INTO _record_metadata SELECT * EXCLUDE n REPLACE ('2001' AS timestamp, n::INTEGER AS seq) "
            "FROM lines, range(2048) t(n)"
        )
    with scidb.open(path, read_only=True) as db:
        assert any("not at the end of the log" in one.what for one in db.admin.check().problems)


def test_what_was_pruned_and_saved_again_is_one_record(path: Path) -> None:
    """It has another number then; the calls that used it before and since are found, as they are by its id."""
    store = DuckStore.open(path)
    with DatabaseManager(store) as db:
        old = str(db.list_versions(Load, subject=4)[1]["record_id"])  # of 104, under the latest one of 4
        before = made_from(store, old)
        assert len(before) == 2
        db.admin.prune(superseded=True)
        assert made_from(store, old) == before
        assert Load.save(104.0, subject=4, db=db) == old
        assert made_from(store, old) == before
        run(db)
        assert made_from(store, old) > before


def made_from(store: DuckStore, record_id: str) -> set[str]:
    """Return the calls after a record: by number, which must be those by its id."""
    by_number: list[str] = []
    by_id: list[str] = []
    for found, by_text in ((by_number, False), (by_id, True)):
        state = store._current()
        before, state.has_lost = state.has_lost, by_text
        found += [call.call_id for call in store.trace(TraceQuery((record_id,), "down")).calls]
        state.has_lost = before
    assert by_number == by_id
    return set(by_number)


def test_records_far_apart_are_asked_for_in_parts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However wide the gaps between their numbers are, the same entries are found, also until an instant."""
    with scidb.open(path) as db:
        entries = db._store.find(Entries())
        first = sorted(entries, key=lambda one: (one.timestamp, one.seq))[5]
        ids = (*dict.fromkeys(one.record_id for one in entries[::3]), "0" * 64)
        made = tuple(one.record_id for one in entries if one.variable == "Quarter")[:7]

        def found(match: Match) -> Any:
            return db._store.find(Records(match)), db._store.trace(TraceQuery(made))

        asked = [Match(record_ids=ids), Match(record_ids=ids, as_of=first.timestamp), Match(("Half",), record_ids=ids)]
        whole = [found(match) for match in asked]
    assert [len({one.record_id for one in records}) for records, _ in whole] == [len(records) for records, _ in whole]
    assert {one.record_id for one in whole[0][0]} == {*ids[:-1]}
    monkeypatch.setattr(sql, "_NEAR", 1)
    with scidb.open(path) as db:
        assert [found(match) for match in asked] == whole


def test_records_of_numbers_nearby_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are as few parts as gaps that are wide, and never more than so many; each number is in one."""
    assert sql.near([7]) == [[7]]
    assert sql.near([1, 2, 3_000, 90_000]) == [[1, 2, 3_000], [90_000]]
    far = [100_000 * n for n in range(20)]
    monkeypatch.setattr(sql, "_PARTS", 3)
    parts = sql.near(far)
    assert len(parts) == 3
    assert [number for part in parts for number in part] == far
