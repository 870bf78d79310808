"""``scidb prune``, ``erase`` and ``compact``: a plan first, and the deed with ``--yes``."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import duckdb
from tests.cli.conftest import Reaction, Slope, fit, lines

from scidb import for_each
from scidb.session import open_database

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scidb


def test_the_plan_comes_first(scidb: Scidb, study: Path, here: Path) -> None:
    """Without --yes nothing changes and the plan is shown; with it, the results are not recalled any more."""
    copy = here / "copy.duckdb"
    shutil.copyfile(study, copy)
    words = ("prune", "--db", str(copy), "--memo", "--older-than", "2999-01-01")

    planned = scidb(*words)
    assert {line.split()[0] for line in planned.stdout.splitlines()[1:]} >= {"fit()", "mean_of()"}
    assert "Nothing is changed yet. With --yes, 3 results" in planned.stderr
    with open_database(copy) as db:
        assert db.get_cache_stats()["total_entries"] == 3

    rows = lines(scidb(*words, "--yes", "--json"))
    assert {row["name"]: (row["computations"], row["done"]) for row in rows} == {"fit": (2, True), "mean_of": (1, True)}
    with open_database(copy) as db:
        assert db.get_cache_stats()["total_entries"] == 0
        assert len(db.load_all("Slope", as_df=True)) == 2
    assert "No result is meant" in scidb(*words, "--yes").stderr


def test_old_versions_are_removed(scidb: Scidb, study: Path, here: Path) -> None:
    """The plan says how much of which variable goes, and what stays and was made from it; --yes removes it."""
    copy = here / "copy.duckdb"
    shutil.copyfile(study, copy)
    with open_database(copy) as db:
        db.save(Reaction, 300.0, subject=1, day=2)
        for_each(fit, {"reaction": Reaction, "k": 1.0}, [Slope], subject=[], db=db, progress=False)
        entries = len(db.log()) - 1
    words = ("prune", "--db", str(copy), "--superseded", "--variable", "Slope")
    planned = scidb(*words)
    assert planned.stdout.split()[:4] == ["variable", "records", "entries", "size"]
    assert planned.stdout.splitlines()[1].split()[:3] == ["Slope", "1", "1"]
    assert "1 records of GroupSlope stay" in planned.stderr
    assert "Nothing is changed yet. With --yes, 1 records (8 bytes) are removed for good." in planned.stderr
    [done] = lines(scidb(*words, "--yes", "--json"))
    assert (done["records"], done["done"], done["losing"][0]["variable"]) == (1, True, "GroupSlope")
    with open_database(copy) as db:
        assert len(db.log()) == entries
    assert "removed on" in scidb("show", "GroupSlope", "--db", str(copy)).stdout
    assert "removed on" in scidb("lineage", "GroupSlope", "--db", str(copy)).stdout
    assert "Nothing is to be removed" in scidb(*words, "--yes").stderr


def test_a_participant_is_erased(scidb: Scidb, study: Path, here: Path) -> None:
    """The plan shows what is theirs and what was made from it; --yes removes it, and the file stays readable."""
    copy = here / "copy.duckdb"
    shutil.copyfile(study, copy)
    kept = here / "copy.duckdb.format-2"
    kept.write_bytes(b"as it was")
    planned = scidb("erase", "subject=2", "--db", str(copy))
    assert f"  {kept}\n" in planned.stderr
    rows = [line.split() for line in planned.stdout.splitlines()[1:]]
    assert {(row[0], row[1], row[3]) for row in rows} == {
        ("Reaction", "its", "3"), ("Slope", "its", "1"), ("GroupSlope", "made", "it")
    }  # fmt: skip
    assert "With --yes, 5 records of subject=2 are removed for good" in planned.stderr
    [done] = lines(scidb("erase", "subject=2", "--db", str(copy), "--yes", "--json", "--reason", "withdrew"))
    assert (done["records"], done["done"], done["copies"]) == (5, True, [str(kept)])
    with open_database(copy) as db:
        assert db.distinct_schema_values("subject") == [1]
        assert [one.reason for one in db.admin.removals()] == ["withdrew"]


def test_the_file_is_written_anew(scidb: Scidb, study: Path, here: Path) -> None:
    """The size before and after is said."""
    copy = here / "copy.duckdb"
    shutil.copyfile(study, copy)
    [sizes] = lines(scidb("compact", "--db", str(copy), "--json"))
    assert sizes["after"] == copy.stat().st_size
    assert "before, " in scidb("compact", "--db", str(copy)).stdout


def test_an_interrupted_erasure_is_completed(scidb: Scidb, study: Path, here: Path) -> None:
    """It is a problem until the file is written anew, and who does that is not told to do it."""
    copy = here / "copy.duckdb"
    shutil.copyfile(study, copy)
    scidb("erase", "subject=2", "--db", str(copy), "--yes")
    with duckdb.connect(copy) as file:
        file.execute("UPDATE _removals SET rewritten = FALSE")
    assert "`scidb compact` completes it" in scidb("fsck", "--db", str(copy), "--json", expect=1).stdout
    assert "interrupted" not in scidb("compact", "--db", str(copy)).stderr
    scidb("fsck", "--db", str(copy))


def test_what_is_missing_is_said(scidb: Scidb) -> None:
    """Neither what to prune nor which results goes without saying."""
    assert "--superseded" in scidb("prune", expect=2).stderr
    assert "--memo" in scidb("prune", "--larger-than", "1MB", expect=2).stderr
    assert "alone" in scidb("prune", "--memo", "--superseded", expect=2).stderr
    assert "subject=12" in scidb("erase", "12", expect=2).stderr
    assert "given twice" in scidb("erase", "subject=1", "subject=2", expect=2).stderr
    assert "Nothing tells of subject=77" in scidb("erase", "subject=77", expect=1).stderr
    assert "--older-than 90d" in scidb("prune", "--memo", expect=2).stderr
    assert "neither a duration" in scidb("prune", "--memo", "--older-than", "soon", expect=1).stderr
