"""Importing SciDB, against importing the libraries that it stands on."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Comparison, measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["run"]


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure whole processes."""
    del folder
    floor = "more than half of what is ours is making 160 dataclasses, for each of which Python compiles six functions"
    comparison = Comparison("S11: import scidb", "import duckdb, pandas, pyarrow", 1.3, floor=floor)
    return [measure(comparison, _python("import scidb"), _python("import duckdb, pandas, pyarrow"), rounds)]


def _python(code: str) -> Callable[[int], Callable[[], Any]]:
    return lambda _number: lambda: subprocess.run([sys.executable, "-c", code], check=True)
