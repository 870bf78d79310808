"""What operations cost, in what does not wobble: statements, rows, bytes. Requests: tests/net/test_requests.py.

Statements of whole runs, graphs and reports are counted beside what they do: tests/foreach/test_statements.py,
tests/provenance/test_status_statements.py, tests/stores/duck/test_graph_statements.py.
"""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from benchmarks.growth_fill import fill
from benchmarks.growth_work import OPERATIONS, GrowNew, GrowRaw
from benchmarks.reading import Reading, counted, profiled

import scidb
from scidb import BaseVariable, for_each, thunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scidb import DatabaseManager


class Sway(BaseVariable): ...


class SwayTwice(BaseVariable): ...


class Signal(BaseVariable): ...


def twice(x: float) -> float:
    return 2 * x


@thunk
def doubled(x: float) -> float:
    return 2 * x


@pytest.fixture
def db(tmp_path: Path) -> Iterator[DatabaseManager]:
    """Return a file with a hundred values at places, that knows its variables."""
    with profiled(), scidb.open(tmp_path / "study.duckdb", {"subject": int, "trial": int}) as db, db.as_current():
        Sway.save_many([(10.0 * s + t, {"subject": s, "trial": t}) for s in range(10) for t in range(10)])
        SwayTwice.save(doubled(Sway.load(subject=0, trial=0)), subject=0, trial=0)
        yield db


def asked(work: Callable[[], Any]) -> Reading:
    with counted() as reading:
        work()
    return reading


# ------------------------------------------------------------------ statements


def test_saving(db: DatabaseManager) -> None:
    """A transaction each; a look-up of the record, and an insert for each table that gets a row."""
    again = asked(lambda: Sway.save(0.5, subject=1, trial=1))
    new = asked(lambda: Sway.save(0.5, subject=99, trial=1))
    many = asked(lambda: Sway.save_many([(n + 0.25, {"subject": 50 + n, "trial": 1}) for n in range(400)]))
    result = asked(lambda: SwayTwice.save(doubled(Sway.load(subject=1, trial=2)), subject=1, trial=2))

    assert [one.writes for one in (again, new, many)] == [1, 1, 1]
    assert again.count <= 6
    assert new.count <= 8
    assert many.count <= 8
    assert result.count <= 13  # one fewer where nothing else has run in this process


def test_loading(db: DatabaseManager) -> None:
    """The value alone where its place is known, and the entry; as many statements for all as for ten."""
    first = asked(lambda: Sway.load(subject=1, trial=1))
    again = asked(lambda: Sway.load(subject=1, trial=1))
    some = asked(lambda: list(Sway.load_all(subject=1)))
    every = asked(lambda: list(Sway.load_all()))

    assert first.count <= 2
    assert again.count <= 1
    assert some.count <= 2
    assert every.count <= 4
    assert asked(lambda: Sway.list_versions(subject=1, trial=1)).count <= 1


def test_loading_one_after_the_other(tmp_path: Path) -> None:
    """A loop from place to place looks up what comes next with what it asks for; one that jumps does not."""
    with scidb.open(tmp_path / "study.duckdb", {"subject": int}) as db:
        for variable in (Sway, SwayTwice):
            variable.save_many([(float(n), {"subject": n}) for n in range(1_000)], db=db)
    with scidb.open(tmp_path / "study.duckdb") as db:
        both = asked(lambda: [(Sway.load(subject=n, db=db), SwayTwice.load(subject=n, db=db)) for n in range(100)])
        assert both.count <= 22
    for order, most in ((range(100), 12), (range(999, 899, -1), 12), (range(0, 1_000, 250), 9)):
        with scidb.open(tmp_path / "study.duckdb") as db:
            loaded: list[Any] = []
            reading = asked(lambda: loaded.extend(Sway.load(subject=n, db=db).data for n in order))  # noqa: B023
            assert loaded == list(order)
            assert reading.count <= most
            Sway.save(-1.0, subject=order[-1] + 1, db=db)
            assert Sway.load(subject=order[-1] + 1, db=db).data == -1.0


def test_the_memo(db: DatabaseManager) -> None:
    """A result is read once and then given without a statement; one that is not there is looked for once."""
    loaded = Sway.load(subject=0, trial=0)
    assert asked(lambda: doubled(loaded)).count <= 2
    assert asked(lambda: doubled(loaded)).count == 0
    assert asked(lambda: doubled(77.0)).count <= 2

    path = db.target
    db.close()
    with profiled(), scidb.open(path) as again, again.as_current():
        loaded = Sway.load(subject=0, trial=0)
        assert asked(lambda: doubled(loaded)).count <= 4
        assert asked(lambda: doubled(loaded)).count == 0


