"""One run in a process of its own: ``python -m benchmarks.parallel_child SIZE FILE``.

Prints the seconds that one combination of so many takes, or with 0 those of ``SELECT 1``.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import duckdb

import scidb
from scidb import BaseVariable, for_each


class BenchRaw(BaseVariable):
    """What goes in."""


class BenchDone(BaseVariable):
    """What comes out."""


def add_one(x: float) -> float:
    """Do next to nothing."""
    return x + 1


def busy(subject: int, seconds: float) -> int:
    """Keep a core busy for a while."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return subject


def main(size: int, file: Path) -> float:
    """Return the seconds of one combination, or of ``SELECT 1``."""
    if size == 0:
        connection = duckdb.connect()
        seconds = []
        for _ in range(500):
            started = time.perf_counter()
            connection.execute("SELECT 1").fetchall()
            seconds.append(time.perf_counter() - started)
        return statistics.median(seconds)
    with scidb.open(file, {"subject": int}) as db:
        db.save_many(BenchRaw, [(float(n), {"subject": n}) for n in range(-10, size)])
        # The first call of a process prepares what all later ones use.
        for_each(add_one, {"x": BenchRaw}, [BenchDone], subject=list(range(-10, 0)), db=db)
        started = time.perf_counter()
        report = for_each(add_one, {"x": BenchRaw}, [BenchDone], subject=list(range(size)), db=db)
        passed = time.perf_counter() - started
        assert report.completed == size
    return passed / size


if __name__ == "__main__":
    sys.stdout.write(f"{main(int(sys.argv[1]), Path(sys.argv[2]))}\n")
