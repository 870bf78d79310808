"""Requests that are nearly right (N5): whatever is wrong with them, they are refused in our own words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.net.fuzzing import Fuzzer

_MANY = 100_000


def test_what_is_nearly_right_is_refused_or_taken() -> None:
    """Of changed requests, some are still fine; the rest raise a SciDBError and nothing else (N5)."""
    fuzzer = Fuzzer(7)

    fuzzer.run(1_500)

    assert fuzzer.counts["taken"] > 20
    assert fuzzer.counts["SerializationError"] > 500


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory a process has")
def test_many_crash_nothing_and_leave_nothing_behind() -> None:
    """100,000 of them, in a process of their own: it does not crash, and does not grow (N5)."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.net.fuzzing", "1", str(_MANY)]

    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout.split()

    taken, asked, grown = map(int, said)
    assert asked == _MANY
    assert taken > _MANY // 100
    assert grown < 32 * 2**20
