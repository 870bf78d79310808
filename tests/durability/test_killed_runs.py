"""A run that is killed goes on where it stopped."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import scidb

SCRIPT = """
    import sys, time
    from pathlib import Path
    from scidb import BaseVariable, configure_database, for_each

    class Doubled(BaseVariable):
        pass

    def double(subject):
        time.sleep(0.001)
        return subject * 2

    if __name__ == "__main__":
        configure_database(sys.argv[1], {"subject": int}, lock_timeout=30)
        jobs, count = int(sys.argv[3]), int(sys.argv[4])
        report = for_each(double, {}, [Doubled], subject=range(count), pass_metadata=True, n_jobs=jobs)
        Path(sys.argv[2]).write_text(f"{report.completed} {report.up_to_date}")
"""


def start(folder: Path, jobs: int, count: int) -> subprocess.Popen[bytes]:
    script = folder / "study.py"
    script.write_text(textwrap.dedent(SCRIPT))
    files = [str(script), str(folder / "study.duckdb"), str(folder / "counts.txt")]
    return subprocess.Popen([sys.executable, *files, str(jobs), str(count)], env=environment())


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(scidb.__file__).parents[1])}


def kill_in_the_middle(process: subprocess.Popen[bytes], folder: Path, after: float) -> None:
    """Kill so many seconds after the database was opened."""
    while not (folder / "study.duckdb.lock").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(after)
    process.kill()
    process.wait()


def finished(folder: Path) -> int:
    """Return how many combinations are saved, all of them right."""
    with scidb.open(folder / "study.duckdb", {"subject": int}) as db:
        count = {info.name: info.records for info in db.types()}.get("Doubled", 0)
        if count:
            table = db.load_all("Doubled", as_df=True)
            assert list(table["Doubled"]) == list(table["subject"] * 2)
    return count


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, jobs: int) -> None:
    """R1: 15 SIGKILLs at random moments of a run, in each way to run; what was finished is not computed again."""
    if jobs > 1:
        pytest.importorskip("loky")
    count, saved = 6_000, 0
    rng = random.Random(jobs)
    for _ in range(15):
        kill_in_the_middle(start(tmp_path, jobs, count), tmp_path, rng.uniform(0.0, 3.0))
        now = finished(tmp_path)
        assert now >= saved
        saved = now
    assert start(tmp_path, jobs, count).wait() == 0

    completed, up_to_date = map(int, (tmp_path / "counts.txt").read_text().split())
    assert (completed, up_to_date) == (count - saved, saved)
    assert finished(tmp_path) == count
    with scidb.open(tmp_path / "study.duckdb") as db:
        assert {info.name: info.entries for info in db.types()} == {"Doubled": count}  # nothing twice
