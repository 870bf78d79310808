"""Backups: several points in time in one folder, each whole whatever happens, and files made of them again."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest

import scidb
from scidb import BaseVariable
from scidb.exceptions import (
    CorruptDatabaseError,
    DatabaseLockedError,
    NotFoundError,
    SciDBError,
    StorageError,
    UnsupportedOperationError,
)
from scidb.maintenance.backups import BackupReport, files, folder, packs, restore, restoring, snapshots
from scidb.store.disk import DRAFT
from scidb.store.model import Backups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scidb.database import DatabaseManager


class Force(BaseVariable): ...


class Plan(BaseVariable): ...


@pytest.fixture
def db(tmp_path: Path) -> Iterator[DatabaseManager]:
    with scidb.open(tmp_path / "study.duckdb", ["subject"]) as db:
        _save(db, range(4))
        yield db


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def _save(db: DatabaseManager, subjects: Any, rows: int = 5_000) -> None:
    for subject in subjects:
        Force.save(np.random.default_rng(subject).normal(size=rows), subject=subject, db=db)


def _holds(path: Path | str) -> list[int]:
    """Return whose forces a file has, each compared with what was saved."""
    with scidb.open(path, read_only=True) as db:
        found = list(Force.load_all(db=db))
        for one in found:
            subject = int(str(one.schema["subject"]))
            assert np.array_equal(one.data, np.random.default_rng(subject).normal(size=len(one.data)))
        return [int(str(one.schema["subject"])) for one in found]


def _tree(path: Path) -> dict[str, str]:
    return {
        str(one.relative_to(path)): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in path.rglob("*")
        if one.is_file()
    }


# ------------------------------------------------------------------ points in time


@pytest.mark.slow
def test_every_point_in_time_comes_back(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """Each backup is the database of its instant, to the last value, whatever was saved after it."""
    made = [db.admin.backup(target)]
    for subject in (10, 11):
        _save(db, [subject])
        made.append(db.admin.backup(target))
    assert [one.is_verified for one in made] == [True] * 3
    assert [one.taken for one in snapshots(target)] == [one.taken for one in made]
    for number, (one, subjects) in enumerate(zip(made, ([], [10], [10, 11]), strict=True)):
        back = restore(target, tmp_path / f"{number}.duckdb", at=one.taken)
        assert back.taken == one.taken
        assert _holds(back.path) == [0, 1, 2, 3, *subjects]
    assert restore(target, tmp_path / "newest.duckdb").taken == made[-1].taken
    moment = dt.datetime.fromisoformat(made[1].taken) + dt.timedelta(microseconds=1)
    assert restore(target, tmp_path / "then.duckdb", at=moment).taken == made[1].taken
    assert restore(target, tmp_path / "day.duckdb", at=made[0].taken[:10]).taken == made[-1].taken
    with pytest.raises(NotFoundError, match="The oldest of 3"):
        restore(target, tmp_path / "before.duckdb", at="2020-01-01")


def test_only_what_is_new_is_written(db: DatabaseManager, target: Path) -> None:
    """A second backup writes a small part, and changes nothing of what is there."""
    _save(db, range(10, 40))
    first = db.admin.backup(target)
    before = _tree(target)
    _save(db, [50], rows=10)
    second = db.admin.backup(target)
    after = _tree(target)
    assert second.written < first.written / 10
    assert before.items() <= after.items()
    grown = sum((target / name).stat().st_size for name in after.keys() - before.keys())
    assert grown == second.written
    assert second.new_blocks <= 3 < second.blocks


@pytest.mark.slow
def test_one_percent_costs_one_percent(db: DatabaseManager, target: Path) -> None:
    """Of 80 MB of which one percent is new, a second backup writes a fiftieth at most."""
    _save(db, range(100, 120), rows=500_000)
    db.admin.backup(target, verify=False)
    _save(db, [200, 201], rows=50_000)
    second = db.admin.backup(target, verify=False)
    assert second.nbytes > 75_000_000
    assert second.written < second.nbytes / 50


@pytest.mark.slow
def test_what_is_noted(db: DatabaseManager, target: Path) -> None:
    """The database knows which backups were made of it, by whom."""
    made = [db.admin.backup(str(target)), db.admin.backup(target)]
    found = db._store.find(Backups())
    assert [(one.path, one.nbytes, one.written) for one in found] == [
        (str(target), one.nbytes, one.written) for one in made
    ]
    assert found[0].user_id is not None


def test_what_was_not_written_yet_is_in_it(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """Hits of the memo that wait in memory are in a backup."""

    @scidb.thunk
    def double(x: float) -> float:
        return 2 * x

    with db.as_current():
        Plan.save(double(2.0), subject=1)
        double(2.0)
    db.admin.backup(target)
    restored = restore(target, tmp_path / "back.duckdb")
    assert restored.counts["_hits"] == 1


@pytest.mark.slow
def test_a_restored_database_goes_on(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """What was restored is a database like any other, and goes on in the same backup folder."""
    db.admin.backup(target)
    path = tmp_path / "back.duckdb"
    restore(target, path)
    with scidb.open(path) as back:
        _save(back, [77])
        assert back.admin.backup(target).taken > snapshots(target)[0].taken
    assert _holds(path) == [0, 1, 2, 3, 77]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
        assert {one.stat().st_mode & 0o077 for one in target.rglob("*")} == {0}


# ------------------------------------------------------------------ keeping some


@pytest.mark.slow
def test_old_points_in_time_go(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """With keep=, older ones and the blocks that only they need go; what is kept is whole."""
    for number in range(4):
        db.admin.backup(target)
        # What is replaced leaves blocks that nobody needs.
        for subject in range(4):
            Plan.save(np.random.default_rng(number).bytes(40_000), subject=subject, db=db)
    size = sum(one.stat().st_size for one in target.rglob("*.pack"))
    last = db.admin.backup(target, keep=2)
    assert len(last.removed) == 3
    found = snapshots(target)
    assert [one.taken for one in found] == [found[0].taken, last.taken]
    for one in found:
        restored = restore(target, tmp_path / f"{one.taken[-7:]}.duckdb", at=one.taken)
        assert _holds(restored.path) == [0, 1, 2, 3]
    only = db.admin.backup(target, keep=1)
    used = {digest for one in snapshots(target) for digest in one.blocks}
    kept, _ = folder.BackupFolder.open(target).packs()
    assert used <= kept.keys()
    assert len(kept) < 2 * len(used)
    assert len(only.removed) == 2
    assert sum(one.stat().st_size for one in target.rglob("*.pack")) < size + last.written + only.written


@pytest.mark.slow
def test_an_end_in_the_middle_of_removing(
    db: DatabaseManager, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever moment removing ends in, what is kept is whole, and the next time removes the rest."""
    db.admin.backup(target)
    db.close()  # what is in DuckDB's log goes into its file, so that less than half of the pack is still needed
    moved: list[str] = []

    class Interrupted(packs.PackWriter):
        def add_stored(self, digest: str, stored: bytes | memoryview, nbytes: int) -> None:
            moved.append(digest)
            super().add_stored(digest, stored, nbytes)

        def finish(self) -> None:
            raise KeyboardInterrupt

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    with scidb.open(tmp_path / "study.duckdb") as again:
        for name, other in (("_remove_unused", fail), ("PackWriter", Interrupted)):
            _save(again, [10 + len(moved)])
            again.admin.backup(target, verify=False)
            with monkeypatch.context() as patch:
                patch.setattr(folder.BackupFolder if name == "_remove_unused" else folder, name, other)
                with pytest.raises(KeyboardInterrupt):
                    again.admin.backup(target, keep=1, verify=False)
            assert _holds(restore(target, tmp_path / f"{name}.duckdb").path)[:4] == [0, 1, 2, 3]
        assert moved
        again.admin.backup(target, keep=1)
    assert len(snapshots(target)) == 1
    assert len(_holds(restore(target, tmp_path / "last.duckdb").path)) == 5


