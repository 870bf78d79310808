"""The memo: hits against joblib.Memory, a finished run against its look-ups, a fingerprint against ``SELECT 1``.

Each side runs in a fresh process. Needs joblib; what is compared with it is left out where there is none.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Comparison, measure
from benchmarks.memo_theirs import COMBINATIONS, far_apart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["run"]

_QUICK = 3
_FLOOR = "where nothing nearby was read, three statements find a result: by hand they are the row below"


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure S5, S5r, and the fingerprint."""
    rounds = 1 if rounds <= _QUICK else rounds  # each starts two processes for each work
    select, by_hand = _child(folder, "select", "select"), _child(folder, "hand", "handle")
    fresh, each_by_hand = _child(folder, "hand", "process"), _child(folder, "hand", "scattered")
    far = f"S5: each of {len(far_apart())} first hits far apart, less the next one"
    single = "S5: the first hit of a handle, less the next one"
    works: list[tuple[str, str, float, str, Any]] = [
        ("warm fingerprint of a one-function thunk", "SELECT 1", 0.25, "fingerprint", select),
        (f"S5: each of {COMBINATIONS:,} first hits, less the next one", "SELECT 1", 3.0, "firsts", select),
        (far, "SELECT 1", 3.0, "scattered", select),
        (far, "the statements that find one result, by hand", 2.5, "scattered", each_by_hand),
        (single, "SELECT 1", 3.0, "handle", select),
        (single, "the statements that find one result, by hand", 2.5, "handle", by_hand),
        (
            "S5: the first hit of a process, less the next one",
            "these statements in a fresh process",
            5.0,
            "process",
            fresh,
        ),
        (f"S5r: run {COMBINATIONS:,} finished combinations again, each", "SELECT 1", 0.15, "run", select),
    ]
    found = [
        _compare(title, limit, promised, folder, work, theirs, rounds) for title, limit, promised, work, theirs in works
    ]
    if importlib.util.find_spec("joblib") is None:
        return found
    pairs = {
        "small": ("S5: hit, small arguments", 1.0),
        "array": ("S5: hit, an array of 10 MB as argument", 0.5),
        "record": ("S5: hit, a loaded variable of 10,000 samples as argument", 1 / 3),
        "run": (f"S5r: run {COMBINATIONS:,} finished combinations again, each", 0.25),
    }
    for work, (title, promised) in pairs.items():
        theirs = _child(folder, "joblib", work)
        found.append(_compare(title, "joblib.Memory", promised, folder, work, theirs, rounds))
    return found


def _compare(
    title: str,
    limit: str,
    promised: float,
    folder: Path,
    work: str,
    theirs: Callable[[int], Callable[[], Any]],
    rounds: int,
) -> Comparison:
    comparison = Comparison(title, limit, promised, floor=_FLOOR if work in {"scattered", "handle"} else "")
    return measure(comparison, _child(folder, "scidb", work), theirs, rounds, warm_up=False)


def _child(folder: Path, side: str, work: str) -> Callable[[int], Callable[[], Any]]:
    """Return rounds in a process of their own, which tell the seconds of one piece of the work."""
    per = COMBINATIONS if work == "run" else 1
    child = ["benchmarks.memo_child"] if side == "scidb" else ["benchmarks.memo_theirs", side]
    command = [sys.executable, "-m", *child, work, str(folder)]

    def timed() -> float:
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
        return float(told) / per

    return lambda _number: timed
