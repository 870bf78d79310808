"""Before/after pairs of small modules: what changes a fingerprint, what does not, and what is said of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.hashing import code_changes
from tests.hashing.code_changes import Seen, cases, look

import scidb
from scidb.hashing.code.changes import differences
from scidb.hashing.code.fingerprint import fingerprint
from scidb.thunk import PipelineThunk, Thunk

if TYPE_CHECKING:
    from tests.hashing.code_changes import Case, Study

CASES = {case.name: case for case in cases()}
CHANGED = [case for case in CASES.values() if case.is_change]
SAME = [case for case in CASES.values() if not case.is_change]


def name(case: Case) -> str:
    return case.name


def test_the_table_is_long_and_names_each_case_once() -> None:
    """At least 60 changes, and enough of what is none; a name stands for one case."""
    assert len(CHANGED) >= 60
    assert len(SAME) >= 20
    assert max(Counter(map(name, cases())).values()) == 1


@pytest.mark.parametrize("case", CHANGED, ids=name)
def test_a_change_of_code_changes_the_fingerprint_and_is_named(study: Study, case: Case) -> None:
    """M4, M8: whatever decides what the function returns is part of its fingerprint, and the reason is right."""
    seen = look(study, case)

    assert seen.before.hash != seen.after.hash
    assert seen.before.hash == fingerprint(study.load(case.before).f).hash
    assert seen.why == case.why


@pytest.mark.parametrize("case", SAME, ids=name)
def test_a_change_of_form_keeps_the_fingerprint(study: Study, case: Case) -> None:
    """M5: what does not change a result does not cost a recomputation, and nothing is said of it."""
    seen = look(study, case)

    assert seen.before.hash == seen.after.hash
    assert seen.why == ()


def test_a_call_is_another_computation_exactly_where_code_changed(study: Study) -> None:
    """M4, M5: with equal arguments, a changed function is computed again, and one that only looks different is not."""
    for case in CASES.values():
        before, after = (
            PipelineThunk(Thunk(study.load(side).f), {"x": 1}).lineage_id for side in (case.before, case.after)
        )
        assert (before != after) is case.is_change, case.name


@pytest.mark.slow
def test_every_case_is_read_from_source_whole(study: Study) -> None:
    """Nothing ordinary falls back to bytecode, which would not survive a change of Python, or gives a warning."""
    for case in CASES.values():
        for made in (fingerprint(study.load(side).f) for side in (case.before, case.after)):
            assert made.warnings == (), case.name
            assert '"bytecode"' not in made.manifest, case.name


@pytest.mark.slow
def test_there_is_a_reason_exactly_where_fingerprints_differ(study: Study) -> None:
    """Also of functions that have nothing in common something is said; of equal ones nothing."""
    made = [look(study, case) for case in CASES.values()]
    sides = [side for seen in made for side in (seen.before, seen.after)]

    for distance in (1, 2, 3, 17, 50):
        for old, new in zip(sides, sides[distance:], strict=False):
            found = [change for change in differences(old, new) if change.counts]
            assert bool(found) is (old.hash != new.hash)
            assert all(str(change) for change in found)


def in_another_process(python: str, seed: str) -> dict[str, list[object]]:
    """Return what a fresh interpreter makes of the table."""
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(Path(scidb.__file__).parents[1]), str(root)])
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path, "PYTHONWARNINGS": "error"}
    command = [python, str(Path(code_changes.__file__))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return {row[0]: row[1:] for row in json.loads(done.stdout)}


def row(seen: Seen) -> list[object]:
    return [seen.before.hash, seen.after.hash, list(seen.why)]


@pytest.mark.slow
def test_other_processes_and_other_pythons_agree(study: Study) -> None:
    """M5, M9: neither PYTHONHASHSEED nor the version of Python counts: equal digests, and equal reasons.

    The other version is that of SCIDB_OTHER_PYTHON, where it is set.
    """
    here = {case.name: row(look(study, case)) for case in CASES.values()}

    for python in {sys.executable, os.environ.get("SCIDB_OTHER_PYTHON", sys.executable)}:
        assert in_another_process(python, seed="1") == here
