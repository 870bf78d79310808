"""A run that is killed goes on where it stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

import scidb

if TYPE_CHECKING:
    from pathlib import Path

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
        report = for_each(double, {}, [Doubled], subject=range(2_000), pass_metadata=True)
        Path(sys.argv[2]).write_text(f"{report.completed} {report.up_to_date}")
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    script = folder / "study.py"
    script.write_text(textwrap.dedent(SCRIPT))
    return subprocess.Popen([sys.executable, str(script), str(folder / "study.duckdb"), str(folder / "counts.txt")])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", [0.3, 0.9, 1.6, 2.3])
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, after: float) -> None:
    """R1: SIGKILL in the middle of 2,000 combinations; what was finished is not computed again."""
    process = start(tmp_path)
    while not (tmp_path / "study.duckdb.lock").exists():
        time.sleep(0.01)
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    with scidb.open(tmp_path / "study.duckdb") as db:
        finished = {info.name: info.records for info in db.types()}.get("Doubled", 0)
        if finished:
            table = db.load_all("Doubled", as_df=True)
            assert list(table["Doubled"]) == list(table["subject"] * 2)
    assert start(tmp_path).wait() == 0

    completed, up_to_date = map(int, (tmp_path / "counts.txt").read_text().split())
    assert completed + up_to_date == 2_000
    assert up_to_date == finished
    with scidb.open(tmp_path / "study.duckdb") as db:
        assert [item.data for item in db.load_all("Doubled")] == [2 * n for n in range(2_000)]
