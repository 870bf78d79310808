"""M11: a source file that is edited while a process that imported it is running."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import scidb

MODULE = """
from scidb import thunk
import helper

@thunk
def decorated(x):
    return helper.scaled(x) * 2
"""
PLAIN = "import helper\ndef plain(x):\n    return x * 2\n"
HELPER = "def scaled(x):\n    return x * 10\n"
STUDY = """
import json, sys
from pathlib import Path
import scidb
from scidb import BaseVariable, for_each
from scidb.hashing.code.manifest import Manifest
from scidb.store.model import Sources
import study

class Raw(BaseVariable): pass
class Out(BaseVariable): pass

name, edited = sys.argv[1:]
if edited == "edit":
    for file in (study.__file__, study.helper.__file__):
        text = Path(file).read_text()
        Path(file).write_text(text.replace("* 2", "* 3").replace("* 10", "* 100"))
with scidb.open("study.duckdb", ["subject"]) as db, db.as_current():
    Raw.save(1, subject=1)
    report = for_each(getattr(study, name), {"x": Raw}, [Out], subject=[])
    made = db.get_provenance(Out, subject=1)
    (kept,) = db._store.find(Sources((made["function_hash"],)))
    units = Manifest.read(kept.manifest).units
    print(json.dumps([report.completed, Out.load_one(subject=1).data, "\\n".join(kept.sources.values()),
                      [unit.how for unit in units], list(Manifest.read(kept.manifest).warnings)]))
"""


def run(folder: Path, *arguments: str) -> list[Any]:
    environment = {"PYTHONPATH": str(Path(scidb.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", STUDY, *arguments]
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    found: list[Any] = json.loads(answer.stdout)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a study in two modules."""
    (tmp_path / "study.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "helper.py").write_text(HELPER, encoding="utf-8")
    return tmp_path


def test_what_ran_is_recorded_and_the_edit_recomputes(folder: Path) -> None:
    """M11: the old process records the text that it imported, helpers included; the new one runs the new text."""
    computed, value, text, how, warnings = run(folder, "decorated", "edit")

    assert (computed, value, how, warnings) == (1, 20, ["source", "source"], [])
    assert "scaled(x) * 2" in text
    assert "return x * 10\n" in f"{text}\n"

    computed, value, text, how, _ = run(folder, "decorated", "")

    assert (computed, value, how) == (1, 300, ["source", "source"])
    assert "scaled(x) * 3" in text
    assert run(folder, "decorated", "")[0] == 0


@pytest.mark.slow
def test_a_text_that_was_never_seen_is_never_made_up(folder: Path) -> None:
    """M11: of an undecorated function that was edited before its first run the bytecode counts, and that is said."""
    (folder / "study.py").write_text(PLAIN, encoding="utf-8")

    computed, value, text, how, warnings = run(folder, "plain", "edit")

    assert (computed, value, text, how) == (1, 2, "", ["bytecode"])
    assert "its bytecode of Python" in warnings[0]
    assert run(folder, "plain", "")[:2] == [1, 3]
