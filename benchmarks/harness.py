"""How a promise is measured: two ways to do the same work, in turn, and the ratio of their medians."""

from __future__ import annotations

import gc
import json
import math
import platform
import statistics
import time
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Prepare: TypeAlias = "Callable[[int], Callable[[], Any]]"
"""Given the number of the round, prepares the work that is then timed."""

__all__ = ["Amounts", "Comparison", "Result", "environment", "measure", "table", "to_json"]


@dataclass(slots=True)
class Comparison:
    """One promise: our seconds and the limit's, round by round; none (infinity) where it is only to be seen."""

    work: str
    limit: str
    promised: float = math.inf  # nothing: the figure is for comparison
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    floor: str = ""  # why the promise cannot be kept, with the row that shows it; told only where it is not

    @property
    def ratio(self) -> float:
        """Our median over the limit's."""
        return statistics.median(self.ours) / statistics.median(self.theirs)

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        return self.ratio <= self.promised


@dataclass(slots=True)
class Amounts:
    """One promise about bytes: ours and the limit's."""

    work: str
    limit: str
    promised: float
    ours: int = 0
    theirs: int = 0
    floor: str = ""

    @property
    def ratio(self) -> float:
        """Ours over the limit's."""
        return self.ours / self.theirs

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        return self.ratio <= self.promised


Result: TypeAlias = Comparison | Amounts


def measure(
    comparison: Comparison,
    ours: Callable[[int], Callable[[], Any]],
    theirs: Callable[[int], Callable[[], Any]],
    rounds: int,
    *,
    warm_up: bool = True,
) -> Comparison:
    """Time both in turn. Each is given the number of the round and prepares, untimed, what is then timed.

    Work that runs in a process of its own returns the seconds that it took there. A round 0 warms up and is not
    counted; what warms up in each process by itself does without.
    """
    for number in range(0 if warm_up else 1, rounds + 1):
        pairs = [(ours, comparison.ours), (theirs, comparison.theirs)]
        for prepare, seconds in pairs if number % 2 else reversed(pairs):
            work = prepare(number)
            gc.collect()
            started = time.perf_counter()
            told = work()
            passed = time.perf_counter() - started
            if number:
                seconds.append(told if isinstance(told, float) else passed)
    return comparison


def environment() -> dict[str, str]:
    """Return machine and versions, without which a figure means nothing."""
    names = ("scidb", "duckdb", "numpy", "pandas", "pyarrow")
    versions = {name: _version(name) for name in names}
    return {"python": platform.python_version(), "machine": platform.machine(), **versions}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def table(comparisons: Iterable[Result]) -> str:
    """Return the results as text, one promise a line."""
    lines = [f"{'work':<58} {'ours':>10} {'limit':>10} {'spread':>8} {'ratio':>7} {'promise':>8}"]
    for item in comparisons:
        promise = f"<= {item.promised:g}" if math.isfinite(item.promised) else ""
        verdict = "" if item.holds else "  NOT KEPT"
        figures = f"{_amounts(item)} {item.ratio:>7.2f} {promise:>8}"
        lines.append(f"{item.work:<58} {figures}{verdict}")
        lines.append(f"  limit: {item.limit}")
        if item.floor and not item.holds:
            lines.append(f"  floor: {item.floor}")
    return "\n".join(lines)


def _amounts(item: Result) -> str:
    if isinstance(item, Amounts):
        return f"{item.ours / 1e6:>7.1f} MB {item.theirs / 1e6:>7.1f} MB {'':>8}"
    ours, theirs = 1e3 * statistics.median(item.ours), 1e3 * statistics.median(item.theirs)
    spread = (max(item.ours) - min(item.ours)) / statistics.median(item.ours)
    return f"{ours:>7.1f} ms {theirs:>7.1f} ms {spread:>8.0%}"


def to_json(comparisons: Iterable[Result]) -> str:
    """Return the results with machine and versions as JSON."""
    rows = [
        {
            "work": item.work,
            "limit": item.limit,
            "promised": item.promised if math.isfinite(item.promised) else None,
            "ratio": item.ratio,
            "holds": item.holds,
            "floor": item.floor,
            "unit": "bytes" if isinstance(item, Amounts) else "seconds",
            "ours": item.ours,
            "limit_measured": item.theirs,
        }
        for item in comparisons
    ]
    return json.dumps({"environment": environment(), "results": rows}, indent=2)
