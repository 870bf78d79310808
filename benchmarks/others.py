"""What else one could use: twenty numbers and twenty arrays, saved and loaded one by one; a call that is known already.

Nothing is promised. None of them keeps versions, provenance and a log, nor waits until what it wrote is on disk; where
one is faster, that is mostly why.

Each is measured in a fresh process, ours and theirs in turn, and given up after half a minute, with a word. What is not
installed is left out, with a word, too. ``SCIDB_SCISTACK_PYTHON`` names the Python of an environment that has
scistack-db, whose package has the name of ours.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.harness import Comparison
from benchmarks.others_child import PLACES, TIMES

__all__ = ["run"]

_CHILD: Final = Path(__file__).with_name("others_child.py")
_OURS: Final = "SciDB"
_THEIR_OWN: Final = "scistack-db"  # needs a Python of its own
_PATIENCE: Final = 30.0
_QUICK: Final = 3

Figures: TypeAlias = dict[str, float]
"""The seconds of each work."""


def run(folder: Path, rounds: int) -> list[Comparison]:
    """Compare with each that is installed."""
    names = [name for name in PLACES if name != _OURS and _is_there(name)]
    told: dict[str, list[Figures]] = {name: [] for name in (_OURS, *names)}
    # Each round starts a process for each, most of which is imports.
    for number in range(1 if rounds <= _QUICK else 5):
        for name in list(told):
            own = folder / f"{name}_{number}".replace(" ", "_")
            own.mkdir()
            try:
                told[name].append(_measured(name, own))
            except _GivenUpError as given_up:
                if name == _OURS:
                    raise
                _say(name, str(given_up))
                del told[name]
    ours = told.pop(_OURS)
    return [
        Comparison(
            f"beside: {work}, {TIMES} times",
            name,
            ours=[figures[work] for figures in ours],
            theirs=[figures[work] for figures in theirs],
        )
        for name, theirs in told.items()
        for work in theirs[0]
    ]


class _GivenUpError(Exception):
    """One of them failed, or took too long."""


def _is_there(name: str) -> bool:
    if name == _THEIR_OWN:
        found = "SCIDB_SCISTACK_PYTHON" in os.environ
        missing = "SCIDB_SCISTACK_PYTHON names no Python that has it"
    else:
        found = importlib.util.find_spec(PLACES[name].module) is not None
        missing = "not installed"
    if not found:
        _say(name, missing)
    return found


def _say(name: str, why: str) -> None:
    print(f"{name}: {why}; left out", file=sys.stderr)


def _measured(name: str, folder: Path) -> Figures:
    """Measure one of them in a process of its own."""
    python, environment = sys.executable, dict(os.environ)
    if name == _THEIR_OWN:
        python = environment["SCIDB_SCISTACK_PYTHON"]
        environment.pop("PYTHONPATH", None)
    figures, errors = folder / "figures.json", folder / "errors.txt"
    command = [python, str(_CHILD), name, str(folder / "data"), str(figures)]
    # Files, not pipes: something that the child has started may keep a pipe open when the child is gone.
    with errors.open("w") as file:
        try:
            child = subprocess.run(command, env=environment, stdout=file, stderr=file, timeout=_PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise _GivenUpError(f"not done after {_PATIENCE:g} seconds") from None
    if child.returncode:
        raise _GivenUpError((errors.read_text().splitlines() or ["it failed"])[-1])
    found: Figures = json.loads(figures.read_text())
    return found
