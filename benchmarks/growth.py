"""Growth: what people do once a record or once a call, in databases of up to a million records, against a thousand.

Both handles are open, and each round is at another place. What is done once a day may grow, and is printed beside it.
How many rows each operation reads is counted by tests.
"""

from __future__ import annotations

import math
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb

import scidb
from benchmarks.growth_fill import fill
from benchmarks.growth_work import OPERATIONS, Operation
from benchmarks.harness import Comparison, measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from scidb import DatabaseManager

__all__ = ["run"]

_FIRST: Final = 1_000
_SIZES: Final = (10_000, 100_000, 1_000_000)
_QUICK: Final = 3
_PROMISED: Final = 1.5
_APART: Final = 15
_FLOOR: Final = (
    "a thousand records lie in one row group and one block, decoded; of a million, one row group of each table is read "
    "and the texts of the blocks are decoded: what its statements take by hand is in the rows beside"
)
# What loading, and asking for provenance, cannot do without: of what, where to find some anywhere, and the statement.
_BY_HAND: Final = (
    (
        "the entry of a place, with its record",
        "SELECT subject, trial FROM _schema WHERE trial IS NOT NULL ORDER BY hash(schema_id) LIMIT 99",
        (
            "SELECT m.*, r.encoding, r.nbytes, r.layout FROM _record_metadata m "
            "JOIN _schema s ON s.schema_id = m.schema_id JOIN _records r ON r.record_no = m.record_no "
            "WHERE m.variable_name = 'GrowRaw' AND s.subject = ? AND s.trial = ?"
        ),
    ),
    (
        "the entries of a record, by its id",
        "SELECT record_id FROM _records ORDER BY hash(record_id) LIMIT 99",
        (
            "SELECT m.*, r.encoding, r.nbytes, r.layout FROM _records r "
            "JOIN _record_metadata m ON m.record_no = r.record_no WHERE r.record_id = ?"
        ),
    ),
    (
        "the inputs of a call",
        "SELECT call_id FROM _call_inputs ORDER BY hash(call_id) LIMIT 99",
        "SELECT * FROM _call_inputs WHERE call_id = ?",
    ),
)


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure S8: every operation, in the smallest database and in each of the others; the largest decides."""
    sizes = (30_000,) if rounds <= _QUICK else _SIZES
    files = {count: fill(folder / f"growth_{count}.duckdb", count) for count in (_FIRST, *sizes)}
    # With each size another small one is compared, of which nothing is remembered.
    small = {count: Path(shutil.copy(files[_FIRST], folder / f"against_{count}.duckdb")) for count in sizes}
    found = [_opening({_FIRST: small[count], count: files[count]}, count, rounds) for count in sizes]
    with ExitStack() as stack:
        pairs = {
            count: {_FIRST: stack.enter_context(scidb.open(small[count])), count: stack.enter_context(scidb.open(file))}
            for count, file in files.items()
            if count in small
        }
        for position, operation in enumerate(OPERATIONS):
            first = position * _APART  # each goes to places of its own
            found += [
                _compare(operation, pairs[count], count, first, rounds, decides=count == sizes[-1])
                for count in sizes
                if count <= operation.until
            ]
    return found + _by_hand(files, sizes[-1], rounds)


def _comparison(name: str, count: int, promised: float) -> Comparison:
    floor = _FLOOR if math.isfinite(promised) else ""
    return Comparison(f"S8: {name}, {count:,} records", f"with {_FIRST:,} records", promised, floor=floor)


def _compare(
    operation: Operation,
    handles: dict[int, DatabaseManager],
    count: int,
    first: int,
    rounds: int,
    *,
    decides: bool,
) -> Comparison:
    comparison = _comparison(operation.name, count, _PROMISED if operation.often and decides else math.inf)

    def rounds_in(size: int) -> Callable[[int], Callable[[], Any]]:
        db = handles[size]

        def prepare(number: int) -> Callable[[], float]:
            def timed() -> float:
                with db.as_current():
                    if operation.prepare is not None:
                        operation.prepare(db, size // 2, first + number)
                    started = time.perf_counter()
                    operation.call(db, size // 2, first + number)
                    return time.perf_counter() - started

            return timed

        return prepare

    return measure(comparison, rounds_in(count), rounds_in(_FIRST), rounds)


def _by_hand(files: dict[int, Path], count: int, rounds: int) -> list[Comparison]:
    with ExitStack() as stack:
        opened = {size: stack.enter_context(duckdb.connect(files[size], read_only=True)) for size in (_FIRST, count)}

        def asking(size: int, some: str, query: str) -> Callable[[int], Callable[[], Any]]:
            keys = opened[size].execute(some).fetchall()
            return lambda number: lambda: opened[size].execute(query, keys[number % len(keys)]).fetchall()

        return [
            measure(
                Comparison(f"beside: {what}, by hand, {count:,} records", f"with {_FIRST:,} records"),
                asking(count, some, query),
                asking(_FIRST, some, query),
                rounds,
            )
            for what, some, query in _BY_HAND
        ]


def _opening(files: dict[int, Path], count: int, rounds: int) -> Comparison:

    def rounds_of(file: Path) -> Callable[[int], Callable[[], Any]]:
        return lambda _: lambda: scidb.open(file).close()

    return measure(
        _comparison("open and close", count, math.inf), rounds_of(files[count]), rounds_of(files[_FIRST]), rounds
    )
