"""Files of older formats: each is brought up to date, says then what it said before, and is never half changed."""

from __future__ import annotations

import importlib.util
import json
import logging
import lzma
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

import scidb
from scidb.exceptions import FormatVersionError, MigrationError, StorageError
from scidb.store.duck import DuckStore, migrations
from scidb.store.duck.migrations import running
from scidb.store.duck.migrations.step import Step
from scidb.store.duck.tables import FORMAT_VERSION
from scidb.store.model import SchemaKey

DATA = Path(__file__).parents[2] / "data"
FORMATS = sorted(int(path.name.split("-")[1].split(".")[0]) for path in DATA.glob("format-*.json"))
OLDER = [version for version in FORMATS if version < FORMAT_VERSION]


@pytest.fixture(autouse=True)
def files_are_copied() -> None:
    """Make each file as for a user."""


def _file(version: int, folder: Path) -> Path:
    path = folder / "study.duckdb"
    path.write_bytes(lzma.decompress((DATA / f"format-{version}.duckdb.xz").read_bytes()))
    return path


def _made(version: int) -> Any:
    return json.loads((DATA / f"format-{version}.json").read_text())


def _answers(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("make_format", DATA / "make_format.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with scidb.open(path, read_only=True) as db:
        return module.answers(db)


def _rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables, as any client sees them."""
    with closing(duckdb.connect(path, read_only=True)) as plain:
        names = [name for (name,) in plain.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
        return {name: sorted(plain.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr) for name in names}


def _is_changed_from(before: dict[str, list[tuple[Any, ...]]], path: Path) -> bool:
    """Say whether a file has become of this format, with all that was in it; columns are only ever added."""
    after = _rows(path)
    return after.pop("_format")[0][0] == FORMAT_VERSION and all(
        sorted((row[: len(rows[0])] for row in after[name]), key=repr) == rows if rows else not after[name]
        for name, rows in before.items()
        if name != "_format"
    )


def _columns(path: Path) -> list[tuple[Any, ...]]:
    """Return the columns of our own tables, those for schema keys left out, and their keys."""
    with closing(duckdb.connect(path, read_only=True)) as plain:
        columns = plain.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE starts_with(table_name, '_') "
            "AND NOT internal AND NOT (table_name = '_schema' AND column_index > 2) ORDER BY table_name, column_index"
        ).fetchall()
        keys = plain.execute(
            "SELECT table_name, constraint_column_names FROM duckdb_constraints() "
            "WHERE constraint_type = 'PRIMARY KEY' ORDER BY 1"
        ).fetchall()
    return [*columns, *keys]


def test_there_is_a_file_of_every_format() -> None:
    """The formats that can be opened are those of which a file is kept, this one's included.

    Where the tables of the newest format change before its release, its file is made anew by tests/data/make_format.py.
    """
    assert FORMATS[-1] == FORMAT_VERSION
    assert [version for version in range(FORMAT_VERSION) if migrations.steps_from(version)] == OLDER
    assert migrations.steps_from(FORMAT_VERSION) == ()


@pytest.mark.parametrize("version", FORMATS)
def test_a_file_of_every_format(version: int, tmp_path: Path) -> None:
    """A file of every format answers as it did when it was made, and can be written to."""
    path = _file(version, tmp_path)
    scidb.open(path).close()
    assert _answers(path) == _made(version)
    with scidb.open(path) as db:
        assert db.admin.check(deep=True, progress=False).problems == ()
        record_id = db.save("Force", 1.5, subject=9)
        assert db.load_one("Force", subject=9).record_id == record_id


@pytest.mark.parametrize("version", OLDER)
def test_the_tables_are_those_of_a_new_file(version: int, tmp_path: Path) -> None:
    """What a migration makes is what a new file has: tables, columns in their order, types, keys."""
    path = _file(version, tmp_path)
    DuckStore.open(path).close()
    DuckStore.open(tmp_path / "new.duckdb", [SchemaKey("subject")]).close()
    assert _columns(path) == _columns(tmp_path / "new.duckdb")


@pytest.mark.parametrize("version", OLDER)
def test_a_copy_is_kept_and_said(version: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Beside a file that is brought up to date stays one with all that it was, and a log record says so, once."""
    path = _file(version, tmp_path)
    before = _rows(path)
    with caplog.at_level(logging.WARNING):
        DuckStore.open(path).close()
        DuckStore.open(path).close()
    copy = tmp_path / f"study.duckdb.format-{version}"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["study.duckdb", copy.name]
    assert _rows(copy) == before
    assert copy.stat().st_mode & 0o077 == 0
    said = [record for record in caplog.records if record.name.startswith("scidb")]
    assert [record.levelname for record in said] == ["WARNING"] * (FORMAT_VERSION - version)
    assert f"of format {version} and is of format {version + 1}" in said[0].getMessage()
    assert str(copy) in said[0].getMessage()


def test_what_is_there_stays(tmp_path: Path) -> None:
    """A copy of before is never overwritten: another one gets a number."""
    path = _file(2, tmp_path)
    (tmp_path / "study.duckdb.format-2").write_text("mine")
    DuckStore.open(path).close()
    assert (tmp_path / "study.duckdb.format-2").read_text() == "mine"
    assert _rows(tmp_path / "study.duckdb.format-2.2")["_format"][0][0] == 2


def test_read_only_changes_nothing(tmp_path: Path) -> None:
    """A file of an older format is not changed by reading: the error says what would be, and what to do."""
    path = _file(2, tmp_path)
    before = path.read_bytes()
    with pytest.raises(FormatVersionError, match=r"adds the empty tables .* copy of what it was") as refused:
        scidb.open(path, read_only=True)
    assert refused.value.details["version"] == 2
    assert [step.version for step in migrations.preview(path)] == [3, 4]
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["study.duckdb"]


def test_formats_without_a_way(tmp_path: Path) -> None:
    """A format that nobody knows a way from, or a later one, is refused and left as it is."""
    path = _file(2, tmp_path)
    for version, said in ((1, "older than the first release"), (99, "Install a newer SciDB")):
        with closing(duckdb.connect(path)) as plain:
            plain.execute("UPDATE _format SET format_version = ?", [version])
        before = path.read_bytes()
        for read_only in (True, False):
            with pytest.raises(FormatVersionError, match=said):
                DuckStore.open(path, read_only=read_only)
        assert path.read_bytes() == before


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a step fail when half of it is done."""

    def fail(connection: Any) -> None:
        connection.execute("CREATE TABLE _half (x INTEGER)")
        connection.execute("UPDATE _variables SET description = 'half'")
        connection.execute("SELECT * FROM _nothing")

    monkeypatch.setattr(running, "_STEPS", [Step(3, "fails", fail)])


@pytest.mark.usefixtures("failing")
def test_a_step_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that fails leaves the file as it was, says so, and the next SciDB brings it up to date."""
    path = _file(2, tmp_path)
    before = _rows(path)
    with pytest.raises(MigrationError, match=r"left as it was, of format 2, and there is a copy") as failed:
        DuckStore.open(path)
    assert failed.value.details["copy"] == f"{path}.format-2"
    assert _rows(path) == before
    monkeypatch.undo()
    DuckStore.open(path).close()
    assert _is_changed_from(before, path)


_KILLED = """
import os, signal, sys
from scidb.store.duck import DuckStore
from scidb.store.duck.migrations import running
from scidb.store.duck.migrations.step import Step
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def half(connection):
    connection.execute("CREATE TABLE _erased (x INTEGER)")
    connection.execute("UPDATE _variables SET description = 'half'")
    die()
if sys.argv[2] == "copy":
    running.look_at = die
else:
    running._STEPS = [Step(3, "dies", half)]
DuckStore.open(sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["step", pytest.param("copy", marks=pytest.mark.slow)])
def test_a_kill_in_the_middle(moment: str, tmp_path: Path) -> None:
    """A process that is killed while it migrates leaves the file as it was; opening it again migrates it."""
    path = _file(2, tmp_path)
    before = _rows(path)
    run = subprocess.run([sys.executable, "-c", _KILLED, str(path), moment], check=False)
    assert run.returncode == -signal.SIGKILL
    assert _rows(path) == before
    DuckStore.open(path).close()
    assert _is_changed_from(before, path)
    assert len(list(tmp_path.glob("*.format-2*"))) == 1
    assert not list(tmp_path.glob(".*"))


def test_no_copy_no_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room for a copy, or it turns out to be another, nothing is changed."""
    path = _file(2, tmp_path)
    before = _rows(path)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: type("", (), {"free": 10}))
        with pytest.raises(StorageError, match="10 bytes are free"):
            DuckStore.open(path)
    assert _rows(path) == before
    assert [one.name for one in tmp_path.iterdir()] == ["study.duckdb"]


def test_what_is_only_in_the_log_is_in_the_copy(tmp_path: Path) -> None:
    """A file whose last process was killed is copied with what it wrote last."""
    path = _file(2, tmp_path)
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
        "c.execute(\"INSERT INTO _sources VALUES ('hash', 'text')\"); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.with_name("study.duckdb.wal").exists()
    DuckStore.open(path).close()
    assert ("hash", "text") in _rows(tmp_path / "study.duckdb.format-2")["_sources"]
    assert ("hash", "text") in _rows(path)["_sources"]
