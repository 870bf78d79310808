"""One side of a comparison in a process of its own: ``python -m benchmarks.memo_child SIDE WORK FOLDER``.

Prints the seconds that one piece of the work takes, the median of many.
"""

from __future__ import annotations

import gc
import importlib
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import numpy as np

import scidb
from scidb import BaseVariable, Thunk, for_each

if TYPE_CHECKING:
    from collections.abc import Callable

COMBINATIONS = 2_000
_REPEATS = {
    "small": 400,
    "array": 15,
    "record": 200,
    "fingerprint": 400,
    "firsts": 3,
    "scattered": 3,
    "handle": 7,
    "process": 1,
    "run": 3,
}
SCATTERED = 100


class Took(NamedTuple):
    """What a piece of work says that it took, where it is not all that is to be timed."""

    seconds: float


class BenchInput(BaseVariable):
    """What goes in."""


class BenchResult(BaseVariable):
    """What comes out."""


def mean(x: Any, gain: float = 2.0) -> float:
    """Return one number, whatever goes in."""
    return float(np.mean(x)) * gain


def main(side: str, work: str, folder: Path) -> float:
    """Return the median time of one piece of the work."""
    prepare = {"scidb": _scidb, "joblib": _joblib, "select": _select, "hand": _by_hand}[side]
    call = prepare(work, folder)
    if work != "process":
        call()
    gc.collect()
    seconds = []
    for _ in range(_REPEATS[work]):
        started = time.perf_counter()
        told = call()
        seconds.append(told.seconds if isinstance(told, Took) else time.perf_counter() - started)
    return statistics.median(seconds)


def _argument(work: str) -> Any:
    rng = np.random.default_rng(0)
    return {"array": lambda: rng.random(1_310_720), "record": lambda: rng.random(10_000)}.get(work, lambda: 3.0)()


def _scidb(work: str, folder: Path) -> Callable[[], Any]:
    if work in {"firsts", "scattered", "handle", "process"}:
        return _first_hits(work, folder)
    db = scidb.open(folder / f"{work}.duckdb", {"subject": int})
    db.set_current_db()
    thunk = Thunk(mean)
    if work == "fingerprint":
        return thunk.fingerprint
    if work == "run":
        if not db.types():
            BenchInput.save_many([(float(n), {"subject": n}) for n in range(COMBINATIONS)])
        inputs = {"x": BenchInput, "gain": 2.0}
        return lambda: for_each(mean, inputs, [BenchResult], subject=[])
    argument = _argument(work)
    if work == "record":
        BenchInput.save(argument, subject=1)
        argument = BenchInput.load_one(subject=1)
    result = thunk(argument)
    if not result.was_cached:
        BenchResult.save(result, subject=1)
    return lambda: thunk(argument)


def _finish(folder: Path) -> Path:
    """Make a file with the results of many computations, if it is not there yet, and a list of their ids."""
    path = folder / "finished.duckdb"
    if not path.exists():
        with scidb.open(path, {"subject": int}) as db, db.as_current():
            results = [Thunk(mean)(float(number)) for number in range(COMBINATIONS)]
            BenchResult.save_many([(result, {"subject": number}) for number, result in enumerate(results)])
        ids = [result.pipeline_thunk.lineage_id for result in results]
        path.with_suffix(".txt").write_text("\n".join(ids), encoding="utf-8")
    return path


def _first_hits(work: str, folder: Path) -> Callable[[], Any]:
    """Return what opens a handle, looks results up for the first time, and tells what that took beyond another time."""
    path, thunk = _finish(folder), Thunk(mean)
    numbers = {"firsts": range(COMBINATIONS), "handle": [77], "process": [77]}.get(work)
    if numbers is None:
        numbers = np.random.default_rng(0).permutation(COMBINATIONS)[:SCATTERED].tolist()

    def first() -> Took:
        with scidb.open(path) as db, db.as_current():
            started = time.perf_counter()
            hits = [thunk(float(number)) for number in numbers]
            middle = time.perf_counter()
            for number in numbers:
                thunk(float(number))
            ended = time.perf_counter()
        assert all(hit.was_cached for hit in hits)
        return Took(((middle - started) - (ended - middle)) / len(numbers))

    return first


def _by_hand(work: str, folder: Path) -> Callable[[], Any]:
    """Return what opens a file, and looks one result up with nothing but the statements that this needs."""
    path = folder / "finished.duckdb"
    lineage_id = path.with_suffix(".txt").read_text(encoding="utf-8").split()[77]

    def look_up() -> Took:
        with duckdb.connect(path) as connection:
            for _ in range(0 if work == "process" else 20):
                connection.execute("SELECT 1").fetchall()
            started = time.perf_counter()
            connection.execute("SELECT * FROM _computations WHERE lineage_id = ?", [lineage_id]).fetchall()
            [entry] = connection.execute(_ENTRY, [lineage_id]).fetchall()
            connection.execute('SELECT value FROM "BenchResult_data" WHERE record_no = ?', [entry[0]]).fetchall()
            return Took(time.perf_counter() - started)

    return look_up


_ENTRY = (
    "SELECT m.record_no, m.* EXCLUDE (record_no), r.encoding, r.nbytes, r.layout, s.subject FROM _record_metadata m "
    "JOIN _schema s ON s.schema_id = m.schema_id JOIN _records r ON r.record_no = m.record_no WHERE m.lineage_id = ?"
)


def _joblib(work: str, folder: Path) -> Callable[[], Any]:
    joblib = importlib.import_module("joblib")
    remembered = joblib.Memory(folder / f"joblib_{work}", verbose=0).cache(mean)
    if work == "run":
        return lambda: [remembered(float(number), 2.0) for number in range(COMBINATIONS)]
    argument = _argument(work)
    return lambda: remembered(argument)


def _select(work: str, folder: Path) -> Callable[[], Any]:
    del work, folder
    connection = duckdb.connect()
    return lambda: [connection.execute("SELECT 1").fetchall() for _ in range(100)]


if __name__ == "__main__":
    told = main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    sys.stdout.write(f"{told / (100 if sys.argv[1] == 'select' else 1)}\n")
