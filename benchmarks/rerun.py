"""Running the finished gait example again, against its first run.

Uses the recordings in the folder that SCIDB_GAIT names, else recordings that the example generates.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
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

# All files and code; then of each step the entries of all its variables, and a transaction that says that it ran.
_BY_HAND = """
import ast, hashlib, sys, time, uuid
from pathlib import Path
import duckdb
with duckdb.connect(sys.argv[3]) as known:
    runs = known.execute("SELECT arg_max(r, r.started) FROM _runs r GROUP BY r.function_name").fetchall()
    edges = known.execute("SELECT DISTINCT ON (source, function_name, target) * FROM _lineage").fetchall()
started = time.perf_counter()
with duckdb.connect(sys.argv[3]) as con:
    for path in Path(sys.argv[1]).glob("gait*.py"):
        compile(ast.parse(path.read_text()), path, "exec")
    for path in Path(sys.argv[2]).iterdir():
        hashlib.sha256(path.read_bytes()).hexdigest()
    for (run,) in runs:
        own = [edge for edge in edges if edge[2] == run["function_name"]]
        names = sorted({name for edge in own for name in edge[:2]})
        con.execute(
            "SELECT m.*, s.*, r.* FROM _record_metadata m JOIN _schema s ON s.schema_id = m.schema_id "
            "JOIN _records r ON r.record_no = m.record_no WHERE m.variable_name IN (SELECT unnest(?))", [names]
        ).fetchall()
        con.execute("BEGIN").fetchall()
        again = {**run, "run_id": uuid.uuid4().hex}
        con.execute(f"INSERT INTO _runs VALUES ({', '.join('?' * len(again))})", list(again.values())).fetchall()
        now = time.strftime("%Y-%m-%dT%H:%M:%S.") + str(time.perf_counter_ns())
        rows = [cell for *edge, _ in own for cell in (*edge, now)]
        con.execute(f"INSERT INTO _lineage VALUES {', '.join(['(?, ?, ?, ?, ?)'] * len(own))}", rows).fetchall()
        con.execute("COMMIT").fetchall()
print(time.perf_counter() - started)
"""


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Measure opening, running and closing, each in a fresh process: on a finished database, and on none."""
    recordings = Path(os.environ["SCIDB_GAIT"]) if "SCIDB_GAIT" in os.environ else _generated(folder)
    count = len(list(recordings.glob("*_lb.txt")))

    finished = folder / "gait_finished.duckdb"
    _gait(recordings, finished)
    copied = Path(shutil.copy(finished, folder / "gait_by_hand.duckdb"))

    def again(_: int) -> Callable[[], Any]:
        return lambda: _gait(recordings, finished)

    def first(number: int) -> Callable[[], Any]:
        return lambda: _gait(recordings, folder / f"gait_first_{number}.duckdb")

    def by_hand(_: int) -> Callable[[], Any]:
        return lambda: _timed(_BY_HAND, _EXAMPLES, recordings, copied)

    work = f"run the finished gait example again ({count} recordings)"
    floor = "what running again takes by hand is the row below"
    least = "one statement a step, its run noted, files and code read: by hand"
    comparisons = [
        (Comparison(work, "its first run, imports left out in both", 0.1, floor=floor), again, first),
        (Comparison(work, least), again, by_hand),
    ]
    return [measure(*each, max(1, rounds // 2), warm_up=False) for each in comparisons]


def _gait(recordings: Path, database: Path) -> float:
    return _timed(_SCRIPT, _EXAMPLES, recordings, database)


def _timed(script: str, *arguments: Path) -> float:
    command = [sys.executable, "-c", script, *map(str, arguments)]
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
