"""A process that runs for_each over large arrays and prints how far its memory grew: what, count, n_jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import scidb
from scidb import BaseVariable, for_each
from scidb.store.duck import connection

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS = 500_000  # 4 MB


class LargeIn(BaseVariable):
    pass


class LargeOut(BaseVariable):
    pass


def make(subject: int) -> NDArray[np.float64]:
    return np.arange(NUMBERS, dtype=np.float64) + subject


def shift(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x + 0.5


def peak() -> int:
    """Return the most memory that this process ever held, which getrusage would mix with that of its parent."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def main(what: str, count: int, n_jobs: int) -> None:
    # DuckDB keeps of a file what fits in most of the machine's memory; that is its cache and not what is tested.
    connection._SETTINGS["memory_limit"] = "128MB"
    with scidb.open("large.duckdb", {"subject": int}) as db, db.as_current():
        before = peak()
        if what == "make":
            report = for_each(make, {}, [LargeIn], subject=range(count), pass_metadata=True)
        else:
            report = for_each(shift, {"x": LargeIn}, [LargeOut], subject=[], n_jobs=n_jobs, force=True)
        print(report.completed, peak() - before)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
