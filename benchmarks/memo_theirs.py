"""What the memo is compared with, in a process of its own: ``python -m benchmarks.memo_theirs SIDE WORK FOLDER``.

Prints the seconds that one piece of the work takes, the median of many. Imports nothing of ours, which would take
longer than the work.
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

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COMBINATIONS", "Took", "argument_of", "far_apart", "mean", "median_of"]

COMBINATIONS = 2_000
_REPEATS = {
    "small": 400,
    "array": 15,
    "record": 200,
    "fingerprint": 400,
    "firsts": 1,
    "scattered": 1,
    "handle": 7,
    "process": 1,
    "run": 3,
    "select": 15,
}
_COLD = ("firsts", "scattered", "process")  # which a call before would not warm, or should not
_SCATTERED = 100


class Took(NamedTuple):
    """What a piece of work says that it took, where it is not all that is to be timed."""

    seconds: float


def mean(x: Any, gain: float = 2.0) -> float:
    """Return one number, whatever goes in."""
    return float(np.mean(x)) * gain


def median_of(work: str, call: Callable[[], Any]) -> float:
    """Return the median time of one piece of the work."""
    if work not in _COLD:
        call()
    gc.collect()
    seconds = []
    for _ in range(_REPEATS[work]):
        started = time.perf_counter()
        told = call()
        seconds.append(told.seconds if isinstance(told, Took) else time.perf_counter() - started)
    return statistics.median(seconds)


def far_apart() -> list[int]:
    """Return which results are looked up in an order that nobody could foresee."""
    numbers: list[int] = np.random.default_rng(0).permutation(COMBINATIONS)[:_SCATTERED].tolist()
    return numbers


def argument_of(work: str) -> Any:
    """Return what the function is called with."""
    rng = np.random.default_rng(0)
    return {"array": lambda: rng.random(1_310_720), "record": lambda: rng.random(10_000)}.get(work, lambda: 3.0)()


def _by_hand(work: str, folder: Path) -> Callable[[], Any]:
    """Return what opens a file, and looks results up with nothing but the statements that each of them needs."""
    path = folder / "finished.duckdb"
    stored = path.with_suffix(".txt").read_text(encoding="utf-8").split()
    wanted = [stored[number] for number in (far_apart() if work == "scattered" else [77])]

    def look_up() -> Took:
        with duckdb.connect(path) as connection:
            for _ in range(0 if work == "process" else 20):
                connection.execute("SELECT 1").fetchall()
            started = time.perf_counter()
            for lineage_id in wanted:
                [made] = connection.execute(_COMPUTATION, [lineage_id]).fetchall()
                [entry] = connection.execute(_ENTRY, [made[0]]).fetchall()
                connection.execute('SELECT value FROM "BenchResult_data" WHERE record_no = ?', [entry[0]]).fetchall()
            return Took((time.perf_counter() - started) / len(wanted))

    return look_up


_COMPUTATION = "SELECT computation_no, * EXCLUDE (computation_no) FROM _computations WHERE lineage_id = ?"
_ENTRY = (
    "SELECT m.record_no, m.* EXCLUDE (record_no), r.encoding, r.nbytes, r.layout, s.subject FROM _record_metadata m "
    "JOIN _schema s ON s.schema_id = m.schema_id JOIN _records r ON r.record_no = m.record_no "
    "WHERE m.computation_no = ?"
)


def _joblib(work: str, folder: Path) -> Callable[[], Any]:
    joblib = importlib.import_module("joblib")
    remembered = joblib.Memory(folder / f"joblib_{work}", verbose=0).cache(mean)
    if work == "run":
        return lambda: [remembered(float(number), 2.0) for number in range(COMBINATIONS)]
    argument = argument_of(work)
    return lambda: remembered(argument)


def _select(work: str, folder: Path) -> Callable[[], Any]:
    del work, folder
    connection = duckdb.connect()
    return lambda: [connection.execute("SELECT 1").fetchall() for _ in range(100)]


if __name__ == "__main__":
    prepare = {"joblib": _joblib, "select": _select, "hand": _by_hand}[sys.argv[1]]
    told = median_of(sys.argv[2], prepare(sys.argv[2], Path(sys.argv[3])))
    sys.stdout.write(f"{told / (100 if sys.argv[1] == 'select' else 1)}\n")
