"""Processes that run the same script against one server: each combination is computed once, also when one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.net.serving import serve

import scidb
from scidb import BaseVariable
from scidb.store.model import SchemaKey

if TYPE_CHECKING:
    from pathlib import Path

    from scidb.database import DatabaseManager

pytestmark = pytest.mark.slow

COUNT = 60

SCRIPT = '''
"""Compute something for every subject, and note on the side what is computed by whom."""
import os, sys, time
import scidb
import scidb.foreach.claims
from scidb import BaseVariable, for_each

scidb.foreach.claims._CLAIM_SECONDS = float(os.environ["CLAIM"])
scidb.foreach.claims._PORTION_SECONDS = 0.2


class Raw(BaseVariable):
    """What is given."""


class Result(BaseVariable):
    """What is computed."""


def note(raw):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{raw:g} {os.getpid()}\\n")


def compute(raw):
    note(raw)
    time.sleep(float(os.environ["SECONDS"]))
    return raw**2


if __name__ == "__main__":
    with scidb.open(sys.argv[1]) as db:
        jobs = {"n_jobs": 2} if "jobs" in sys.argv else {}
        report = for_each(compute, {"raw": Raw}, [Result], subject=[], progress=False, db=db, **jobs)
        print(report.completed, report.up_to_date + report.recalled, report.failed)
'''


class Raw(BaseVariable):
    """What is given."""


class Result(BaseVariable):
    """What is computed."""


class Machines:
    """Processes that run the script, and what they leave behind."""

    def __init__(self, folder: Path) -> None:
        self.address = serve([SchemaKey("subject", "int")], str(folder / "study.duckdb"))
        self.notes = folder / "notes"
        self.notes.touch()
        self._script = folder / "analysis.py"
        self._script.write_text(SCRIPT, encoding="utf-8")
        with self.database() as db:
            Raw.save_many([(float(subject), {"subject": subject}) for subject in range(COUNT)], db=db)

    def database(self) -> DatabaseManager:
        """Connect to the server."""
        return scidb.open(self.address)

    def start(self, *words: str, seconds: float = 0.05, claim: float = 60.0) -> subprocess.Popen[str]:
        """Start the script."""
        own = {"NOTES": str(self.notes), "SECONDS": str(seconds), "CLAIM": str(claim)}
        return subprocess.Popen(
            [sys.executable, str(self._script), self.address, *words],
            stdout=subprocess.PIPE,
            env={**os.environ, **own},
            text=True,
        )

    def computed(self) -> Counter[int]:
        """Return how often each combination was computed."""
        return Counter(int(line.split()[0]) for line in self.notes.read_text(encoding="utf-8").splitlines())

    def workers(self) -> int:
        """Return how many processes computed anything."""
        return len({line.split()[1] for line in self.notes.read_text(encoding="utf-8").splitlines()})

    def check_results(self) -> None:
        """See that every result is there, once in value and once in the log."""
        with self.database() as db:
            assert [one.data for one in Result.load_all(db=db)] == [float(subject) ** 2 for subject in range(COUNT)]
            entries = [len(db.list_versions(Result, subject=subject)) for subject in range(COUNT)]
            assert entries == [1] * COUNT


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    """Return a server with data and a script."""
    return Machines(tmp_path)


def finish(process: subprocess.Popen[str]) -> list[int]:
    """Return what a process reports: computed, there already, failed."""
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return [int(word) for word in said.split()]


@pytest.mark.parametrize("words", [[[], []], [[], [], []], [["jobs"], []]], ids=["two", "three", "with processes"])
def test_the_same_script_on_several_machines(machines: Machines, words: list[list[str]]) -> None:
    """Every combination is computed exactly once, all take part, and each ends with everything done."""
    processes = [machines.start(*one) for one in words]
    reports = [finish(process) for process in processes]

    assert machines.computed() == Counter(range(COUNT))
    assert machines.workers() >= len(words)
    assert [sum(report) for report in reports] == [COUNT] * len(words)
    assert sum(report[0] for report in reports) == COUNT
    machines.check_results()


def test_a_machine_that_dies(machines: Machines) -> None:
    """What a killed process had claimed is computed by another one once the claims have run out."""
    dying = machines.start(seconds=0.5, claim=3.0)
    while not machines.computed():
        time.sleep(0.05)
    other = machines.start(seconds=0.01, claim=3.0)
    while machines.workers() < 2:
        time.sleep(0.05)
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    report = finish(other)

    assert sum(report) == COUNT
    assert set(machines.computed()) == set(range(COUNT))
    # Only what was computed and not saved when the process died is computed again.
    assert sum(machines.computed().values()) <= COUNT + 4
    machines.check_results()


def test_a_machine_that_sleeps(machines: Machines) -> None:
    """A process that was stopped for longer than its claims last comes back late; its results are no second values."""
    late = machines.start(seconds=0.3, claim=1.0)
    while not machines.computed():
        time.sleep(0.02)
    late.send_signal(signal.SIGSTOP)
    report = finish(machines.start(seconds=0.01, claim=1.0))
    late.send_signal(signal.SIGCONT)
    reports = [report, finish(late)]

    assert [sum(one) for one in reports] == [COUNT] * 2
    assert report[0] >= COUNT - 2
    with machines.database() as db:
        assert [one.data for one in Result.load_all(db=db)] == [float(subject) ** 2 for subject in range(COUNT)]
        for subject in range(COUNT):
            versions: list[Any] = db.list_versions(Result, subject=subject)
            assert len({one["record_id"] for one in versions}) == 1
