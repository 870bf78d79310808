"""A process that was forked: its parent's open files are not its own, and must come to no harm through it."""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import TYPE_CHECKING, Final, Protocol

from scidb.exceptions import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["check_not_inherited", "refusal", "watch"]


class _Forkable(Protocol):
    """An open file."""

    path: Path
    pid: int

    def engine_objects(self) -> Iterable[object]:
        """Return the objects of DuckDB through which the file is open; none when it is closed."""


_open: Final[weakref.WeakSet[_Forkable]] = weakref.WeakSet()
_inherited: Final[dict[str, int]] = {}  # real path -> the process that had it open when this one was forked


def watch(connection: _Forkable) -> None:
    """Keep an open file from harm if this process is forked."""
    _open.add(connection)


def check_not_inherited(path: Path) -> None:
    """Refuse to open what an ancestor had open at the fork: DuckDB would go on with the copy of its memory.

    Raises
    ------
    StorageError
        Saying so.

    """
    ancestor = _inherited.get(os.path.realpath(path))
    if ancestor is not None:
        raise refusal(path, ancestor)


def refusal(path: Path, ancestor: int) -> StorageError:
    """Return the error of whoever uses, in a fork, what its parent has opened."""
    return StorageError(
        f"{path} was opened by process {ancestor}, and this is its fork {os.getpid()}: what a fork writes is lost, or "
        "harms the file. Start workers by 'spawn' or 'forkserver' and open the database in them, or close it "
        "before the fork.",
        path=str(path),
        pid=ancestor,
    )


def _leave_to_parent() -> None:
    for connection in list(_open):
        objects = list(connection.engine_objects())
        if objects:
            _inherited[os.path.realpath(connection.path)] = connection.pid
        for one in objects:
            # As it ends, a process closes what it has open, and DuckDB then writes into the file of the parent.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
