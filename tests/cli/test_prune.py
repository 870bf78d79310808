"""``scidb prune --memo``: a plan first, and the deed with ``--yes``."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.cli.conftest import lines

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


def test_what_is_missing_is_said(scidb: Scidb) -> None:
    """Neither what to prune nor which results goes without saying."""
    assert "--memo" in scidb("prune", "--older-than", "1d", expect=2).stderr
    assert "--older-than 90d" in scidb("prune", "--memo", expect=2).stderr
    assert "neither a duration" in scidb("prune", "--memo", "--older-than", "soon", expect=1).stderr
