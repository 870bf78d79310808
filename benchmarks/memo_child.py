"""Our side of a comparison in a process of its own: ``python -m benchmarks.memo_child WORK FOLDER``.

Prints the seconds that one piece of the work takes, the median of many.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scidb
from benchmarks.memo_theirs import COMBINATIONS, Took, argument_of, far_apart, mean, median_of
from scidb import BaseVariable, Thunk, for_each

if TYPE_CHECKING:
    from collections.abc import Callable


class BenchInput(BaseVariable):
    """What goes in."""


class BenchResult(BaseVariable):
    """What comes out."""


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
    argument = argument_of(work)
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
    numbers = range(COMBINATIONS) if work == "firsts" else far_apart() if work == "scattered" else [77]

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


if __name__ == "__main__":
    sys.stdout.write(f"{median_of(sys.argv[1], _scidb(sys.argv[1], Path(sys.argv[2])))}\n")
