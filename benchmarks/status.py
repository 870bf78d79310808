"""Whether 10,000 results are up to date, and why a tenth of them is not, against `SELECT 1`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb

import scidb
from benchmarks.harness import Comparison, measure
from scidb import BaseVariable, for_each

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["run"]

_ONES: Final = 1_000
_LIMIT: Final = "SELECT 1, a thousand times: half of one a record"
_SUBJECTS: Final = 50
_TRIALS: Final = 50


class StatusRaw(BaseVariable):
    """A number that was measured."""


class StatusFirst(BaseVariable):
    """Made of what was measured."""


class StatusSecond(BaseVariable):
    """Made of the first."""


class StatusThird(BaseVariable):
    """Made of the second."""


def first(x: float) -> float:
    """Return twice a number."""
    return 2 * x


def second(x: float) -> float:
    """Return a number and one."""
    return x + 1


def third(x: float) -> float:
    """Return the square of a number."""
    return x * x


_STEPS: Final = (
    (first, StatusRaw, StatusFirst),
    (second, StatusFirst, StatusSecond),
    (third, StatusSecond, StatusThird),
)


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure the state of 10,000 records in four variables, everything up to date."""
    db = scidb.open(folder / "status.duckdb", {"subject": int, "trial": int})
    cells = [(s, t) for s in range(_SUBJECTS) for t in range(_TRIALS)]
    StatusRaw.save_many([(float(100 * s + t), {"subject": s, "trial": t}) for s, t in cells], db=db)
    _again(db)

    bare = duckdb.connect()

    def states(_: int) -> Callable[[], Any]:
        return db.status

    def ones(_: int) -> Callable[[], Any]:
        return lambda: [bare.execute("SELECT 1").fetchall() for _ in range(_ONES)]

    green = Comparison("S5s: status of 10,000 records, all of them green", _LIMIT, 5.0)
    found = [measure(green, states, ones, rounds)]
    StatusRaw.save_many([(-1.0, {"subject": s, "trial": t}) for s, t in cells[::10]], db=db)
    stale = Comparison("S5s: status of 10,000 records, 750 of them stale", _LIMIT, 5.0)
    found.append(measure(stale, states, ones, rounds))
    db.close()
    return found


def _again(db: scidb.DatabaseManager) -> None:
    for function, source, output in _STEPS:
        for_each(function, {"x": source}, [output], subject=[], trial=[], db=db, progress=False)
