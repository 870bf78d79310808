"""Finding things again: what one look-up costs in a large database, and a table of values against its bare query."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, Final

import duckdb

import scidb
from benchmarks.harness import Comparison, measure
from scidb import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scidb import DatabaseManager

    Call = Callable[[DatabaseManager, int], object]

__all__ = ["run"]

_QUICK: Final = 3  # in so many rounds or fewer, fewer records

_LATEST: Final = """
SELECT CAST(s.subject AS BIGINT) AS subject, CAST(s.trial AS BIGINT) AS trial, m.version_keys, d.value
FROM (
    SELECT * FROM _record_metadata WHERE variable_name = 'BenchStep'
    QUALIFY row_number() OVER (PARTITION BY schema_id, version_keys ORDER BY timestamp DESC, seq DESC) = 1
) m JOIN _schema s USING (schema_id) JOIN "BenchStep_data" d USING (record_no)
ORDER BY 1, 2, 3
"""


class BenchStep(BaseVariable):
    """A number."""


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure all promises."""
    many = 30_000 if rounds <= _QUICK else 100_000
    small, middle, large = (_database(folder, count) for count in (1_000, 10_000, many))
    calls: dict[str, Call] = {
        "load_one of one by full keys": lambda db, n: BenchStep.load_one(subject=n % 10, trial=n % 100, db=db),
        "list_versions of one location": lambda db, n: BenchStep.list_versions(subject=n % 10, trial=n % 100, db=db),
    }
    found = []
    for (work, call), how in itertools.product(calls.items(), (_warm, _fresh)):
        comparison = Comparison(f"{work}, {many:,} records, {how.__name__[1:]}", "with 1,000 records", 3.0)
        found.append(measure(comparison, how(large, call), how(small, call), rounds))
    load = calls["load_one of one by full keys"]
    opened = Comparison(f"open and load_one, {many:,} records", "with 1,000 records", 3.0)
    found.append(measure(opened, _opened(large, load), _opened(small, load), rounds))
    table = Comparison("load_all(as_df=True) of 10,000 scalars", "the bare query of the same rows, as Arrow", 3.0)
    found.append(
        measure(table, _warm(middle, lambda db, _: BenchStep.load_all(as_df=True, db=db)), _bare(middle), rounds)
    )
    return found


def _database(folder: Path, count: int) -> Path:
    path = folder / f"addressing_{count}.duckdb"
    with scidb.open(path, {"subject": int, "trial": int}) as db:
        items = [(number * 0.1, {"subject": number // 100, "trial": number % 100}) for number in range(count)]
        BenchStep.save_many(items, db=db)
    return path


def _warm(path: Path, call: Call) -> Callable[[int], Callable[[], Any]]:
    """Return rounds on a handle that has answered the like before, at another place."""

    def prepare(number: int) -> Callable[[], Any]:
        db = scidb.open(path)
        call(db, 0)

        def work() -> None:
            call(db, number + 1)

        return _closing(db, work)

    return prepare


def _fresh(path: Path, call: Call) -> Callable[[int], Callable[[], Any]]:
    """Return rounds on a handle that was opened for it."""

    def prepare(number: int) -> Callable[[], Any]:
        db = scidb.open(path)
        return _closing(db, lambda: call(db, number))

    return prepare


def _opened(path: Path, call: Call) -> Callable[[int], Callable[[], Any]]:
    """Return rounds that open the handle themselves."""

    def prepare(number: int) -> Callable[[], Any]:
        def timed() -> float:
            started = time.perf_counter()
            db = scidb.open(path)
            call(db, number)
            passed = time.perf_counter() - started
            db.close()
            return passed

        return timed

    return prepare


def _bare(path: Path) -> Callable[[int], Callable[[], Any]]:
    def prepare(number: int) -> Callable[[], Any]:
        del number
        connection = duckdb.connect(path, read_only=True)
        connection.sql(_LATEST).to_arrow_table()
        return _closing(connection, lambda: connection.sql(_LATEST).to_arrow_table())

    return prepare


def _closing(handle: Any, work: Callable[[], object]) -> Callable[[], float]:
    """Return work that tells its own time, so that closing what it worked on is not counted."""

    def timed() -> float:
        started = time.perf_counter()
        work()
        passed = time.perf_counter() - started
        handle.close()
        return passed

    return timed
