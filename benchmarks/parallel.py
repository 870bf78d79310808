"""for_each: what a combination costs beside the function, and what a second worker saves.

Each side of S6 runs in a fresh process. To read and write the same rows by hand, and to make the digests that name
them, takes most of what is promised, so that is measured beside it: the floor of this layout, and our ratio to it.
Needs loky for the last part, which is left out where there is none.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import scidb
from benchmarks.harness import Comparison, measure
from benchmarks.parallel_child import BenchDone, busy
from scidb import for_each

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["run"]

_FLOOR = "their rows read and written by hand, and the digests that name them, are a row beside"
_SIZES = (500, 2_000, 20_000)
_SIZE = 2_000
_QUICK = 3
_FILES = itertools.count()
_COMBINATIONS = 200


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure S6 at several sizes, that it is flat, what it is by hand, and two workers against one."""
    sizes: tuple[int, ...] = _SIZES
    if quick := rounds <= _QUICK:
        sizes, rounds = _SIZES[:2], 1  # each round starts two processes for each row
    found = [_overhead(folder, size, rounds) for size in sizes]
    per_call = [statistics.median(comparison.ours) for comparison in found]
    flat = Comparison(f"S6: the same at {sizes[-1]:,}, each", f"at {sizes[0]}, each", 1.0, per_call[-1:], per_call[:1])
    found.append(flat)
    for work, what in (("by-hand", "by hand"), ("identified", "by hand, and their digests made")):
        rows = Comparison(f"beside: the rows of {_SIZE:,} of them read and written {what}, each", "SELECT 1", math.inf)
        found.append(measure(rows, _child(folder, work, _SIZE), _child(folder, "select-1"), rounds, warm_up=False))
    ours = Comparison(f"for_each of {_SIZE:,} of them, each", "the same rows and digests by hand", 2.5)
    by_hand = _child(folder, "identified", _SIZE)
    found.append(measure(ours, _child(folder, "for_each", _SIZE), by_hand, rounds, warm_up=False))
    if importlib.util.find_spec("loky") is not None:
        many, few = (30, 1) if quick else (_COMBINATIONS, max(2, rounds // 4))
        comparison = Comparison(f"{many} combinations of 50 ms with n_jobs=2", "with n_jobs=1", 0.6)
        found.append(measure(comparison, _calls(folder, 2, many), _calls(folder, 1, many), few))
    return found


def _overhead(folder: Path, size: int, rounds: int) -> Comparison:
    comparison = Comparison(
        f"S6: for_each of {size:,} trivial calls, load to save, each", "SELECT 1", 0.5, floor=_FLOOR
    )
    few = rounds if size < _SIZES[-1] else max(2, rounds // 4)
    return measure(comparison, _child(folder, "for_each", size), _child(folder, "select-1"), few, warm_up=False)


def _child(folder: Path, work: str, size: int = 0) -> Callable[[int], Callable[[], Any]]:
    def prepare(_: int) -> Callable[[], Any]:
        file = folder / f"{work}_{size}_{next(_FILES)}.duckdb"
        command = [sys.executable, "-m", "benchmarks.parallel_child", work, str(size), str(file)]
        return lambda: float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])

    return prepare


def _calls(folder: Path, jobs: int, many: int) -> Callable[[int], Callable[[], Any]]:
    """Return rounds of one run each, with processes that are there already, as in the second call of a script."""

    def prepare(number: int) -> Callable[[], Any]:
        file = folder / f"jobs_{jobs}_{number}.duckdb"

        def timed() -> float:
            with scidb.open(file, {"subject": int}) as db:
                about: dict[str, Any] = {"pass_metadata": True, "n_jobs": jobs, "db": db}
                for_each(busy, {"seconds": 0.0}, [BenchDone], subject=range(2 * jobs), **about)
                started = time.perf_counter()
                for_each(busy, {"seconds": 0.05}, [BenchDone], subject=range(many), **about)
                return time.perf_counter() - started

        return timed

    return prepare
