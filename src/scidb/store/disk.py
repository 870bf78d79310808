"""The disk under a file: what lies beside it, room for what is to be written, and that it keeps what was."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from scidb.exceptions import StorageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DRAFT", "flush_file", "flush_folder", "lock_of", "log_of", "remove_draft", "require_room"]

DRAFT: Final = ".part"
"""How the name of a file ends that is not whole yet."""


def log_of(path: Path) -> Path:
    """Name the log beside a database, in which DuckDB keeps what has not come into the file yet."""
    return path.with_name(f"{path.name}.wal")


def lock_of(path: Path) -> Path:
    """Name the note beside a database that says who has it."""
    return path.with_name(f"{path.name}.lock")


def remove_draft(path: Path) -> None:
    """Remove a database that is not to be, and what lies beside it; what cannot be removed stays."""
    for one in (path, log_of(path), lock_of(path)):
        with suppress(OSError):
            one.unlink()


def require_room(path: Path, needed: int, what: str, advice: str = "Make room, and try again.") -> None:
    """Refuse to write so many bytes, a file or what goes into it, where its disk has fewer; `what` they are.

    Raises
    ------
    StorageError
        Saying how much is needed, and how much is free.

    """
    folder = path.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # the write will tell
    if free < needed:
        raise StorageError(
            f"There is no room for {what} in {folder}: about {_shown(needed)} are needed and {_shown(free)} are free. "
            f"Nothing was written. {advice}",
            path=str(path),
            needed=needed,
            free=free,
        )


def _shown(size: int) -> str:
    if size >= 2**30:
        return f"{size / 2**30:,.1f} GiB"
    return f"{size / 2**20:,.0f} MiB" if size >= 2**20 else f"{size:,} bytes"


def flush_file(path: Path) -> None:
    """Have the disk itself keep what was written, before anything relies on it."""
    # Opened for writing, since some systems flush only what may be written.
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Have the disk itself keep which files there are in a folder, where that can be asked for."""
    if sys.platform == "win32":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network share may not know how
            os.fsync(number)
    finally:
        os.close(number)
