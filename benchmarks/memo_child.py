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
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

import scidb
from scidb import BaseVariable, Thunk, for_each

if TYPE_CHECKING:
    from collections.abc import Callable

COMBINATIONS = 2_000
_REPEATS = {"small": 400, "array": 15, "record": 200, "fingerprint": 400, "first": 1, "run": 3}


class BenchInput(BaseVariable):
    """What goes in."""


class BenchResult(BaseVariable):
    """What comes out."""


def mean(x: Any, gain: float = 2.0) -> float:
    """Return one number, whatever goes in."""
    return float(np.mean(x)) * gain


def main(side: str, work: str, folder: Path) -> float:
    """Return the median time of one piece of the work."""
    prepare = {"scidb": _scidb, "joblib": _joblib, "select": _select}[side]
    call = prepare(work, folder)
    if work != "first":
        call()
    gc.collect()
    seconds = []
    for _ in range(_REPEATS[work]):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _argument(work: str) -> Any:
    rng = np.random.default_rng(0)
    return {"array": lambda: rng.random(1_310_720), "record": lambda: rng.random(10_000)}.get(work, lambda: 3.0)()


def _scidb(work: str, folder: Path) -> Callable[[], Any]:
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
    if work == "first":
        # Another result than the one above, so that all but the look-up itself is warm.
        other = thunk(4.0)
        if not other.was_cached:
            BenchResult.save(other, subject=2)
            db.close()
            return _scidb(work, folder)
        db.close()
        db = scidb.open(folder / f"{work}.duckdb")
        db.set_current_db()
        thunk(argument)

        def first() -> None:
            started = time.perf_counter()
            thunk(4.0)
            middle = time.perf_counter()
            thunk(4.0)
            # What a first hit costs beyond the next one.
            sys.stdout.write(f"{(middle - started) - (time.perf_counter() - middle)}\n")

        return first
    return lambda: thunk(argument)


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
    if sys.argv[2] != "first" or sys.argv[1] != "scidb":
        sys.stdout.write(f"{told / (100 if sys.argv[1] == 'select' else 1)}\n")
