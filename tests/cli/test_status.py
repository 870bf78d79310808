"""``scidb status``, ``scidb explain`` and ``scidb accept``: what they print, and their exit codes."""

from __future__ import annotations

import gc
import importlib
import sys
from typing import TYPE_CHECKING, Protocol

import pytest
from tests.cli.conftest import lines

from scidb import BaseVariable, for_each, thunk
from scidb.session import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Scidb

STALE = 3
MODULE = "pipeline_of_cli"
CODE = "def smooth(force):\n    return [2 * x for x in force]\n\n\ndef peak(x):\n    return max(x)\n"


class Force(BaseVariable):
    pass


class Smooth(BaseVariable):
    pass


class Peak(BaseVariable):
    pass


class Figure(BaseVariable):
    pass


class Lab(Protocol):
    """A database on which a pipeline ran, and the file of the pipeline, which is not imported any more."""

    file: Path
    database: Path

    def edit(self, old: str, new: str) -> None: ...


class _Lab:
    def __init__(self, folder: Path) -> None:
        self.file, self.database = folder / f"{MODULE}.py", folder / "lab.duckdb"
        self.file.write_text(CODE)

    def edit(self, old: str, new: str) -> None:
        forget()
        self.file.write_text(self.file.read_text().replace(old, new))


def forget() -> None:
    """Be as another process, which has not imported the pipeline."""
    sys.modules.pop(MODULE, None)
    gc.collect()


@pytest.fixture
def lab(here: Path, scidb: Scidb, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Return the database after a run."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.setenv("SCIDB_DATABASE", str(here / "lab.duckdb"))
    made = _Lab(here)
    importlib.invalidate_caches()
    module = importlib.import_module(MODULE)
    with open_database(made.database, {"subject": int}) as db:
        db.save_many(Force, [([1.0 * subject], {"subject": subject}) for subject in (1, 2)])
        for_each(module.smooth, {"force": Force}, [Smooth], subject=[], db=db, progress=False)
        for_each(module.peak, {"x": Smooth}, [Peak], subject=[], db=db, progress=False)
    del module
    forget()
    yield made
    forget()


def test_green_is_zero(scidb: Scidb, lab: Lab) -> None:
    """Everything checked and up to date: exit code 0, and one line per variable and state."""
    out = scidb("status", "--import", str(lab.file)).stdout.splitlines()

    assert [line.split() for line in out[1:]] == [
        ["Force", "by", "hand", "saved", "by", "hand", "2"],
        ["Peak", "peak()", "up", "to", "date", "2"],
        ["Smooth", "smooth()", "up", "to", "date", "2"],
    ]


def test_stale_is_three(scidb: Scidb, lab: Lab) -> None:
    """One stale result is exit code 3, with the reason."""
    lab.edit("2 * x", "3 * x")

    found = scidb("status", "--import", str(lab.file), expect=STALE)

    assert "constant 2 -> 3 in smooth(), line 2" in found.stdout
    assert "4 of 6 are not known to be up to date" in found.stderr


def test_unchecked_is_three_and_says_so(scidb: Scidb, lab: Lab) -> None:
    """Code that is not here is never green: exit code 3, and the way to have it checked."""
    found = scidb("status", expect=STALE)

    assert "code not checked" in found.stdout
    assert "scidb status --import FILE|MODULE" in found.stderr


def test_selected(scidb: Scidb, lab: Lab) -> None:
    """Variables and KEY=VALUE choose; what is chosen alone decides the exit code."""
    assert len(lines(scidb("status", "Force", "--json"))) == 2
    scidb("status", "Force", "subject=1")
    with open_database(lab.database) as db:
        db.save(Force, [9.0], subject=1)
    scidb("status", "Smooth", "subject=2", "--import", str(lab.file))
    [row] = lines(scidb("status", "Smooth", "subject=1", "--import", str(lab.file), "--json", expect=STALE))
    assert (row["state"], row["schema"], row["is_green"]) == ("input changed", {"subject": 1}, False)
    assert row["reasons"][0]["kind"] == "input"


def test_explain(scidb: Scidb, lab: Lab) -> None:
    """In words, down to the root cause, with what differs in the code."""
    assert "up to date" in scidb("explain", "Peak", "subject=1", "--import", str(lab.file)).stdout
    lab.edit("2 * x", "3 * x")

    out = scidb("explain", "Peak", "subject=1", "--import", str(lab.file), expect=STALE).stdout

    assert out.splitlines()[0].endswith("input changed")
    assert "  x = Smooth (subject=1) is not up to date (code changed)" in out
    assert "because constant 2 -> 3 in smooth(), line 2" in out
    assert "-    return [2 * x for x in force]" in out
    assert "+    return [3 * x for x in force]" in out
    [row] = lines(scidb("explain", "Peak", "subject=1", "--json", expect=STALE))
    assert (row["variable"], row["state"]) == ("Peak", "input changed")


def test_explain_by_id(scidb: Scidb, lab: Lab) -> None:
    """A record is named by the beginning of its id, too."""
    [row] = lines(scidb("ls", "Force", "subject=1", "--json"))

    assert "saved by hand" in scidb("explain", row["record_id"][:10]).stdout


def test_files_that_functions_wrote(scidb: Scidb, lab: Lab, here: Path) -> None:
    """They are listed with an id that `explain` takes back, and their variable is a name like others."""
    lab.file.write_text(f"{CODE}\n\ndef draw(x, path):\n    path.write_text(str(x))\n")
    with open_database(lab.database) as db, db.as_current():
        importlib.invalidate_caches()
        write = thunk(generates_file=True)(importlib.import_module(MODULE).draw)
        Figure.save(write(Peak.load_one(subject=1), path=here / "a.svg"), subject=1)
    del write
    forget()
    scidb("status", "Figure", "--import", str(lab.file))
    (here / "a.svg").unlink()

    out = scidb("status", "--import", str(lab.file), expect=STALE).stdout
    [short] = [word for word in out.split() if word.startswith("generated:")]
    for words in ([short], ["Figure", "subject=1"]):
        explained = scidb("explain", *words, "--import", str(lab.file), expect=STALE).stdout
        assert explained.splitlines()[0] == f"Figure (subject=1) [{short}]: missing"
        assert "a.svg that draw() wrote is gone" in explained


def test_accept(scidb: Scidb, lab: Lab) -> None:
    """A reason is needed; afterwards everything is green, and there is nothing more to accept."""
    lab.edit("2 * x", "x * 2")
    scidb("status", "--import", str(lab.file), expect=STALE)
    scidb("accept", "smooth", "--import", str(lab.file), expect=2)

    out = scidb("accept", "smooth", "--import", str(lab.file), "--reason", "only reordered").stdout

    assert "smooth()" in out
    assert "only reordered" in out
    assert "accepted" in scidb("status", "--import", str(lab.file)).stdout
    again = scidb("accept", "smooth", "--import", str(lab.file), "-m", "again")
    assert (again.stdout, "nothing to accept" in again.stderr) == ("", True)


def test_accept_verified(scidb: Scidb, lab: Lab) -> None:
    """With --verify, a change that does alter a result is refused."""
    lab.edit("2 * x", "3 * x")
    words = ("accept", "smooth", "--import", str(lab.file), "-m", "harmless", "--verify", "2")
    assert "gives another result" in scidb(*words, expect=1).stderr
    scidb("status", "--import", str(lab.file), expect=STALE)
    lab.edit("3 * x", "x * 2")

    assert len(lines(scidb(*words, "--json"))) == 1
