"""Which steps a file needs, and taking them: a copy first, then step by step, whole or not at all."""

from __future__ import annotations

import filecmp
import logging
import os
import shutil
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from scidb.exceptions import ConflictError, CorruptDatabaseError, MigrationError, SciDBError, StorageError
from scidb.store.duck.connection import Connection
from scidb.store.duck.copied import look_at
from scidb.store.duck.migrations.to_3 import TO_3
from scidb.store.duck.migrations.to_4 import TO_4

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scidb.store.duck.held import Held
    from scidb.store.duck.migrations.step import Step

__all__ = ["migrate", "preview", "steps_from"]

_log = logging.getLogger(__name__)

_STEPS: Final[list[Step]] = [TO_3, TO_4]
_PIECE: Final = 2**24


def steps_from(version: int) -> tuple[Step, ...]:
    """Return the steps that lead from a format to that of this SciDB; none where there is no way.

    Examples
    --------
    >>> [step.version for step in steps_from(2)]
    [3, 4]

    """
    steps = tuple(step for step in _STEPS if step.version > version)
    return steps if steps and steps[0].version == version + 1 else ()


def preview(path: Path, lock_timeout: float = 10.0) -> tuple[Step, ...]:
    """Return what opening a file for writing would change about its format; nothing is changed."""
    with closing(Connection.open(path, read_only=True, lock_timeout=lock_timeout)) as connection:
        return steps_from(_version(connection))


def migrate(connection: Connection, version: int) -> None:
    """Bring a file that is open for writing up to date, after a copy of it was kept beside it.

    Raises
    ------
    MigrationError
        When a step fails; the file has the format that it had before that step.
    StorageError
        When the copy cannot be made, which changes nothing.

    """
    copy = _keep_copy(connection, version)
    for step in steps_from(version):
        try:
            connection.transaction(_taking(connection, step))
        except SciDBError as error:
            raise MigrationError(
                f"{connection.path} could not be brought to format {step.version}: {error} It was left as it was, of "
                f"format {step.version - 1}, and there is a copy: {copy}. Please report this.",
                path=str(connection.path),
                version=step.version - 1,
                copy=str(copy),
            ) from error
        _log.warning(
            "%s was of format %d and is of format %d from now on, which an older SciDB does not read: that %s. "
            "What it was before is kept as %s.",
            connection.path,
            step.version - 1,
            step.version,
            step.changes,
            copy,
        )


def _taking(connection: Connection, step: Step) -> Callable[[], None]:
    def take() -> None:
        step.apply(connection)
        connection.execute("UPDATE _format SET format_version = ?", [step.version])

    return take


def _version(connection: Connection) -> int:
    [(version,)] = connection.rows("SELECT format_version FROM _format")
    return int(version)


# ------------------------------------------------------------------ the copy


def _keep_copy(connection: Connection, version: int) -> Path:
    """Copy the file, with what its log holds, open and count the copy, and give it a name that is free."""
    path = connection.path
    # Not *.duckdb, of which a folder shall have one.
    wanted = path.with_name(f"{path.name}.format-{version}")
    draft = path.with_name(f".{wanted.name}.part")
    _remove(draft)
    try:
        with closing(connection.hold(read_only=False)) as held:
            _check_room(held, path)
            _write(draft, held.read_database, held.database_bytes)
            if held.log_bytes:
                _write(draft.with_name(f"{draft.name}.wal"), held.read_log, held.log_bytes)
            held.check_still()
            counts = held.counts()
        if look_at(draft).counts != counts:
            raise CorruptDatabaseError(
                f"The copy of {path} has other contents than the file itself. Nothing was changed; is the disk sound?",
                path=str(path),
            )
        return _publish(draft, wanted)
    except OSError as error:
        if isinstance(error, SciDBError):
            raise
        raise StorageError(
            f"{path} is of format {version}, and is brought up to date once there is a copy of it, which cannot be "
            f"made beside it: {error.strerror or error}. Nothing was changed.",
            path=str(path),
        ) from error
    finally:
        _remove(draft)


def _check_room(held: Held, path: Path) -> None:
    needed, free = held.database_bytes + held.log_bytes, shutil.disk_usage(path.parent).free
    if free < needed:
        raise StorageError(
            f"{path} is of an older format, and is brought up to date once there is a copy of it beside it: "
            f"{needed} bytes, and {free} are free. Nothing was changed. Make room, and open it again.",
            path=str(path),
            needed=needed,
            free=free,
        )


def _write(path: Path, read: Callable[[int, int], bytes], nbytes: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for start in range(0, nbytes, _PIECE):
            file.write(read(start, min(_PIECE, nbytes - start)))


def _publish(draft: Path, wanted: Path) -> Path:
    with draft.open("r+b") as file:
        os.fsync(file.fileno())
    for number in range(1, 100):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}")
        if path.exists():
            # As after a kill, when it was copied and not yet changed.
            if filecmp.cmp(draft, path, shallow=False):
                return path
            continue
        draft.rename(path)
        return path
    raise ConflictError(f"There are a hundred copies like {wanted} already. Move them away.", path=str(wanted))


def _remove(draft: Path) -> None:
    for path in (draft, draft.with_name(f"{draft.name}.wal"), draft.with_name(f"{draft.name}.lock")):
        with suppress(OSError):
            path.unlink()
