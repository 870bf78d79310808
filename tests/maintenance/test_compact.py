"""Writing a file anew: the space comes back, nothing else changes, and no moment is without a whole file."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

import scidb
from scidb import BaseVariable, for_each
from scidb.exceptions import CorruptDatabaseError, DatabaseLockedError, StorageError, UnsupportedOperationError
from scidb.store.duck import compacting, connection, lockfile
from scidb.store.model import Entries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scidb import DatabaseManager


class Emg(BaseVariable):
    """Muscle activity."""


class Remark(BaseVariable):
    """What somebody wrote."""


class Peak(BaseVariable):
    """Its largest value."""


def peak(emg: Any) -> float:
    return float(np.max(emg))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Return a database with values of several kinds, old versions, flags, a tag and a failed combination."""
    path = tmp_path / "study.duckdb"
    rng = np.random.default_rng(5)
    with scidb.open(path, ["subject"]) as db, db.as_current():
        for _ in range(3):
            for subject in (1, 2):
                Emg.save(rng.random(50_000), subject=subject)
        Remark.save("tired", subject=1)
        Remark.save({"words": ["a", None, 2.5]}, subject=2)
        for_each(peak, {"emg": Emg}, [Peak], db=db, progress=False, subject=[])
        db.flag(Emg, "odd", subject=2)
        db.tag("before")
    return path


def _all(db: DatabaseManager) -> dict[str, Any]:
    """Return everything that a database says of its records."""
    entries = db._store.find(Entries())
    values = {one.record_id: db.load_by_record_id(one.record_id).data for one in entries}
    return {
        "entries": [(one.record_id, one.timestamp, one.seq, one.call_id) for one in entries],
        "values": {name: np.asarray(value).tolist() for name, value in values.items()},
        "provenance": db.get_provenance_by_schema(),
        "flags": db.flags().to_dicts(),
        "tags": db.tags(),
        "runs": [run.run_id for run in db.runs()],
    }


def test_the_space_comes_back_and_nothing_else_changes(study: Path) -> None:
    """After a pruning the file is much smaller, and everything that is left says and holds what it did."""
    with scidb.open(study) as db:
        db.admin.prune(superseded=True)
        left = _all(db)
        done = db.admin.compact()
        assert done.after < done.before - 1_500_000
        assert done.after == study.stat().st_size
        assert _all(db) == left
        Emg.save([1.0], subject=3, db=db)
    with scidb.open(study) as db:
        assert Emg.load_one(subject=3, db=db).data == [1.0]
        assert len(db.log()) == len(left["entries"]) + 1
    assert [path.name for path in study.parent.iterdir()] == ["study.duckdb"]


def test_the_new_file_is_made_as_the_old_one(study: Path) -> None:
    """Keys, comments, views and the storage version are those of before; numbers of records ascend in data tables."""

    def catalog() -> list[Any]:
        with duckdb.connect(study, read_only=True) as file:
            return [
                file.execute(query).fetchall()
                for query in (
                    "SELECT table_name, sql, comment FROM duckdb_tables() ORDER BY ALL",
                    "SELECT view_name, sql, comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL",
                    "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() ORDER BY ALL",
                    "SELECT tags FROM duckdb_databases() WHERE NOT internal",
                    "FROM Peak ORDER BY ALL",
                )
            ]

    with duckdb.connect(study) as file:  # as something that rewrites tables may leave them
        file.execute("CREATE TABLE later AS FROM Emg_data WHERE record_no < 2")
        file.execute("DELETE FROM Emg_data WHERE record_no < 2")
        file.execute("INSERT INTO Emg_data FROM later")
        file.execute("DROP TABLE later")
        file.execute("CREATE TABLE own (x INTEGER); INSERT INTO own VALUES (1), (2)")
        file.execute("CREATE INDEX by_x ON own (x)")
        file.execute("CREATE VIEW mine AS SELECT sum(x) AS total FROM own")
    before = catalog()
    with scidb.open(study) as db:
        db.admin.compact()
    assert catalog() == before
    with duckdb.connect(study, read_only=True) as file:
        rows = file.execute('SELECT record_no, "row" FROM Emg_data').fetchall()
        assert rows == sorted(rows)
        assert file.execute("FROM mine").fetchall() == [(3,)]
        assert file.execute("SELECT count(*) FROM duckdb_indexes()").fetchall() == [(1,)]


