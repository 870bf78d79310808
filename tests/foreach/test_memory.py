"""A run over more data than it may hold at once: fresh processes, the sizes of real data, and so slow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import scidb

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of a process"),
]

COUNT: Final = 200
TOTAL: Final = 2 * COUNT * 4_000_000  # what is read, and as much that is written
BUDGET: Final = 750_000_000


def grown(folder: Path, what: str, n_jobs: int = 1) -> int:
    """Run over all arrays in a process of its own; return by how much its memory grew."""
    environment = {**os.environ, "PYTHONPATH": str(Path(scidb.__file__).parents[1])}
    command = [sys.executable, str(Path(__file__).with_name("large_run.py")), what, str(COUNT), str(n_jobs)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    completed, growth = map(int, done.stdout.split())
    assert completed == COUNT
    return growth


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """1.6 GB pass through a process that grows by less than half of it, alone and with workers.

    Neither what is read nor what is saved, of which one alone would exceed the budget, is held as a whole.
    """
    assert BUDGET < TOTAL / 2
    assert grown(tmp_path, "make") < BUDGET
    assert grown(tmp_path, "shift") < BUDGET

    pytest.importorskip("loky")
    assert grown(tmp_path, "shift", n_jobs=2) < BUDGET
