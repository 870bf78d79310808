"""``scidb backup`` and ``scidb restore``: what they say, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import lines

from scidb.session import open_database

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scidb


def test_there_and_back(scidb: Scidb, study: Path, here: Path) -> None:
    """A backup is made, listed and restored; nothing is overwritten unless that is said."""
    folder, back = here / "backups", here / "back.duckdb"
    made = scidb("backup", str(folder), "--db", str(study))
    assert made.stdout.startswith(str(folder))
    assert "opened and checked" in made.stderr
    [again] = lines(scidb("backup", str(folder), "--db", str(study), "--json", "--no-verify", "--keep", "1"))
    assert (again["is_verified"], len(again["removed"])) == (False, 1)
    [listed] = lines(scidb("restore", str(folder), "--list", "--json"))
    assert (listed["taken"], listed["nbytes"]) == (again["taken"], again["nbytes"])
    assert again["taken"] in scidb("restore", str(folder), "--list").stdout
    restored = scidb("restore", str(folder), str(back), "--at", again["taken"])
    assert "opened and checked" in restored.stderr
    assert "--force" in scidb("restore", str(folder), str(back), expect=1).stderr
    [forced] = lines(scidb("restore", str(folder), str(back), "--force", "--json"))
    assert forced["taken"] == again["taken"]
    with open_database(study, read_only=True) as one, open_database(back, read_only=True) as other:
        assert [info.name for info in one.types()] == [info.name for info in other.types()]


def test_what_is_refused(scidb: Scidb, study: Path, here: Path) -> None:
    """A folder that is none, a time without a backup and a missing target are said."""
    assert "is a file" in scidb("backup", str(study), "--db", str(study), expect=1).stderr
    assert "--keep" in scidb("backup", "x", "--db", str(study), "--keep", "0", expect=2).stderr
    (here / "empty").mkdir()
    assert "no backup folder" in scidb("restore", str(here / "empty"), "--list", expect=1).stderr
    scidb("backup", str(here / "backups"), "--db", str(study))
    assert "Say which file" in scidb("restore", str(here / "backups"), expect=2).stderr
    assert "The oldest of 1" in scidb("restore", str(here / "backups"), "x", "--at", "2001-01-01", expect=1).stderr


@pytest.mark.slow
def test_another_process_has_it(scidb: Scidb, study: Path, here: Path) -> None:
    """A file that another process has is waited for, and then it is said who has it."""
    code = "import scidb, sys; db = scidb.open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(study)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        said = scidb("backup", str(here / "backups"), "--db", str(study), expect=1).stderr
        assert f"process {other.pid}" in said
        other.communicate()
    assert not (here / "backups").exists()
