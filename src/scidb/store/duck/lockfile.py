"""Who has the file: a note beside it for people, and the wait for another process to finish."""

from __future__ import annotations

import datetime as dt
import getpass
import importlib
import json
import os
import socket
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scidb.exceptions import DatabaseLockedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LockFile", "flush_folder", "held", "retry_while_locked"]

T = TypeVar("T")

_fcntl: Final[Any] = None if os.name == "nt" else importlib.import_module("fcntl")

# What DuckDB says, on Unix and on Windows, when another process has the file.
_REFUSALS: Final = ("Could not set lock", "used by another process")


@dataclass(frozen=True, slots=True)
class LockFile:
    """What ``<file>.lock`` says. It locks nothing: it is believed only while DuckDB refuses."""

    path: str
    pid: int
    host: str
    user: str
    since: str

    @classmethod
    def write(cls, database: Path) -> LockFile | None:
        """Say that this process has the file; a folder that cannot be written gets no note."""
        note = cls(
            path=str(_beside(database)),
            pid=os.getpid(),
            host=socket.gethostname(),
            user=_user(),
            since=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        )
        draft = Path(f"{note.path}.{note.pid}")
        try:
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump({key: value for key, value in asdict(note).items() if key != "path"}, file)
            draft.replace(note.path)
        except OSError:
            return None
        return note

    @classmethod
    def read(cls, database: Path) -> LockFile | None:
        """Return the note of whoever has the file, if there is a readable one."""
        path = _beside(database)
        try:
            said = json.loads(path.read_text())
            return cls(str(path), int(said["pid"]), str(said["host"]), str(said["user"]), str(said["since"]))
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def remove(self) -> None:
        """Take the note away."""
        Path(self.path).unlink(missing_ok=True)


def retry_while_locked(connect: Callable[[], T], path: Path, timeout: float) -> T:
    """Call `connect` until no other process has the file, or `timeout` seconds have passed.

    Raises
    ------
    DatabaseLockedError
        When another process still has it.

    """
    deadline = time.monotonic() + timeout
    pause = 0.01
    while True:
        try:
            return connect()
        except StorageError as error:
            if not any(sign in str(error) for sign in _REFUSALS):
                raise
            if time.monotonic() >= deadline:
                raise _locked(path, timeout) from error
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(2 * pause, 0.25)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep every other process from opening a file that nobody has open here, as DuckDB would.

    Raises
    ------
    DatabaseLockedError
        When another process has it already.

    """
    if _fcntl is None:  # Windows replaces no file that somebody has open
        yield
        return
    with path.open("r+b") as file:
        try:
            _fcntl.lockf(file, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        except OSError as error:
            raise DatabaseLockedError(
                f"{path} was not replaced: another process opened it just then, and has it as it was. Try again.",
                path=str(path),
            ) from error
        yield


def flush_folder(folder: Path) -> None:
    """Have the disk itself keep which files there are in a folder, where that can be asked for."""
    if _fcntl is None:
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _locked(path: Path, timeout: float) -> DatabaseLockedError:
    holder = LockFile.read(path)
    who = "another process"
    details: dict[str, object] = {}
    if holder:
        who = f"process {holder.pid} of {holder.user} on {holder.host}, since {holder.since}"
        details = {"pid": holder.pid, "host": holder.host, "user": holder.user, "since": holder.since}
    return DatabaseLockedError(
        f"The database {path} is in use by {who}; waited {timeout:g} s. Close it there, or wait "
        "longer with lock_timeout=.",
        path=str(path),
        **details,
    )


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
