"""A disk without room costs the write that found it full, and nothing else."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.durability.disks import small_disk
from tests.durability.dumping import dump

import scidb
from scidb import BaseVariable, for_each
from scidb.exceptions import StorageError
from scidb.store.duck import DuckStore, connection
from scidb.store.duck.connection import Connection
from scidb.store.duck.creating import create_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scidb.database import DatabaseManager

_log = logging.getLogger(__name__)

MEGABYTES = 16


class FullArray(BaseVariable):
    """An array."""


class FullNumber(BaseVariable):
    """A number."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a small file system."""
    with small_disk(tmp_path / "small", MEGABYTES) as folder:
        yield folder


@pytest.fixture(params=["log", "checkpoint"])
def full_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the disk be found full by DuckDB's log of writes, which is undone, or by a checkpoint, which is fatal."""
    monkeypatch.setitem(connection._SETTINGS, "checkpoint_threshold", "2MB" if request.param == "checkpoint" else "1GB")
    return str(request.param)


def array(number: int, length: int) -> np.ndarray[Any, Any]:
    """Return noise, which takes its full size."""
    return np.random.default_rng(number).random(length)


def fill(db: DatabaseManager, first: int, length: int = 60_000) -> int:
    """Save until the disk is full; return the number that failed."""
    for number in range(first, first + 2_000):
        error = full_while(partial(FullArray.save, array(number, length), subject=number, db=db))
        if error is not None:
            assert "The disk is full" in str(error)
            assert "MiB are free" in str(error)
            assert isinstance(error.free, int)
            return number
    raise AssertionError


def full_while(save: Callable[[], object]) -> StorageError | None:
    """Return the error of a save that failed."""
    try:
        save()
    except StorageError as error:
        return error
    return None


def check(db: DatabaseManager, expected: dict[int, int]) -> None:
    """See that exactly these arrays are there, bit for bit."""
    found = {one.metadata["subject"]: one.data for one in db.load_all(FullArray)}
    assert found.keys() == expected.keys()
    for number, length in expected.items():
        assert found[number].tobytes() == array(number, length).tobytes()


def check_copy(disk: Path, folder: Path, expected: dict[int, int]) -> None:
    """See that a process that is killed now loses nothing: what is in the files is all that counts."""
    folder.mkdir()
    for file in disk.glob("study.duckdb*"):
        if file.suffix != ".lock":
            shutil.copyfile(file, folder / file.name)
    with scidb.open(folder / "study.duckdb") as db:
        check(db, expected)


@contextlib.contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note how often a file is opened again."""
    seen: list[str] = []
    original = Connection._let_go

    def let_go(self: Connection, *, last: bool = False) -> None:
        seen.append(str(self.path))
        original(self, last=last)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_let_go", let_go)
        yield seen


@pytest.mark.slow
def test_full_and_free_again(disk: Path, full_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The save that finds the disk full raises, nothing of it stays, reading goes on, and with room saving does."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(4 * 2**20))
    expected: dict[int, int] = {}
    with scidb.open(disk / "study.duckdb", ["subject"]) as db, counted(monkeypatch) as reopened:
        for turn in range(2):
            failed = fill(db, first=100 * turn)
            expected |= dict.fromkeys(range(100 * turn, failed), 60_000)
            check(db, expected)
            check_copy(disk, tmp_path / f"full{turn}", expected)
            with ballast.open("r+b") as file:
                file.truncate((1 - turn) * 2 * 2**20)
            FullNumber.save(turn + 0.5, subject=turn, db=db)
            check(db, expected)
            check_copy(disk, tmp_path / f"free{turn}", expected)
        assert FullNumber.load(subject=1, db=db).data == 1.5
        assert len(reopened) >= (2 if full_at == "checkpoint" else 0)
    with scidb.open(disk / "study.duckdb") as db:
        check(db, expected)
        assert [one.data for one in db.load_all(FullNumber)] == [0.5, 1.5]


@pytest.mark.slow
def test_other_threads_go_on(disk: Path, full_at: str) -> None:
    """Who reads while another thread finds the disk full reads on, whether or not the file is opened again."""
    stop, wrong, read = threading.Event(), [], 0
    with scidb.open(disk / "study.duckdb", ["subject"]) as db:
        FullNumber.save(0.5, subject=0, db=db)

        def reading() -> None:
            nonlocal read
            while not stop.is_set():
                try:
                    assert db.query("SELECT sum(value) AS s FROM FullNumber").to_pandas()["s"].tolist() == [0.5]
                    assert [one.data for one in db.load_all(FullNumber)] == [0.5]
                    read += 1
                except Exception as error:  # noqa: BLE001  # shown below
                    wrong.append(error)
                    return

        threads = [threading.Thread(target=reading) for _ in range(3)]
        for thread in threads:
            thread.start()
        failures = [fill(db, first=100 * turn) for turn in range(2)]
        stop.set()
        for thread in threads:
            thread.join()

        assert wrong == []
        assert read > 0
        assert len(list(db.load_all(FullArray))) == sum(failed % 100 for failed in failures)


@pytest.mark.slow
def test_a_run_on_a_full_disk(tmp_path: Path, full_at: str) -> None:
    """A for_each that finds the disk full says so; what it has saved is there, and the next run computes the rest."""

    def enlarge(number: float) -> np.ndarray[Any, Any]:
        return array(int(number), 15_000)

    with small_disk(tmp_path / "small", 40) as disk, scidb.open(disk / "study.duckdb", ["subject"]) as db:
        FullNumber.save_many([(float(n), {"subject": n}) for n in range(40)], db=db)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 2 * 2**20))
        with pytest.raises(StorageError, match="The disk is full"):
            for_each(enlarge, {"number": FullNumber}, [FullArray], subject=[], db=db)
        there = {one.metadata["subject"]: 15_000 for one in db.load_all(FullArray)} if "FullArray" in names(db) else {}
        check_some(db, there)
        ballast.unlink()
        report = for_each(enlarge, {"number": FullNumber}, [FullArray], subject=[], db=db)
        assert (report.completed, report.up_to_date) == (40 - len(there), len(there))
        check(db, dict.fromkeys(range(40), 15_000))


def names(db: DatabaseManager) -> set[str]:
    """Return the variables that have values."""
    return {info.name for info in db.types() if info.records}


def check_some(db: DatabaseManager, expected: dict[int, int]) -> None:
    """See that these are right, if there are any."""
    if expected:
        check(db, expected)


def test_a_new_database_on_a_full_disk(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room for a new database none is made, in part neither, and the error says why."""
    monkeypatch.setattr("scidb.store.duck.opening.create_file", create_file)
    with (disk / "ballast").open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(2**16))
            file.flush()
    with pytest.raises(StorageError, match="The disk is full"):
        scidb.open(disk / "study.duckdb", ["subject"])
    assert [file.name for file in disk.iterdir()] == ["ballast"]


