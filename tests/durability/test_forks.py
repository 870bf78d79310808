"""A fork of a process with an open file can neither use the file nor harm it, whatever it does and however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

import scidb
from scidb import BaseVariable, configure_database, for_each, get_database
from scidb.exceptions import StorageError
from scidb.store.model import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scidb.database import DatabaseManager

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


class ForkNumber(BaseVariable):
    """A number."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is."""
    return tmp_path / "study.duckdb"


@pytest.fixture
def db(path: Path) -> Iterator[DatabaseManager]:
    """Return a database with a value, the current one."""
    with configure_database(path, ["subject"]) as db:
        ForkNumber.save(1.5, subject=1)
        yield db


USES: dict[str, Callable[[Path], object]] = {
    "save": lambda _: ForkNumber.save(2.5, subject=2),
    "save_many": lambda _: ForkNumber.save_many([(2.5, {"subject": 2})]),
    "save what is there": lambda _: ForkNumber.save(1.5, subject=1),
    "register": lambda _: get_database().register(type("ForkOther", (BaseVariable,), {})),
    "load": lambda _: ForkNumber.load(subject=1),
    "load_all": lambda _: list(ForkNumber.load_all()),
    "list_versions": lambda _: get_database().list_versions(ForkNumber, subject=1),
    "types": lambda _: get_database().types(),
    "query": lambda _: get_database().query("SELECT * FROM ForkNumber"),
    "for_each": lambda _: for_each(abs, {"number": ForkNumber}, [ForkNumber], subject=[1]),
    "tag": lambda _: get_database().tag("now"),
    "flag": lambda _: get_database().flag(ForkNumber, "bad", subject=1),
    "provenance": lambda _: get_database().get_provenance(ForkNumber, subject=1),
    "open again": scidb.open,
    "open to read": lambda path: scidb.open(path, read_only=True),
    "open by another name": lambda path: scidb.open(path.parent / "." / ".." / path.parent.name / path.name),
}


def in_a_fork(work: Callable[[], object]) -> str:
    """Return what a fork says of its work: the error that it met, or what came of it; 20 s are too long."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
            try:
                said = repr(work())
            except StorageError as error:
                said = f"StorageError: {error}"
            except BaseException as error:  # noqa: BLE001  # for the parent to see
                said = repr(error)
            os.write(writing, said.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return said


@pytest.mark.parametrize("use", USES)
def test_no_way_leads_into_the_file(db: DatabaseManager, path: Path, use: str) -> None:
    """Whatever a fork does with the database of its parent is refused, and says what to do instead."""
    before = path.stat()

    said = in_a_fork(lambda: USES[use](path))

    assert said.startswith("StorageError: ")
    assert f"opened by process {os.getpid()}" in said
    assert "'spawn'" in said
    after = path.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    assert [one.data for one in db.load_all(ForkNumber)] == [1.5]


def test_a_fork_amid_a_write(db: DatabaseManager, path: Path) -> None:
    """A fork is refused at once, also when another thread of its parent was writing, whose locks stay taken in it."""
    store = db._store._store._connection  # type: ignore[attr-defined]
    inside, done = threading.Event(), threading.Event()

    def wait() -> bool:
        inside.set()
        return done.wait(30)

    thread = threading.Thread(target=store.transaction, args=(wait,))
    thread.start()
    inside.wait(30)
    try:
        assert in_a_fork(lambda: ForkNumber.save(2.5, subject=2)).startswith("StorageError: ")
        assert in_a_fork(lambda: ForkNumber.load(subject=1)).startswith("StorageError: ")
        assert in_a_fork(lambda: db._store.write(Batch())).startswith("StorageError: ")
        assert in_a_fork(db.close) == "None"
    finally:
        done.set()
        thread.join()
    ForkNumber.save(3.5, subject=3)
    assert [one.data for one in db.load_all(ForkNumber)] == [1.5, 3.5]


def test_a_fork_of_a_fork(db: DatabaseManager, path: Path) -> None:
    """The fork of a fork is told who has the file: not its parent."""
    said = in_a_fork(lambda: in_a_fork(lambda: scidb.open(path)))

    assert f"opened by process {os.getpid()}" in said


def test_what_was_closed_before_the_fork(db: DatabaseManager, path: Path) -> None:
    """A file that was closed before can be opened in the fork as anywhere else."""
    db.close()

    def use() -> list[float]:
        with scidb.open(path) as mine:
            mine.save(ForkNumber, 2.5, subject=2)
            return [one.data for one in mine.load_all(ForkNumber)]

    assert in_a_fork(use) == "[1.5, 2.5]"
    with scidb.open(path) as mine:
        assert [one.data for one in mine.load_all(ForkNumber)] == [1.5, 2.5]


_SCRIPT = """
    import gc, json, os, sys
    from pathlib import Path
    import scidb
    from scidb import BaseVariable

    class ForkNumber(BaseVariable):
        pass

    path = Path(sys.argv[1])
    db = scidb.open(path, ["subject"])
    ForkNumber.save(1.5, subject=1, db=db)

    def files():
        return sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in path.parent.iterdir())

    before = files()
    child = os.fork()
    if child == 0:
        match sys.argv[2]:
            case "close":
                db.close()
            case "forget":
                del db
                gc.collect()
        sys.exit(7)  # so that Python and DuckDB end as they do
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    same = files() == before
    ForkNumber.save(2.5, subject=2, db=db)
    print(json.dumps([status, same]), flush=True)
    os._exit(0)  # without closing, as one that is killed
"""


_SLOW = pytest.mark.slow  # the other ends take seconds


@pytest.mark.parametrize("end", ["end", pytest.param("close", marks=_SLOW), pytest.param("forget", marks=_SLOW)])
def test_the_end_of_a_fork(path: Path, end: str) -> None:
    """However a fork ends, it writes nothing into the file, and what its parent saves afterwards is not lost."""
    command = [sys.executable, "-c", textwrap.dedent(_SCRIPT), str(path), end]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert json.loads(done.stdout) == [7, True]
    with scidb.open(path) as db:
        assert [one.data for one in db.load_all("ForkNumber")] == [1.5, 2.5]
