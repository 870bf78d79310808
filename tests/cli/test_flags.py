"""Flags and impact on the command line, and what ``show`` says of a number and of the code that made it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import fit, lines

from scidb.session import open_database

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scidb

BAD = "electrode 7 bad"


@pytest.fixture
def own(scidb: Scidb, study: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Scidb:
    """Return the command line on a copy of the database, which may be changed."""
    shutil.copyfile(study, here / "own.duckdb")
    monkeypatch.setenv("SCIDB_DATABASE", str(here / "own.duckdb"))
    return scidb


def test_flag_list_and_take_back(own: Scidb) -> None:
    """A flag is given with its reason, listed, and taken back; it is said how much rests on it."""
    assert "No flags" in own("flag").stderr
    said = own("flag", "Reaction", "subject=1", "day=0", "--reason", BAD)
    assert BAD in said.stdout
    assert "2 results and files were made from this" in said.stderr
    [flag] = lines(own("flag", "--json"))
    assert (flag["reason"], flag["pin"], flag["variable"], flag["metadata"]) == (
        BAD,
        False,
        "Reaction",
        {"subject": 1, "day": 0},
    )
    own("flag", flag["record_id"][:12], "-r", "for the paper", "--pin")
    assert [one["pin"] for one in lines(own("flag", "--json"))] == [False, True]
    assert "(pinned)" in own("flag").stdout
    assert "Taken back: 1 flag." in own("flag", flag["record_id"][:12], "--off").stderr
    assert [one["pin"] for one in lines(own("flag", "--json"))] == [True]


def test_flag_several_at_once(own: Scidb) -> None:
    """All values that match are flagged, as everywhere."""
    own("flag", "Reaction", "subject=1", "day=0..1", "-r", BAD)
    assert len(lines(own("flag", "--json"))) == 2


@pytest.mark.parametrize("words", [("Reaction",), ("--reason", "x"), ("--off",), ("--pin",)])
def test_flag_needs_a_record_and_a_reason(own: Scidb, words: tuple[str, ...]) -> None:
    """Without a record, or without a reason, the usage is said."""
    assert "scidb flag ID --reason" in " ".join(own("flag", *words, expect=2).output.split())


def test_flag_of_what_is_not_there(own: Scidb) -> None:
    """An unknown record is a failure that says what there is."""
    assert "Did you mean 'Reaction'" in own("flag", "Reacton", "-r", BAD, expect=1).stderr
    assert "No record" in own("flag", "abcdef0123", "-r", BAD, expect=1).stderr


def test_descendants_show_it(own: Scidb) -> None:
    """`ls`, `show` and `lineage` show a flag on what was made from the flagged record."""
    assert "flags" not in own("ls", "Slope").stdout
    own("flag", "Reaction", "subject=1", "day=0", "-r", BAD)
    head, first, second = own("ls", "Slope").stdout.splitlines()
    assert head.split()[-1] == "flags"
    assert first.endswith(BAD)
    assert not second.endswith(BAD)
    assert [row["flags"] for row in lines(own("ls", "Slope", "--json"))] == [[BAD], []]
    shown = own("show", "Slope", "subject=1").stdout
    assert f"which is flagged '{BAD}'" in shown
    [data] = lines(own("show", "GroupSlope", "--json"))
    assert data["flags"] == [BAD]
    assert f"(flagged: {BAD})" in own("lineage", "GroupSlope").stdout


def test_impact(own: Scidb, here: Path) -> None:
    """`impact` lists results, what made them and files, for people and for programs."""
    with open_database(here / "own.duckdb") as db:
        db.export_to_csv("GroupSlope", here / "group.csv")
    out = own("impact", "Reaction", "subject=1", "day=0")
    assert [line.split()[0] for line in out.stdout.splitlines()] == ["what", "Slope", "GroupSlope", "export"]
    assert "2 records, 2 of them the latest; 1 file" in out.stderr
    found = lines(own("impact", "Reaction", "subject=1", "--json"))
    assert [(row["kind"], row["function"]) for row in found] == [
        ("record", "fit"),
        ("record", "mean_of"),
        ("export", None),
    ]
    assert "Nothing was made from Trace" in own("impact", "Trace").stderr


def test_show_says_who_when_and_where(scidb: Scidb) -> None:
    """`show` says of a result when and by whom it was computed, on what machine and with which versions."""
    out = scidb("show", "Slope", "subject=1").stdout
    assert "computed" in out
    assert "numpy" in out
    [data] = lines(scidb("show", "Slope", "subject=1", "--json"))
    assert data["provenance"]["environment"]["machine"] in out
    assert "computed" not in scidb("show", "Reaction", "subject=1", "day=0").stdout


def test_show_source(scidb: Scidb) -> None:
    """`show --source` prints the code that made a number, with file and line."""
    out = scidb("show", "Slope", "subject=1", "--source").stdout
    line = fit.__code__.co_firstlineno
    assert out.startswith(f"# fit, {fit.__code__.co_filename}, line {line}\ndef fit(")
    [data] = lines(scidb("show", "Slope", "subject=1", "--source", "--json"))
    assert data["source"]["units"][0]["name"] == "fit"
    assert "no code made it" in scidb("show", "Reaction", "subject=1", "day=0", "--source").stderr
