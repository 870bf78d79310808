"""Files of a backup folder: made privately, published whole, and one process at a time."""

from __future__ import annotations

import errno
import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from scidb.exceptions import DatabaseLockedError, SciDBError, StorageError
from scidb.store.disk import DRAFT, flush_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LOCK", "alone", "create", "plain_path", "publish", "remove_drafts", "translated"]

_log = logging.getLogger(__name__)

LOCK: Final = "lock"
"""The file of a backup folder that whoever changes it holds."""

_TAKEN: Final = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what the file system says into errors of ours."""
    try:
        yield
    except OSError as error:
        if isinstance(error, SciDBError):
            raise
        where = error.filename or path
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageError(
                f"The disk of {where} is full. What was backed up before is whole. Make room, and run this again.",
                path=str(where),
            ) from error
        raise StorageError(f"{where}: {error.strerror or error}.", path=str(where)) from error


def plain_path(path: object) -> Path:
    """Return a path from the root on, as it is shown and noted: without ``~``, ``..`` and links.

    Raises
    ------
    SciDBError
        When it is no path.

    """
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise SciDBError(f"{path!r} is no path; a text such as 'backups/study' is.")
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # of a user or a link that leads nowhere, and zero bytes
        raise SciDBError(f"{path!r} is no path of a file: {error}.") from error


def create(path: Path) -> IO[bytes]:
    """Make a file that nobody else may read, since it holds what a database holds."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def publish(draft: Path, path: Path) -> None:
    """Give a file, which is on the disk, its name, so that it is there after a power cut, too."""
    draft.replace(path)
    flush_folder(path.parent)


def remove_drafts(folder: Path) -> None:
    """Remove what a process left that was stopped; for whoever has the folder alone."""
    for path in folder.rglob(f"*{DRAFT}*"):
        path.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep others from changing a folder; what is locked is free again when its process ends, however it does.

    Raises
    ------
    DatabaseLockedError
        When another process changes it.

    """
    with os.fdopen(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        if not _lock(file):
            raise DatabaseLockedError(
                f"Another backup into {folder} is under way. Wait until it is done.", path=str(folder)
            )
        yield


def _lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        _log.info("%s cannot be locked (%s); let nobody else back up into it now.", file.name, error.strerror)
    return True
