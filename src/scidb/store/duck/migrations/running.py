"""Which steps a file needs, and taking them: a copy first, then step by step, whole or not at all."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Final

from scidb.exceptions import CorruptDatabaseError, MigrationError, SciDBError
from scidb.store.duck.connection import Connection
from scidb.store.duck.copied import look_at
from scidb.store.duck.keeping import keep_copy
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
    copy = keep_copy(connection, "format", str(version), _check_copy)
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


def _check_copy(held: Held, copy: Path) -> None:
    if look_at(copy).counts != held.counts():
        raise CorruptDatabaseError(
            f"The copy {copy} has other contents than the file itself. Nothing was changed; is the disk sound?",
            path=str(copy),
        )