def test_closed_on_a_full_disk(disk: Path, full_at: str) -> None:
    """What was saved on a disk that is full now survives closing and opening there."""
    with scidb.open(disk / "study.duckdb", ["subject"]) as db:
        failed = fill(db, first=0)
    with scidb.open(disk / "study.duckdb") as db:
        check(db, dict.fromkeys(range(failed), 60_000))


def test_the_log_comes_into_the_file_before_it_is_closed(tmp_path: Path) -> None:
    """A full disk is met by a statement, which can fail; met later, as it closes, it was seen to crash DuckDB 1.5."""
    path = tmp_path / "study.duckdb"
    had_log = []

    class Watched:
        """A connection that looks around when it is closed."""

        def __init__(self, root: Any) -> None:
            self._root = root

        def __getattr__(self, name: str) -> Any:
            return getattr(self._root, name)

        def close(self) -> None:
            log = path.with_name("study.duckdb.wal")
            had_log.append(log.exists() and log.stat().st_size > 0)
            self._root.close()

    with scidb.open(path, ["subject"]) as db:
        FullNumber.save(1.0, subject=1, db=db)
        assert path.with_name("study.duckdb.wal").stat().st_size > 0
        inner: Any = one_store(db)._connection
        inner._root = Watched(inner._root)
    assert had_log == [False]


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_many_fills(disk: Path, full_at: str, tmp_path: Path) -> None:
    """80 fills with values of any size: each leaves the tables as before the save that failed."""
    chance = np.random.default_rng(7)
    failures = saved = 0
    for turn in range(20):
        path = disk / "study.duckdb"
        expected: dict[int, int] = {}
        store = None
        with scidb.open(path, ["subject"]) as db:
            db.register(FullArray)
            store = one_store(db)
            for number in range(2_000):
                length = int(chance.choice([1, 500, 20_000, 130_000, 300_000]))
                before = dump(store)
                if full_while(partial(FullArray.save, array(number, length), subject=number, db=db)) is None:
                    expected[number] = length
                    saved += 1
                    continue
                assert dump(store) == before
                failures += 1
                if failures % 4 == 0:
                    break
            check(db, expected)
            check_copy(disk, tmp_path / f"copy{turn}", expected)
            shutil.rmtree(tmp_path / f"copy{turn}")
        with scidb.open(path) as db:
            check(db, expected)
        for file in disk.iterdir():
            file.unlink()
    _log.info("%s fills at the %s, %s saves before", failures, full_at, saved)


def one_store(db: DatabaseManager) -> DuckStore:
    """Return the store behind a database."""
    store: Any = db._store
    while not isinstance(store, DuckStore):
        store = store._store
    return store
