"""Who has the file: a note beside it, what in it can be believed, and the wait for another process to finish."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import json
import math
import os
import re
import socket
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from scidb.exceptions import DatabaseLockedError, SettingsError, StorageError
from scidb.store.disk import lock_of
from scidb.store.duck.processes import is_alive, owner_of, started
from scidb.store.duck.whereabouts import restrict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if sys.platform != "win32":  # where an open file keeps others out by itself
    import fcntl

__all__ = ["LockFile", "held", "refuse_while_held", "remove_stale", "retry_while_locked"]

T = TypeVar("T")

# What DuckDB says, on Unix and on Windows, when another process has the file.
_REFUSALS: Final = ("Could not set lock", "used by another process")
_SAID_PID: Final = re.compile(r"Conflicting lock is held in .*?\bPID (\d+)")
_SAID_READER: Final = "would be able to open this database in read-only mode"


@dataclass(frozen=True, slots=True)
class LockFile:
    """What ``<file>.lock`` says of the process that writes to the file.

    DuckDB's own lock decides. It is lost without a word when the process that holds it opens and closes the file by
    other means, as a copy does; so the note is locked as well.
    """

    path: Path
    pid: int
    host: str
    user: str
    since: str | None
    started: str | None = None  # tells the process apart from a later one with its number
    guard: int | None = None  # the descriptor that holds the lock on the note, in the process that wrote it

    @classmethod
    def write(cls, database: Path) -> LockFile | None:
        """Say that this process has the file; a folder that cannot be written gets no note."""
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "user": _user(),
            "since": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "started": started(os.getpid()),
        }
        path = lock_of(database)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        guard = None
        try:
            draft.unlink(missing_ok=True)
            guard = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(guard, json.dumps(note).encode())
            if sys.platform == "win32":  # an open file cannot be moved there
                os.close(guard)
                guard = None
            else:
                _lock(guard)
            restrict(draft, like=database)
            draft.replace(path)
        except OSError:
            if guard is not None:
                os.close(guard)
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            return None
        return cls._from(path, note, guard)

    @classmethod
    def read(cls, database: Path) -> LockFile | None:
        """Return the note beside the file, if there is a readable one, whether or not it is true."""
        path = lock_of(database)
        try:
            return cls._from(path, json.loads(path.read_bytes()), None)
        except (OSError, ValueError, TypeError, LookupError):
            return None

    @classmethod
    def _from(cls, path: Path, said: object, guard: int | None) -> LockFile:
        if not isinstance(said, dict):
            message = "not a note"
            raise TypeError(message)
        begin = said.get("started")
        began = None if begin is None else str(begin)
        return cls(
            path=path,
            pid=int(str(said["pid"])),
            host=str(said["host"]),
            user=str(said["user"]),
            since=str(said["since"]),
            started=began,
            guard=guard,
        )

    def remove(self) -> None:
        """Take the note away; its process has to have the file still, lest it be that of the next one."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        if self.guard is not None:
            os.close(self.guard)

    def names(self, pid: int) -> bool:
        """Say whether this is the note of that process of this machine, and of no earlier one with its number."""
        if self.pid != pid:
            return False
        now = started(pid)
        return self.started == now if self.started and now else self.host == socket.gethostname()

    def may_be_true(self) -> bool:
        """Say whether the process that wrote it may be there still; of another machine that is not known."""
        return self.host != socket.gethostname() or (is_alive(self.pid) and self.names(self.pid))

    def is_held(self) -> bool:
        """Say whether its process, another one, is there and holds the lock on the note."""
        if self.pid == os.getpid() or self.host != socket.gethostname() or not self.may_be_true():
            return False
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except OSError:
            return False
        try:
            _lock(descriptor)
        except BlockingIOError:
            return True
        except OSError:  # a file system without such locks
            return False
        finally:
            os.close(descriptor)
        return False


def _lock(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def refuse_while_held(database: Path) -> None:
    """Refuse to open what another process writes to, although DuckDB would.

    Raises
    ------
    StorageError
        In the words of DuckDB, so that it is waited for.

    """
    note = LockFile.read(database)
    if note is not None and note.is_held():
        raise StorageError(f"Could not set lock on {database}: Conflicting lock is held in PID {note.pid}")


def remove_stale(database: Path) -> None:
    """Remove a note whose process is gone, once the file is had for reading: nobody writes to it then."""
    note = LockFile.read(database)
    if note is None or not note.is_held():
        with contextlib.suppress(OSError):
            lock_of(database).unlink(missing_ok=True)


# ------------------------------------------------------------------ replacing


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep every other process from opening a file that nobody has open here, as DuckDB would.

    Raises
    ------
    DatabaseLockedError
        When another process has it already.

    """
    if sys.platform == "win32":  # replaces no file that somebody has open
        yield
        return
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DatabaseLockedError(
                f"{path} was not replaced: another process opened it just then, and has it as it was. Try again.",
                path=str(path),
            ) from error
        yield


# ------------------------------------------------------------------ waiting


def retry_while_locked(connect: Callable[[], T], path: Path, timeout: float) -> T:
    """Call `connect` until no other process has the file, or `timeout` seconds have passed.

    Raises
    ------
    DatabaseLockedError
        When another process still has it.
    SettingsError
        When the timeout is no number of seconds.

    """
    _check_seconds(timeout)
    deadline = time.monotonic() + timeout
    pause = 0.01
    while True:
        try:
            return connect()
        except StorageError as error:
            if not any(sign in str(error) for sign in _REFUSALS):
                raise
            if time.monotonic() >= deadline:
                raise _locked(path, timeout, str(error)) from error
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(2 * pause, 0.25)


def _check_seconds(timeout: object) -> None:
    if not isinstance(timeout, int | float) or math.isnan(timeout) or timeout < 0:
        raise SettingsError(f"lock_timeout is {timeout!r}; expected a number of seconds, 0 or more.")


def _locked(path: Path, timeout: float, said: str) -> DatabaseLockedError:
    holder = _holder(path, said)
    reads = _SAID_READER in said
    who = "another process"
    if holder is not None:
        since = "" if holder.since is None else f", since {holder.since}"
        who = f"process {holder.pid} of {holder.user} on {holder.host}{since}"
    way = "open it with read_only=True, too, " if reads else ""
    return DatabaseLockedError(
        f"The database {path} is {'being read' if reads else 'in use'} by {who}; waited {timeout:g} s. Close it "
        f"there, {way}or wait longer with lock_timeout=. To work with it in several processes at once, run `scidb "
        f"serve '{path}'` in one and scidb.open('http://127.0.0.1:8765') in the others.",
        path=str(path),
        pid=holder and holder.pid,
        host=holder and holder.host,
        user=holder and holder.user,
        since=holder and holder.since,
    )


def _holder(path: Path, said: str) -> LockFile | None:
    """Return who has the file: whom the system names, else whom the note names, if that can be."""
    note = LockFile.read(path)
    found = _SAID_PID.search(said)
    if found is None:
        return note if note is not None and note.may_be_true() else None
    pid = int(found[1])
    if note is not None and note.names(pid):
        return note
    return LockFile(lock_of(path), pid, socket.gethostname(), owner_of(pid) or "an unknown user", None)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
