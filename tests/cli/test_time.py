"""Going back in time on the command line: tag, diff and --as-of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import Reaction, fit, lines

from scidb import BaseVariable, for_each
from scidb.session import open_database

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scidb


class Pace(BaseVariable):
    """Change per day, another time."""


@pytest.fixture
def revised(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a database that was tagged, changed, and has a group."""
    path = here / "revised.duckdb"
    with open_database(path, {"subject": int, "day": int}) as db:
        db.save_many(Reaction, [(250.5, {"subject": 1, "day": 0}), (260.5, {"subject": 1, "day": 1})])
        for_each(fit, {"reaction": Reaction, "k": 1.0}, [Pace], subject=[], db=db, progress=False)
        db.tag("submitted")
        db.save(Reaction, 270.5, subject=1, day=1)
        db.save(Reaction, 280.0, subject=2, day=0)
        for_each(fit, {"reaction": Reaction, "k": 1.0}, [Pace], subject=[1], db=db, progress=False)
        db.add_to_var_group("figure 1", [Pace])
    monkeypatch.setenv("SCIDB_DATABASE", str(path))
    return path


@pytest.fixture
def program(scidb: Scidb, revised: Path) -> Scidb:
    assert revised.is_file()
    return scidb


def test_tags(program: Scidb) -> None:
    """A tag is made, listed, and never moved."""
    made = program("tag", "revised").stdout.splitlines()
    assert made[1].startswith("revised")
    assert program("tag").stdout == program("tag", "--list").stdout
    listed = lines(program("tag", "--json"))
    assert [row["tag"] for row in listed] == ["submitted", "revised"]
    assert (
        lines(program("tag", "same", "--at", listed[0]["timestamp"], "--json"))[0]["timestamp"]
        == listed[0]["timestamp"]
    )
    assert "never moves" in program("tag", "submitted", expect=1).stderr
    assert "begin it with a letter" in program("tag", "2026-03", expect=1).stderr.lower()
    program("tag", "--at", "2026-01-01", expect=2)
    program("tag", "x", "--list", expect=2)


def test_no_tags_yet(scidb: Scidb) -> None:
    """Without tags, what makes one is said beside the output."""
    result = scidb("tag", "--list")
    assert (result.stdout, "scidb tag NAME" in result.stderr) == ("", True)


def test_diff_for_people(program: Scidb) -> None:
    """One line a change: where, what, by how much, which record, what made it; the sum is said beside it."""
    result = program("diff", "submitted")
    head, pace, first, second = result.stdout.splitlines()
    assert head.split()[:5] == ["variable", "where", "change", "difference", "record"]
    assert pace.split()[:5] == ["Pace", "subject=1", "k=1.0", "changed", "10"]
    assert "fit()" in pace
    assert first.split()[:5] == ["Reaction", "subject=1", "day=1", "changed", "10"]
    assert second.split()[:4] == ["Reaction", "subject=2", "day=0", "added"]
    assert "1 added, 2 changed since submitted" in result.stderr


def test_diff_for_programs(program: Scidb) -> None:
    """With --json: one object a change, with full ids; B, a variable and keys narrow it."""
    found = lines(program("diff", "submitted", "--json"))
    assert [(row["variable"], row["change"], row["difference"]) for row in found] == [
        ("Pace", "changed", 10.0),
        ("Reaction", "changed", 10.0),
        ("Reaction", "added", None),
    ]
    assert found[0]["function"] == "fit"
    assert len(found[0]["after"]) == 64
    assert len(lines(program("diff", "submitted", "--variable", "Reaction", "subject=2", "--json"))) == 1
    assert len(lines(program("diff", "submitted", "subject=2", "subject=1", "-n", "2", "--json"))) == 2
    program("tag", "revised")
    assert len(lines(program("diff", "submitted", "revised", "subject=1", "--json"))) == 2
    assert "nothing changed" in program("diff", "submitted", "submitted").stderr


def test_diff_of_what_is_not_there(program: Scidb) -> None:
    """A misspelt tag, variable or key is named (A8)."""
    assert "Did you mean 'submitted'" in program("diff", "submited", expect=1).stderr
    assert "Did you mean 'Pace'" in program("diff", "submitted", "-v", "Pase", expect=1).stderr
    assert "'subject'" in program("diff", "submitted", "subjct=1", expect=1).stderr


def test_as_of(program: Scidb) -> None:
    """ls, show and log show what there was then, the function that made it included."""
    assert [row["value"] for row in lines(program("ls", "Reaction", "--as-of", "submitted", "--json"))] == [
        250.5,
        260.5,
    ]
    shown = lines(program("show", "Reaction", "subject=1", "day=1", "--as-of", "submitted", "--json"))
    assert shown[0]["value"] == 260.5
    assert lines(program("show", "Pace", "--as-of", "submitted", "--json"))[0]["provenance"]["function_name"] == "fit"
    assert len(lines(program("log", "--as-of", "submitted", "--json"))) == 3
    assert len(lines(program("log", "--json"))) == 6
    assert "as of 2020-01-01" in program("ls", "Reaction", "--as-of", "2020-01-01").stderr
    assert "as of 2020-01-01" in program("log", "--as-of", "2020-01-01").stderr
    assert "first saved there" in program("show", "Pace", "--as-of", "2020-01-01", expect=1).stderr
    program("ls", "--as-of", "submitted", expect=2)


def test_ls_shows_groups(program: Scidb, study: Path) -> None:
    """Groups have a column where there are any."""
    out = program("ls").stdout
    assert "groups" in out.splitlines()[0]
    assert "figure 1" in out
    assert lines(program("ls", "--json"))[0]["groups"] == ["figure 1"]
    assert "groups" not in program("ls", "--db", str(study)).stdout
