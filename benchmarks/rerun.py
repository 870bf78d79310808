"""Running the finished gait example again, against its first run.

Uses the recordings in the folder that SCIDB_GAIT names, else recordings that the example generates.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Comparison, measure

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run"]

_EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

# Importing numpy, pandas and DuckDB takes as long as running the finished example again, so it is left out.
_SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import duckdb, gait, scidb.store.duck
from scidb import configure_database
started = time.perf_counter()
with configure_database(sys.argv[3], gait.KEYS):
    gait.run(Path(sys.argv[2]))
print(time.perf_counter() - started)
"""


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure opening, running and closing, each in a fresh process: on a finished database, and on none."""
    recordings = Path(os.environ["SCIDB_GAIT"]) if "SCIDB_GAIT" in os.environ else _generated(folder)
    count = len(list(recordings.glob("*_lb.txt")))

    finished = folder / "gait_finished.duckdb"
    _gait(recordings, finished)

    def again(_: int) -> Callable[[], Any]:
        return lambda: _gait(recordings, finished)

    def first(number: int) -> Callable[[], Any]:
        return lambda: _gait(recordings, folder / f"gait_first_{number}.duckdb")

    work = f"run the finished gait example again ({count} recordings)"
    comparison = Comparison(work, "its first run, imports left out in both", 0.1)
    return [measure(comparison, again, first, max(1, rounds // 2), warm_up=False)]


def _gait(recordings: Path, database: Path) -> float:
    command = [sys.executable, "-c", _SCRIPT, str(_EXAMPLES), str(recordings), str(database)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _generated(folder: Path) -> Path:
    spec = importlib.util.spec_from_file_location("gait_steps", _EXAMPLES / "gait_steps.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    recordings = folder / "recordings"
    recordings.mkdir()
    for subject in range(1, 11):
        for trial in range(1, 6):
            module.write_example_recording(recordings, subject, trial, steps=16, seed=10 * subject + trial)
    return recordings