def test_blocks_stay_while_a_point_in_time_cannot_be_read(db: DatabaseManager, target: Path) -> None:
    """Nothing is removed when nobody knows what a damaged point in time needs."""
    db.admin.backup(target)
    _save(db, [9])
    db.admin.backup(target)
    path = next((target / "snapshots").iterdir())
    path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
    before = _tree(target)
    with pytest.raises(CorruptDatabaseError, match="move that file away"):
        db.admin.backup(target, keep=1)
    assert {name: digest for name, digest in _tree(target).items() if name != "lock"}.items() <= before.items()


# ------------------------------------------------------------------ damage


@pytest.mark.slow
def test_a_damaged_block_is_named(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """A block that was changed is named, and nothing is made of the backup; the next backup notices, too."""
    db.admin.backup(target)
    [pack] = (target / "packs").iterdir()
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    with pytest.raises(CorruptDatabaseError, match=r"block [0-9a-f]{12} was changed in .*\.pack") as found:
        restore(target, tmp_path / "back.duckdb")
    assert any(found.value.details["block"] in one.blocks for one in snapshots(target))
    assert not list(tmp_path.glob("*back.duckdb*"))
    with pytest.raises(CorruptDatabaseError, match="move that file away"):
        db.admin.backup(target)
    assert len(snapshots(target)) == 1
    pack.unlink()  # as the error says
    with pytest.raises(CorruptDatabaseError, match="blocks are not there"):
        restore(target, tmp_path / "back.duckdb")
    db.admin.backup(target)
    assert _holds(restore(target, tmp_path / "back.duckdb").path) == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [12, pytest.param(150, marks=pytest.mark.slow)])
