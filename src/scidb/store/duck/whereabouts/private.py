"""Files for their owner alone, whatever the umask says; what lies beside a database may be read by who reads it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scidb.store.disk import log_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["discard_empty_log", "prepare_log", "private_folder", "restrict", "sole_folder"]

_PRIVATE: Final = 0o600


@contextmanager
def private_folder(path: Path) -> Iterator[Path]:
    """Make a folder beside a file that only its owner can enter, for a draft of that file; take it away again.

    A file that is made elsewhere and restricted afterwards can be opened in between, and then read for ever.
    """
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def sole_folder(path: Path, purpose: str) -> Iterator[Path]:
    """Make such a folder for whoever has the file alone; what a process left in it that was killed goes."""
    folder = path.with_name(f".{path.name}.{purpose}")
    _take_away(folder)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        _take_away(folder)


def _take_away(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


def restrict(path: Path, like: Path | None = None) -> None:
    """Let only the owner read and write a new file, or those who may read and write the file that it replaces."""
    path.chmod(_mode_of(like) if like else _PRIVATE)


def prepare_log(database: Path) -> None:
    """Make the log of a database before DuckDB does, which would let everybody read it; it keeps an empty one."""
    log = log_of(database)
    if os.path.exists(log):  # noqa: PTH110 - asked at every write
        return
    with suppress(OSError):  # DuckDB will tell, in its words
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        try:
            if (mode := _mode_of(database)) != _PRIVATE:
                log.chmod(mode)
        finally:
            os.close(file)


def discard_empty_log(database: Path) -> None:
    """Take away a log that was prepared and never written to; only whoever has the database open may do so."""
    log = log_of(database)
    with suppress(OSError):
        if log.stat().st_size == 0:
            log.unlink()


def _mode_of(path: Path) -> int:
    with suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    return _PRIVATE
