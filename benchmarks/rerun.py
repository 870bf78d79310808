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


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure whole processes: the first run of the example, and a second one on its database."""
    recordings = Path(os.environ["SCIDB_GAIT"]) if "SCIDB_GAIT" in os.environ else _generated(folder)
    count = len(list(recordings.glob("*_lb.txt")))

    def again(number: int) -> Callable[[], Any]:
        database = folder / f"gait_again_{number}.duckdb"
        _gait(recordings, database)
        return lambda: _gait(recordings, database)

    def first(number: int) -> Callable[[], Any]:
        return lambda: _gait(recordings, folder / f"gait_first_{number}.duckdb")

    work = f"run the finished gait example again ({count} recordings)"
    comparison = Comparison(work, "its first run, whole processes, start-up included", 0.1)
    return [measure(comparison, again, first, max(1, rounds // 3))]


def _gait(recordings: Path, database: Path) -> None:
    command = [sys.executable, str(_EXAMPLES / "gait.py"), str(recordings), "--db", str(database)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


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
