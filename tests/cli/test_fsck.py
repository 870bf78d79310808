"""``scidb fsck``: what is wrong, by record; exit code 1 when anything is; the same over HTTP for who may."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import lines
from tests.maintenance.conftest import change
from tests.net.serving import serve

import scidb as api
from scidb.exceptions import PermissionDeniedError
from scidb.store.model import SchemaKey
from scidbnet.auth import TokenFile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Scidb

KEYS = [SchemaKey("subject", "int")]


class Force(api.BaseVariable):
    """Force during one trial."""


def test_all_is_well(scidb: Scidb) -> None:
    """Nothing is printed but what was looked at, and the exit code is 0; deep, every value is read."""
    assert "no problems" in scidb("fsck").stderr
    [report] = lines(scidb("fsck", "--deep", "--json"))
    assert (report["ok"], report["problems"]) == (True, [])
    assert report["counts"]["verified"] == report["counts"]["records"] == 12
    assert not lines(scidb("fsck", "--json", "--head", report["head"]))[0]["problems"]
    assert "does not hold the link" in scidb("fsck", "--head", "0" * 64, expect=1).stdout


def test_what_is_wrong(scidb: Scidb, study: Path, here: Path) -> None:
    """Problems are a table or JSON, with the record; the exit code is 1 until all are repaired."""
    copy = shutil.copyfile(study, here / "copy.duckdb")
    change(copy, 'UPDATE "Reaction_data" SET value = 1 WHERE record_no = 0', 'DROP VIEW "Slope"')

    said = scidb("fsck", "--db", str(copy), "--deep", expect=1)
    assert "content  Reaction  subject=1 day=0" in said.stdout
    assert "The view Slope is missing." in said.stdout
    assert "scidb fsck --repair" in said.stderr
    [report] = lines(scidb("fsck", "--db", str(copy), "--deep", "--json", "--repair", expect=1))
    assert [(one["kind"], one["repaired"]) for one in report["problems"]] == [("content", False), ("view", True)]
    assert report["problems"][0]["schema"] == {"subject": 1, "day": 0}
    assert shutil.os.path.exists(report["copy"])  # type: ignore[attr-defined]
    assert "no problems" in scidb("fsck", "--db", str(copy)).stderr


def test_a_file_that_cannot_be_opened(scidb: Scidb, here: Path) -> None:
    """It is said that it is so, and what to do."""
    (here / "none.duckdb").write_bytes(b"none" * 10_000)
    said = scidb("fsck", "--db", "none.duckdb", expect=1)
    assert "cannot be opened" in said.stdout
    assert "scidb recover" in said.stderr


@pytest.mark.slow
def test_over_http(tmp_path: Path) -> None:
    """A server checks its file for an admin, repairs it, and sends values to be hashed; nobody else may ask."""
    tokens = TokenFile(tmp_path / "tokens.json")
    admin, writer = (tokens.create(role, role, "1d").token for role in ("admin", "writer"))
    file = tmp_path / "study.duckdb"
    with api.open(file, {"subject": int}) as db:
        Force.save_many([(float(n), {"subject": n}) for n in range(5)], db=db)
    change(file, 'UPDATE "Force_data" SET value = 7 WHERE record_no = 3', 'DROP VIEW "Force"')
    address = serve(KEYS, str(file), tokens=tokens.path)

    with api.open(address, token=admin) as db:
        report = db.admin.check(deep=True)
        assert [(one.kind, dict(one.schema)) for one in report] == [("content", {"subject": 3}), ("view", {})]
        assert db.admin.check(repair=True).ok
    with api.open(address, token=writer) as db, pytest.raises(PermissionDeniedError, match="admin"):
        db.admin.check()


@pytest.mark.slow
def test_recover(scidb: Scidb, study: Path, here: Path) -> None:
    """What can be read is in the new file; what is lost is a table or JSON; nothing is written over."""
    copy = shutil.copyfile(study, here / "copy.duckdb")
    change(copy, 'DELETE FROM "Reaction_data" WHERE record_no = 0')

    said = scidb("recover", "copy.duckdb", "new.duckdb")
    assert "value  Reaction  subject=1 day=0" in said.stdout
    assert "records recovered, every value verified" in said.stderr
    scidb("fsck", "--db", "new.duckdb", "--deep")
    assert "is there already" in scidb("recover", "copy.duckdb", "new.duckdb", expect=1).stderr
