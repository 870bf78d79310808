"""Copies of a file as it was, kept beside it before something changes what is in it, for its owner alone."""

from __future__ import annotations

import filecmp
import os
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from scidb.exceptions import ConflictError, SciDBError, StorageError
from scidb.store.disk import DRAFT, flush_file, flush_folder, log_of, remove_draft, require_room
from scidb.store.model import KeptCopy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.held import Held

__all__ = ["find_copies", "keep_copy"]

Kind: TypeAlias = Literal["format", "before-repair"]
"""Of which format a copy is, or from before which repair."""

_PIECE: Final = 2**24


def keep_copy(connection: Connection, kind: Kind, mark: str, check: Callable[[Held, Path], None] | None = None) -> Path:
    """Copy the file, and give the copy a name that is free; `check` refuses a bad one.

    What the log holds comes into the copy when that is opened, as `check` may; where nobody does, nothing may be in it.

    Raises
    ------
    StorageError
        When there is no room, or the copy cannot be made for another reason; nothing was changed.

    """
    path = connection.path
    # Not *.duckdb, of which a folder shall have one.
    wanted = path.with_name(f"{path.name}.{kind}-{mark}")
    draft = path.with_name(f".{wanted.name}{DRAFT}")
    remove_draft(draft)
    try:
        with closing(connection.hold(read_only=False)) as held:
            require_room(wanted, held.database_bytes + held.log_bytes, f"the copy {wanted.name}")
            _write(draft, held.read_database, held.database_bytes)
            if held.log_bytes:
                _write(log_of(draft), held.read_log, held.log_bytes)
            held.check_still()
            if check is not None:
                check(held, draft)
        if log_of(draft).exists():
            raise StorageError(
                f"{wanted} would lack what is in the log. Nothing was changed; try again.", path=str(path)
            )
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
        remove_draft(draft)


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


def find_copies(path: Path) -> list[KeptCopy]:
    """Return the copies beside a file, and drafts of such that a process left which was killed."""
    found = {}
    for file in dict.fromkeys((path, path.resolve())):
        starts = tuple(f"{file.name}.{kind}-" for kind in get_args(Kind))
        with suppress(OSError):  # a folder that cannot be listed
            for one in file.parent.iterdir():
                is_draft = one.name.startswith(f".{file.name}.") and one.name.endswith(DRAFT)
                if is_draft or one.name.startswith(starts):
                    found[str(one)] = one.stat().st_size
    return [KeptCopy(*one) for one in sorted(found.items())]