def test_a_flipped_byte_anywhere(db: DatabaseManager, target: Path, tmp_path: Path, count: int) -> None:
    """Wherever a byte of a backup is changed, what is restored is the database as it was, or an error."""
    db.admin.backup(target)
    choose = random.Random(8)
    paths = sorted(path for path in target.rglob("*") if path.is_file() and path.name != "lock")
    found = 0
    for number in range(count):
        path = paths[number % len(paths)]
        whole = path.read_bytes()
        at = choose.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << choose.randrange(8))]) + whole[at + 1 :])
        back = tmp_path / "back.duckdb"
        try:
            restore(target, back)
        except (CorruptDatabaseError, StorageError, NotFoundError):
            found += 1
            assert not back.exists()
        else:
            assert _holds(back) == [0, 1, 2, 3]
            back.unlink()
        path.write_bytes(whole)
    assert found > count / 2


def test_counts_are_compared(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """Blocks that are whole and make another database than was backed up are refused."""
    db.admin.backup(target)
    [path] = (target / "snapshots").iterdir()
    snapshot = json.loads(path.read_bytes())["snapshot"]
    snapshot["counts"]["Force_data"] += 1
    path.write_text(json.dumps(folder._sealed(snapshot)))
    with pytest.raises(CorruptDatabaseError, match="differ in Force_data"):
        restore(target, tmp_path / "back.duckdb")


@pytest.mark.slow
def test_problems_of_the_database_are_said(
    db: DatabaseManager, target: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A database in which a check finds something is backed up as it is, and that is said, also when it is restored."""
    assert db.admin.backup(target).problems == ()
    db.close()
    with duckdb.connect(tmp_path / "study.duckdb") as plain:
        plain.execute("UPDATE _record_metadata SET user_id = 'nobody'")
    with scidb.open(tmp_path / "study.duckdb") as again:
        made = again.admin.backup(target)
    assert made.is_verified
    assert any("chain" in one for one in made.problems)
    assert "is backed up as it is" in caplog.text
    assert restore(target, tmp_path / "back.duckdb").problems == made.problems


# ------------------------------------------------------------------ interrupted


_KILLED = """
import os, signal, sys
import numpy as np
import scidb
from scidb.maintenance.backups import folder, packs, saving
class Force(scidb.BaseVariable): ...
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
db = scidb.open(sys.argv[1])
Force.save(np.random.default_rng(20).normal(size=5_000), subject=20, db=db)
match sys.argv[3]:
    case "blocks":
        packs.PackWriter.finish = lambda self: (self._file.flush(), die())
    case "pack":
        packs.publish = die
    case "trial":
        saving.try_out = die
    case "snapshot":
        folder.publish = die
    case "note":
        type(db._store).write = die
db.admin.backup(sys.argv[2])
"""


@pytest.mark.parametrize(
    "moment", ["blocks", *(pytest.param(one, marks=pytest.mark.slow) for one in ("pack", "trial", "snapshot", "note"))]
)
def test_a_killed_backup(db: DatabaseManager, target: Path, tmp_path: Path, moment: str) -> None:
    """A backup that is killed, whenever, leaves the older ones whole and hinders no later one."""
    first = db.admin.backup(target)
    db.close()
    before = _tree(target)
    study = tmp_path / "study.duckdb"
    run = subprocess.run([sys.executable, "-c", _KILLED, str(study), str(target), moment], check=False)
    assert run.returncode == -signal.SIGKILL
    assert before.items() <= _tree(target).items()
    assert _holds(restore(target, tmp_path / "old.duckdb", at=first.taken).path) == [0, 1, 2, 3]
    with scidb.open(study) as again:
        again.admin.backup(target)
    assert _holds(restore(target, tmp_path / "new.duckdb").path) == [0, 1, 2, 3, 20]
    assert not list(target.rglob(f"*{DRAFT}*"))
    assert folder.BackupFolder.open(target).packs()[1] == []


def test_a_full_disk(db: DatabaseManager, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room, nothing is left of the attempt, and what was there is whole."""
    db.admin.backup(target)
    before = _tree(target)
    _save(db, [30])
    create = files.create

    class Full:
        def __init__(self, file: IO[bytes]) -> None:
            self._file, self._room = file, 10_000

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def write(self, data: bytes) -> int:
            self._room -= len(data)
            if self._room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._file.write(data)

    with monkeypatch.context() as patch:
        patch.setattr(packs, "create", lambda path: Full(create(path)))
        with pytest.raises(StorageError, match="is full"):
            db.admin.backup(target)
    assert _tree(target) == before
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: shutil_usage(1000))
        with pytest.raises(StorageError, match="1,000 bytes are free"):
            restore(target, tmp_path / "back.duckdb")
    _save(db, [31])
    assert db.admin.backup(target).is_verified


def shutil_usage(free: int) -> Any:
    """Return how full a disk is, with so much free."""
    return type("usage", (), {"free": free})


def test_no_room_to_try_it_out(
    db: DatabaseManager, target: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there is no room for a second database, the backup is made and says that nobody tried it out."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil_usage(1000))
    assert not db.admin.backup(target).is_verified
    assert "has no room" in caplog.text


# ------------------------------------------------------------------ where to, and who else


def _a_file(path: Path) -> Path:
    path.write_text("mine")
    return path


def _other_things(path: Path) -> Path:
    path.mkdir()
    (path / "thesis.tex").write_text("mine")
    return path


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (_a_file, "is a file"),
        (_other_things, r"other things in it \(thesis.tex\)"),
        (lambda path: path / "not" / "there", "make it first"),
        (lambda _: "", "is no path"),
        (lambda _: 5, "is no path"),
        (lambda _: None, "is no path"),
        (lambda _: "~nobody-of-that-name/backups", "is no path of a file"),
        (lambda path: f"{path}\0", "is no path of a file"),
    ],
)
def test_where_a_backup_cannot_go(db: DatabaseManager, tmp_path: Path, made: Callable[[Path], Any], said: str) -> None:
    """A target that cannot be one is refused with what is there, and left as it is."""
    place = made(tmp_path / "place")
    before = _tree(tmp_path / "place")
    with pytest.raises(SciDBError, match=said):
        db.admin.backup(place)
    assert _tree(tmp_path / "place") == before
    assert db._store.find(Backups()) == []