def test_what_would_be_lost_is_refused(study: Path) -> None:
    """What somebody put into the file and cannot be carried over stops it; nothing is changed."""
    with duckdb.connect(study) as file:
        file.execute("CREATE SEQUENCE mine")
    before = study.read_bytes()
    with scidb.open(study) as db, pytest.raises(UnsupportedOperationError, match="sequence 'mine'"):
        db.admin.compact()
    assert study.read_bytes() == before


def test_a_copy_that_differs_is_thrown_away(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is compared with the original, table by table; one that lacks a row, or has another, is not taken."""
    original = compacting._copy_rows
    for change in (
        'DELETE FROM Emg_data WHERE record_no = 1 AND "row" = 7',
        'UPDATE Emg_data SET value = 0.5 WHERE record_no = 1 AND "row" = 7',
        "UPDATE _call_inputs SET name = 'other'",
    ):

        def copy(source: Any, target: Any, table: Any, change: str = change) -> None:
            original(source, target, table)
            if table.name in change:
                target.execute(change)

        monkeypatch.setattr(compacting, "_copy_rows", copy)
        with scidb.open(study) as db:
            inode = study.stat().st_ino
            with pytest.raises(CorruptDatabaseError, match="not like the original"):
                db.admin.compact()
            assert study.stat().st_ino == inode
            assert Emg.load_one(subject=1, db=db).data.shape == (50_000,)
            Remark.save("more", subject=9, db=db)
    assert [path.name for path in study.parent.iterdir()] == ["study.duckdb"]


def test_room_is_looked_for_first(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the new file does not fit beside the old one, that is said with how much is needed and free."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with (
        scidb.open(study) as db,
        pytest.raises(StorageError, match=r"about \d+ MiB are needed and 1,000,000 bytes are free"),
    ):
        db.admin.compact()


def test_only_files_are_compacted(study: Path) -> None:
    """A database in memory and one that is open read-only say why they cannot be."""
    with scidb.open("memory:", ["subject"]) as db, pytest.raises(UnsupportedOperationError, match="no file"):
        db.admin.compact()
    with scidb.open(study, read_only=True) as db, pytest.raises(StorageError, match="read-only"):
        db.admin.compact()


@pytest.mark.slow
def test_other_threads_go_on(study: Path) -> None:
    """While a file is written anew, threads read and save through the same handle, and nothing fails."""
    stop = threading.Event()
    saved: list[int] = []
    with scidb.open(study) as db, ThreadPoolExecutor() as pool:
        expected = float(Emg.load_one(subject=1, db=db).data[0])

        def read() -> None:
            while not stop.is_set():
                assert float(Emg.load_one(subject=1, db=db).data[0]) == expected
                assert len(db.query("SELECT subject, record_id FROM Emg").to_pandas()) >= 2
                assert len(list(db.load_all(Peak))) == 2

        def write() -> None:
            while not stop.is_set():
                Remark.save(f"note {len(saved)}", subject=len(saved) + 10, db=db)
                saved.append(len(saved))

        threads = [pool.submit(work) for work in (read, read, write)]
        for _ in range(3):
            db.admin.compact()
        while len(saved) <= 3 and not threads[-1].done():
            db.admin.compact()
        stop.set()
        for thread in threads:
            thread.result()
        assert len(saved) > 3
        assert len(list(db.load_all(Remark))) == len(saved) + 2
    with scidb.open(study) as db:
        assert len(list(db.load_all(Remark))) == len(saved) + 2


@pytest.mark.slow
def test_a_statement_that_never_ends_is_waited_for_so_long(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that does not come to an end stops the change of files, and the handle stays usable."""
    monkeypatch.setattr(connection, "_PATIENCE", 0.2)
    with scidb.open(study) as db:
        store: Any = db._store
        inside, leave = threading.Event(), threading.Event()

        def read() -> None:
            def take(_: object) -> None:
                inside.set()
                leave.wait()

            store._store._connection.stream("SELECT 1", lambda: take)

        reader = threading.Thread(target=read)
        reader.start()
        inside.wait()
        with pytest.raises(StorageError, match=r"still running after 0\.2 s"):
            db.admin.compact()
        leave.set()
        reader.join()
        assert Emg.load_one(subject=1, db=db).data.shape == (50_000,)
        db.admin.compact()


# ------------------------------------------------------------------ killed


_COMPACTS = """
import sys
import scidb
with scidb.open(sys.argv[1]) as db:
    print("open", flush=True)
    for _ in range(50):
        db.admin.compact()
"""

_DIES = """
import os, sys
import scidb
from scidb.store.duck import compacting, connection, lockfile

def at(where, name):
    original = getattr(where, name)
    def die(*given, **others):
        if step == f"before {name}":
            os._exit(9)
        done = original(*given, **others)
        if step == f"after {name}":
            os._exit(9)
        return done
    setattr(where, name, die)

step = sys.argv[2]
with scidb.open(sys.argv[1]) as db:
    at(compacting, "_copy_rows")
    at(compacting, "_write")
    at(compacting, "flush_file")
    at(connection.Connection, "_let_go")
    at(connection.Connection, "_put_in_place")
    at(connection, "flush_folder")
    at(connection.Connection, "_open_again")
    db.admin.compact()
"""

_STEPS = [
    f"{when} {name}"
    for name in ("_copy_rows", "_write", "flush_file", "_let_go", "_put_in_place", "flush_folder", "_open_again")
    for when in ("before", "after")
]


def _python(code: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True, env={**os.environ})


@pytest.mark.slow
@pytest.mark.parametrize("step", ["before _put_in_place"])
def test_killed_at_a_step_a_whole_file_is_there(study: Path, step: str) -> None:
    """Killed just before the files change places, the old file or the new one is there, with everything in it."""
    _dies_at(study, step)


@pytest.mark.slow
@pytest.mark.parametrize("step", _STEPS)
def test_killed_at_any_step_a_whole_file_is_there(study: Path, step: str) -> None:
    """Likewise for every other step."""
    _dies_at(study, step)


def _dies_at(study: Path, step: str) -> None:
    with scidb.open(study) as db:
        expected = _all(db)
    with _python(_DIES, str(study), step) as process:
        process.communicate()
        assert process.returncode == 9
    with scidb.open(study) as db:
        assert _all(db) == expected
        db.admin.compact()  # also with what the killed one has left
        assert _all(db) == expected
    assert [path.name for path in study.parent.iterdir()] == ["study.duckdb"]


@pytest.mark.slow
def test_killed_at_any_moment_a_whole_file_is_there(study: Path) -> None:
    """Killed at some moment while the file is written anew, it is always there, with everything in it."""
    chance = random.Random(11)
    with scidb.open(study) as db:
        expected = _all(db)
    for _ in range(20):
        with _python(_COMPACTS, str(study)) as process:
            assert process.stdout is not None
            process.stdout.readline()
            until = time.monotonic() + chance.uniform(0.0, 2.0)
            while time.monotonic() < until:
                assert study.exists()
            process.kill()
        with scidb.open(study) as db:
            assert _all(db) == expected


_WAITS = """
import sys, time
import duckdb
written = 0
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    try:
        with duckdb.connect(sys.argv[1]) as file:
            file.execute("CREATE TABLE IF NOT EXISTS theirs (number INTEGER)")
            file.execute("INSERT INTO theirs VALUES (?)", [written])
        written += 1
    except duckdb.Error:
        pass
print(written)
"""


@pytest.mark.slow
def test_another_process_never_writes_into_the_file_that_goes(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for the file and gets it in the moment between has the one that stays; what he writes is there."""
    held = lockfile.held

    @contextmanager
    def held_for_long(path: Path) -> Iterator[None]:
        with held(path):
            time.sleep(0.2)  # long enough for somebody who waits
            yield

    monkeypatch.setattr(connection, "held", held_for_long)
    with _python(_WAITS, str(study), "8") as other:
        until = time.monotonic() + 6
        while time.monotonic() < until:
            with scidb.open(study, lock_timeout=10.0) as db, suppress(DatabaseLockedError):
                db.admin.compact()
        written = int(other.communicate()[0])
    with duckdb.connect(study) as file:
        kept = file.execute("SELECT count(*) FROM theirs").fetchall() if written else [(0,)]
    assert kept == [(written,)]
