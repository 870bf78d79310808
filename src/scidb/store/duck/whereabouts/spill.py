"""Where DuckDB puts what does not fit into memory: a folder that only its owner can enter, on a disk of this machine.

By default it would lie beside the database, readable by everybody, and be copied wherever the database is.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["spill_folder"]

_ON_DISK: Final = "/var/tmp"  # noqa: S108 - what is made in it cannot be entered by others

# The folder of each process that asked; a fork makes its own.
_folders: Final[dict[int, Path]] = {}
_locks: Final[list[int]] = []


def spill_folder(database: Path) -> Path | None:
    """Return where DuckDB may put data of this file; it makes the folder when it needs it, and takes it away.

    None where no folder can be made; a database can be read and written without.
    """
    pid = os.getpid()
    try:
        if pid not in _folders or not _folders[pid].is_dir():
            _folders[pid] = _own_folder()
    except OSError:
        return None
    # The same for each connection of this process to the file, as DuckDB demands.
    return _folders[pid] / hashlib.sha256(os.fsencode(database)).hexdigest()[:16]


def _own_folder() -> Path:
    if sys.platform == "win32":
        return Path(tempfile.mkdtemp(prefix="scidb-"))  # the folder of temporary files is the user's own there
    ours = _of_user(_root())
    _clear(ours)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=ours))
        _locks.append(_lock(folder))
        if folder.is_dir():  # nobody has cleared it away before it was locked
            return folder


def _root() -> Path:
    """Return a folder for temporary files that is on a disk: /tmp is often in memory, which is what is short."""
    if not any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")) and os.access(_ON_DISK, os.W_OK | os.X_OK):
        return Path(_ON_DISK)
    return Path(tempfile.gettempdir())


def _of_user(root: Path) -> Path:
    """Return the user's folder in one that all users share, or another where somebody else took the name."""
    ours = root / f"scidb-{os.getuid()}"
    with suppress(FileExistsError):
        ours.mkdir(mode=0o700)
    found = ours.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
        if stat.S_IMODE(found.st_mode) != 0o700:
            ours.chmod(0o700)
        return ours
    return Path(tempfile.mkdtemp(prefix="scidb-", dir=root))


def _lock(folder: Path) -> int:
    """Mark a folder as in use: by it those of killed processes are known, and systemd leaves it alone."""
    import fcntl

    file = os.open(folder, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return file


def _clear(ours: Path) -> None:
    """Take away what processes left that were killed, since it holds values, of which some may be erased by now."""
    import fcntl

    for folder in ours.iterdir():
        with suppress(OSError):
            file = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(file)


@atexit.register
def _leave() -> None:
    folder = _folders.pop(os.getpid(), None)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