def test_it_is_noted_where_it_is(db: DatabaseManager, tmp_path: Path) -> None:
    """A path with a way up and down again is shown and noted as the place that it leads to."""
    (tmp_path / "here").mkdir()
    made = db.admin.backup(tmp_path / "here" / ".." / "backups")
    assert made.path == str(tmp_path / "backups")
    assert [one.path for one in db._store.find(Backups())] == [made.path]
    back = restore(tmp_path / "here" / ".." / "backups", tmp_path / "here" / ".." / "back.duckdb")
    assert back.path == str(tmp_path / "back.duckdb")


def test_not_another_databases_folder(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """A folder has backups of one database, which it names."""
    db.admin.backup(target)
    before = _tree(target)
    with scidb.open(tmp_path / "other.duckdb", ["subject"]) as other:
        _save(other, [5])
        with pytest.raises(StorageError, match=r"another database \(.*study.duckdb"):
            other.admin.backup(target)
    assert _tree(target) == before


def test_what_cannot_be_kept(db: DatabaseManager, target: Path) -> None:
    """A number of points in time is a whole one, from one on."""
    for keep in (0, -1, True, 1.5, "2"):
        with pytest.raises(SciDBError, match="at least 1"):
            db.admin.backup(target, keep=keep)  # type: ignore[arg-type]
    assert not target.exists()


def test_only_files_can_be_backed_up(target: Path) -> None:
    """A database in memory has no backup, which leaves no folder behind."""
    with scidb.open("memory:", ["subject"]) as db, pytest.raises(UnsupportedOperationError) as refused:
        db.admin.backup(target)
    assert refused.value.details["ability"] == "snapshots"
    assert not target.exists()


def test_one_backup_at_a_time(db: DatabaseManager, target: Path) -> None:
    """While one backs up into a folder, another one is told to wait."""
    db.admin.backup(target)
    with files.alone(target), pytest.raises(DatabaseLockedError, match="under way"):
        db.admin.backup(target)
    assert isinstance(db.admin.backup(target), BackupReport)


@pytest.mark.slow
def test_read_only(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """A database that is open read-only is backed up, too, and noted nowhere."""
    db.close()
    with scidb.open(tmp_path / "study.duckdb", read_only=True) as reading:
        reading.admin.backup(target)
    assert _holds(restore(target, tmp_path / "back.duckdb").path) == [0, 1, 2, 3]


# ------------------------------------------------------------------ restoring


def test_nothing_is_overwritten(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """A file that is there stays as it is without force=; with it, it is replaced as a whole, its log included."""
    db.admin.backup(target)
    path = tmp_path / "there.duckdb"
    path.write_text("mine")
    with pytest.raises(StorageError, match="--force"):
        restore(target, path)
    assert path.read_text() == "mine"
    path.with_name("there.duckdb.wal").write_text("of the old file")
    restore(target, path, force=True)
    assert _holds(path) == [0, 1, 2, 3]
    assert sorted(one.name for one in tmp_path.glob("*there*")) == ["there.duckdb"]


@pytest.mark.slow
def test_a_file_in_use_is_left_alone(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """With force=, too: neither what this process has open is replaced, nor what another one has."""
    db.admin.backup(target)
    with pytest.raises(StorageError, match="open in this process"):
        restore(target, tmp_path / "study.duckdb", force=True)
    path = tmp_path / "other.duckdb"
    restore(target, path)
    before = path.read_bytes()
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(DatabaseLockedError, match="in use"):
            restore(target, path, force=True)
        other.communicate()
    assert path.read_bytes() == before
    restore(target, path, force=True)


def test_somebody_makes_the_file_meanwhile(
    db: DatabaseManager, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that comes into being while a backup is put together is not overwritten."""
    db.admin.backup(target)
    path = tmp_path / "back.duckdb"
    check = restoring._check_target

    def check_then_make(*args: Any, **options: Any) -> None:
        check(*args, **options)
        if list(tmp_path.glob(f".back*{DRAFT}")):
            path.write_text("mine")

    monkeypatch.setattr(restoring, "_check_target", check_then_make)
    with pytest.raises(StorageError, match="meanwhile"):
        restore(target, path)
    assert path.read_text() == "mine"


def test_what_is_no_backup(tmp_path: Path, target: Path) -> None:
    """A folder, file or path that is no backup is refused, as is a target that cannot be a file."""
    target.mkdir()
    for wrong, said in ((target, "it has no"), (tmp_path / "none", "no such folder"), (5, "is no path")):
        with pytest.raises(SciDBError, match=said):
            restore(wrong, tmp_path / "back.duckdb")  # type: ignore[arg-type]
        with pytest.raises(SciDBError, match=said):
            snapshots(wrong)  # type: ignore[arg-type]
    with scidb.open(tmp_path / "empty.duckdb", ["subject"]) as db:
        db.admin.backup(target)
    for place, said in ((tmp_path, "is a folder"), (tmp_path / "no" / "x.duckdb", "make it first"), (None, "no path")):
        with pytest.raises(SciDBError, match=said):
            restore(target, place)  # type: ignore[arg-type]
    for at in ("soon", 5, "", "2026-99"):
        with pytest.raises(SciDBError, match="is no moment"):
            restore(target, tmp_path / "back.duckdb", at=at)  # type: ignore[arg-type]
    assert restore(target, tmp_path / "back.duckdb").counts["_records"] == 0


def test_another_version_of_backups(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """What a later SciDB wrote in another form is left alone."""
    db.admin.backup(target)
    mark = target / "scidb-backup.json"
    mark.write_text(mark.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(StorageError, match="another version"):
        db.admin.backup(target)
    mark.write_text("{")
    with pytest.raises(CorruptDatabaseError, match="damaged"):
        restore(target, tmp_path / "back.duckdb")


def test_plain_duckdb_reads_what_was_restored(db: DatabaseManager, target: Path, tmp_path: Path) -> None:
    """What was restored is a plain DuckDB file with the views that every client knows."""
    db.admin.backup(target)
    path = tmp_path / "back.duckdb"
    restore(target, path)
    with duckdb.connect(path, read_only=True) as plain:
        assert plain.execute("SELECT count(*) FROM Force__rows").fetchall() == [(20_000,)]
