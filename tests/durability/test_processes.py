"""Two processes and one file: who comes second waits, then learns who has it; what only looks like a lock is none."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import scidb
from scidb.exceptions import DatabaseLockedError, SettingsError
from scidb.store.duck import DuckStore
from scidb.store.duck.processes import started
from scidb.store.model import Latest, SchemaKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    Held = Callable[[Path, str], AbstractContextManager[ForkServerProcess]]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the processes are started by fork servers")

HERE = socket.gethostname()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database that nobody has open."""
    path = tmp_path / "study.duckdb"
    DuckStore.open(path, [SchemaKey("subject", "int")]).close()
    return path


def note_of(path: Path) -> Path:
    """Return where the lock note is."""
    return path.with_name(f"{path.name}.lock")


def refused(path: Path, **how: Any) -> DatabaseLockedError:
    """Return the error of opening a file that another process has."""
    with pytest.raises(DatabaseLockedError) as caught:
        DuckStore.open(path, lock_timeout=0.1, **how)
    return caught.value


# ------------------------------------------------------------------ who has it


@pytest.mark.parametrize("read_only", [False, True])
def test_the_holder_is_named(path: Path, held: Held, read_only: bool) -> None:
    """Who comes second, to write or to read, learns process, machine, user and since when, and how to share (R6)."""
    with held(path, "writes") as process:
        note = json.loads(note_of(path).read_text())
        error = refused(path, read_only=read_only)

    assert (error.pid, error.host, error.user, error.since) == (process.pid, HERE, getpass.getuser(), note["since"])
    for word in (str(process.pid), HERE, str(note["since"]), "waited 0.1 s", "lock_timeout=", f"scidb serve '{path}'"):
        assert word in str(error)
    assert "scidb.open('http://127.0.0.1:8765')" in str(error)
    assert isinstance(error, TimeoutError)


def test_a_reader_is_named(path: Path, held: Held) -> None:
    """Who wants to write what another process reads learns that it could be read together; readers share."""
    with held(path, "reads") as process:
        error = refused(path)
        DuckStore.open(path, read_only=True, lock_timeout=0).close()

    assert (error.pid, error.host, error.user, error.since) == (process.pid, HERE, getpass.getuser(), None)
    assert "is being read by" in str(error)
    assert "read_only=True" in str(error)


def test_who_comes_second_waits(path: Path, held: Held) -> None:
    """The file is had as soon as the other process lets it go, within the time that was given."""
    with held(path, "writes") as process:
        begin = time.monotonic()
        refused(path)
        assert time.monotonic() - begin >= 0.1
        ending = threading.Timer(0.3, process.kill)
        ending.start()
        DuckStore.open(path, lock_timeout=30).close()
        ending.join()
    assert time.monotonic() - begin >= 0.4


@pytest.mark.parametrize("timeout", [-1, float("nan"), "1", None])
def test_no_number_of_seconds(path: Path, timeout: Any) -> None:
    """What is no time to wait is refused, and waits for nothing."""
    with pytest.raises(SettingsError, match="lock_timeout"):
        scidb.open(path, lock_timeout=timeout)


# ------------------------------------------------------------------ notes that mean nothing


def note(**said: Any) -> str:
    """Return the text of a note of this process, but for what is said."""
    mine = {"pid": os.getpid(), "host": HERE, "user": "ann", "since": "2020-01-01T00:00:00+00:00"}
    return json.dumps({**mine, "started": started(os.getpid()), **said})


def ended() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


NOTES: dict[str, Callable[[], str]] = {
    "of a process that ended": lambda: note(pid=ended(), started=None),
    "of another machine": lambda: note(host="elsewhere", started="x/1"),
    "of an earlier process with a number of today": lambda: note(pid=os.getppid(), started="x/1"),
    "of no process": lambda: note(pid=-5),
    "in part": lambda: note()[:20],
    "empty": lambda: "",
    "of another program": lambda: "[1, 2]",
    "without a process": lambda: '{"host": "elsewhere"}',
}


@pytest.mark.parametrize("kind", NOTES)
def test_a_stale_note_is_no_lock(path: Path, kind: str) -> None:
    """A note that its process left behind, or never wrote, keeps nobody out, and goes."""
    for read_only in (True, False):
        note_of(path).write_text(NOTES[kind]())
        with closing(DuckStore.open(path, read_only=read_only, lock_timeout=0)) as store:
            assert store.find(Latest()) == []
            if read_only:
                assert not note_of(path).exists()
            else:
                assert json.loads(note_of(path).read_text())["pid"] == os.getpid()
    assert not note_of(path).exists()


@pytest.mark.parametrize("kind", NOTES)
@pytest.mark.parametrize("how", ["plain DuckDB writes", "plain DuckDB reads"])
def test_a_stale_note_names_nobody(path: Path, held: Held, kind: str, how: str) -> None:
    """While a process has the file that writes no notes, that one is named, and nobody from an old note."""
    note_of(path).write_text(NOTES[kind]())
    with held(path, how) as process:
        error = refused(path)

        assert (error.pid, error.host, error.user, error.since) == (process.pid, HERE, getpass.getuser(), None)
        assert "2020" not in str(error)


def test_the_number_of_the_holder_in_an_old_note(path: Path, held: Held) -> None:
    """A note of an earlier process with the very number of the one that has the file says nothing of it."""
    with held(path, "plain DuckDB writes") as process:
        note_of(path).write_text(note(pid=process.pid, started="x/1"))
        error = refused(path)

    assert (error.pid, error.since) == (process.pid, None)


def test_a_killed_process_keeps_nobody_out(path: Path, held: Held) -> None:
    """What a process leaves behind that is killed is replaced by who comes next."""
    with held(path, "writes") as process:
        process.kill()
        process.join()
        assert note_of(path).exists()
        with closing(DuckStore.open(path, lock_timeout=5)):
            assert json.loads(note_of(path).read_text())["pid"] == os.getpid()


def test_the_fork_of_a_killed_process_keeps_nobody_out(path: Path, held: Held) -> None:
    """A fork, which has the lock on the note as well, does not hold the file for its parent that was killed."""
    with held(path, "forks") as process:
        refused(path)
        process.kill()
        process.join()
        DuckStore.open(path, lock_timeout=0).close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_lock_that_was_lost(path: Path, held: Held, read_only: bool) -> None:
    """A process that gives up DuckDB's lock unawares, by reading the file, still has it."""
    with held(path, "forgets its lock") as process:
        error = refused(path, read_only=read_only)

        assert error.pid == process.pid
    DuckStore.open(path, lock_timeout=5).close()


def test_nothing_stays_beside_the_file(path: Path) -> None:
    """A note is for its owner's eyes, and gone when the file is closed."""
    with closing(DuckStore.open(path)):
        assert note_of(path).stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
