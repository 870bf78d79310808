"""A copy of a database file: brought to one plain file, and looked at as DuckDB sees it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scidb.exceptions import CorruptDatabaseError
from scidb.store.disk import log_of
from scidb.store.duck.checking import check_connection
from scidb.store.duck.connection import Connection
from scidb.store.duck.tables import FORMAT_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Seen", "check_free", "look_at"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file turned out to hold."""

    format_version: int
    counts: Mapping[str, int]
    problems: tuple[str, ...] = ()  # what a check says of it; of an older format nobody knows


def look_at(path: Path, *, checked: bool = False) -> Seen:
    """Open a copy, of whatever format, and count, and check; what lies in a log beside it comes into the file first.

    Raises
    ------
    CorruptDatabaseError
        When DuckDB cannot read it.

    """
    if log_of(path).exists():
        # To close it is what makes one file of the two.
        Connection.open(path, read_only=False, lock_timeout=0).close()
    with closing(Connection.open(path, read_only=True, lock_timeout=0)) as connection:
        [(version,)] = connection.rows("SELECT format_version FROM _format")
        with closing(connection.hold(read_only=True)) as held:
            counts = held.counts()
        if not checked or version != FORMAT_VERSION:
            return Seen(version, counts)
        return Seen(version, counts, tuple(one.what for one in check_connection(connection).problems))


def check_free(path: Path) -> None:
    """Refuse a file that another process has open; a damaged one nobody has.

    Raises
    ------
    DatabaseLockedError
        Saying who has it.

    """
    try:
        Connection.open(path, read_only=False, lock_timeout=0).close()
    except CorruptDatabaseError:
        return
