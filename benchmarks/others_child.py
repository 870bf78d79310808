"""Save values with scistack-db, in an environment of its own, and print the seconds that it took."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

import scidb as scistack

VALUES: dict[str, Any] = {
    "BenchOne": float,
    "BenchSignal": lambda n: np.random.default_rng(n).random(10_000),
}


def main(path: str, name: str, times: int) -> None:
    """Save so many values one by one."""
    database: Any = scistack
    database.configure_database(path, ["subject"])
    variable: Any = type(name, (database.BaseVariable,), {"schema_version": 1})
    make: Any = VALUES[name]
    values = [make(n) for n in range(times)]
    variable.save(values[0], subject="first")
    started = time.perf_counter()
    for n, value in enumerate(values):
        variable.save(value, subject=str(n))
    print(time.perf_counter() - started)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