def test_runs(db: DatabaseManager) -> None:
    """A run of ten and one of a hundred take as many statements; a finished one writes nothing but that it was."""

    def run(**keys: Any) -> None:
        for_each(twice, {"x": Sway}, [SwayTwice], progress=False, **{"subject": [], "trial": [], **keys})

    ten = asked(lambda: run(subject=[1]))
    hundred = asked(run)
    finished = asked(run)
    assert hundred.count <= ten.count + 4
    assert finished.count <= 9
    assert finished.writes <= 1


def test_failures_are_asked_for_where_there_are_any(tmp_path: Path) -> None:
    """A file without failures is not asked for them, and one that has some gives them to whoever opens it."""

    def fail(x: float) -> float:
        raise ValueError(x)

    path = tmp_path / "study.duckdb"
    with profiled(), scidb.open(path, {"subject": int}) as db, db.as_current():
        Sway.save(1.0, subject=1)
        assert asked(db.failures).count == 0
        for_each(fail, {"x": Sway}, [SwayTwice], subject=[], progress=False)
        assert len(db.failures()) == 1
    with profiled(), scidb.open(path) as db:
        assert asked(db.failures).count == 1
        assert len(db.failures()) == 1


def test_questions_about_one_record(db: DatabaseManager) -> None:
    """Provenance is asked for call by call, and never looks further than one step."""
    where: dict[str, Any] = {"subject": 0, "trial": 0}
    assert asked(lambda: db.get_provenance(SwayTwice, **where)).count <= 10
    assert asked(lambda: db.get_lineage_graph(SwayTwice, **where)).count <= 8
    assert asked(lambda: db.get_derived_from(Sway, **where)).count <= 8


# ------------------------------------------------------------------ rows


def test_keys_are_looked_up(tmp_path: Path) -> None:
    """A hundred records of 4,000 are found by their key; the others are not read."""
    path = fill(tmp_path / "study.duckdb", 4_000, kept=1)
    with profiled(), scidb.open(path) as db:
        items = [(float(n), {"subject": 9_999, "trial": n, "side": "left"}) for n in range(100)]
        GrowRaw.save_many(items, db=db)
        reading = asked(lambda: GrowRaw.save_many(items, db=db))
        [found] = [one for one in reading.statements if one.text.startswith("SELECT record_id, record_no")]
    assert found.rows["_records"] <= 200


_GROUP = 122_880


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_rows_do_not_grow(tmp_path: Path) -> None:
    """S8: what is done for each record reads of any table no more than two of its row groups, of four and more.

    But for places, which are compared as texts, in 1.4 ms a million.
    """
    count = 500_000
    path = fill(tmp_path / "study.duckdb", count)
    rows: dict[tuple[str, str], int] = {}
    with profiled(), scidb.open(path) as db, db.as_current():
        GrowNew.save(0.0, subject=-1, trial=-1)  # is then registered
        for operation in OPERATIONS:
            if operation.often:
                for number in (1, 2):  # what a handle asks once does not count
                    if operation.prepare is not None:
                        operation.prepare(db, count // 2, number)
                    with counted() as reading:
                        operation.call(db, count // 2, number)
                for one in reading.statements:
                    for table, read in one.rows.items():
                        rows[operation.name, table] = max(read, rows.get((operation.name, table), 0))
    grown = {key for key, read in rows.items() if read > 2 * _GROUP + 4_096 and key[1] != "_schema"}
    assert grown == set()


# ------------------------------------------------------------------ bytes


def test_copies_of_an_array(tmp_path: Path) -> None:
    """Saving 16 MB makes no copy of it in Python or Arrow; loading the value, and at most as much beside it."""
    samples = np.random.default_rng(0).random(2_000_000)
    with scidb.open(tmp_path / "study.duckdb", {"subject": int}) as db, db.as_current():
        Signal.save(samples[:10], subject=0)
        saving = held(lambda: Signal.save(samples, subject=1))
        loaded: list[Any] = []
        loading = held(lambda: loaded.append(Signal.load(subject=1).data))

    assert np.array_equal(samples, loaded[0])
    # DuckDB 1.x holds on to the batches that it was given.
    assert saving <= (2.0 if duckdb.__version__.startswith("1.") else 1.0) * samples.nbytes
    assert loading <= 2.0 * samples.nbytes


def held(work: Callable[[], Any]) -> int:
    """Return the bytes that Python, NumPy and Arrow held at most for some work."""
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] + (pool.max_memory() or 0)
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
