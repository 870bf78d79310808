"""Copies of a file as it was, kept beside it before something changes what is in it, for its owner alone."""

from __future__ import annotations

import filecmp
import os
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from scidb.exceptions import ConflictError, SciDBError, StorageError
from scidb.store.disk import flush_file, flush_folder, require_room

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.held import Held

__all__ = ["keep_copy"]

_PIECE: Final = 2**24


def keep_copy(connection: Connection, kind: str, check: Callable[[Held, Path], None]) -> Path:
    """Copy the file, with what its log holds, and give the copy a name that is free; `check` refuses a bad one.

    `kind` is what its name ends in: ``format-2`` or ``before-repair-`` and a time.

    Raises
    ------
    StorageError
        When there is no room, or the copy cannot be made for another reason; nothing was changed.

    """
    path = connection.path
    # Not *.duckdb, of which a folder shall have one.
    wanted = path.with_name(f"{path.name}.{kind}")
    draft = path.with_name(f".{wanted.name}.part")
    _remove(draft)
    try:
        with closing(connection.hold(read_only=False)) as held:
            require_room(wanted, held.database_bytes + held.log_bytes, f"the copy {wanted.name}")
            _write(draft, held.read_database, held.database_bytes)
            if held.log_bytes:
                _write(draft.with_name(f"{draft.name}.wal"), held.read_log, held.log_bytes)
            held.check_still()
            check(held, draft)
        return _publish(draft, wanted)
    except OSError as error:
        if isinstance(error, SciDBError):
            raise
        raise StorageError(
            f"{path} is changed once there is a copy of it as it is, which cannot be made beside it: "
            f"{error.strerror or error}. Nothing was changed.",
            path=str(path),
        ) from error
    finally:
        _remove(draft)


def _write(path: Path, read: Callable[[int, int], bytes], nbytes: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for start in range(0, nbytes, _PIECE):
            file.write(read(start, min(_PIECE, nbytes - start)))


def _publish(draft: Path, wanted: Path) -> Path:
    flush_file(draft)
    for number in range(1, 100):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}")
        if path.exists():
            # As after a kill, when it was copied and not yet changed.
            if filecmp.cmp(draft, path, shallow=False):
                return path
            continue
        draft.rename(path)
        flush_folder(path.parent)
        return path
    raise ConflictError(f"There are a hundred copies like {wanted} already. Move them away.", path=str(wanted))


def _remove(draft: Path) -> None:
    for path in (draft, draft.with_name(f"{draft.name}.wal"), draft.with_name(f"{draft.name}.lock")):
        with suppress(OSError):
            path.unlink()
