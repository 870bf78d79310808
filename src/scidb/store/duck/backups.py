"""The backups that were made of a file, as noted in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.store.duck.insert import insert_rows
from scidb.store.duck.tables import TABLES
from scidb.store.model import BackedUp, Backup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.model import Event

__all__ = ["add_backups", "find_backups"]


def add_backups(connection: Connection, events: Sequence[Event], stamp: str) -> None:
    """Note the backups that a batch tells of."""
    made = [event for event in events if isinstance(event, BackedUp)]
    rows = [(one.path, stamp, one.nbytes, one.written, one.user_id) for one in made]
    insert_rows(connection, TABLES["_backups"], rows)


def find_backups(connection: Connection) -> list[Backup]:
    """Return the backups that were noted, in that order."""
    rows = connection.rows("SELECT path, timestamp, nbytes, written, user_id FROM _backups ORDER BY timestamp, rowid")
    return [Backup(*row) for row in rows]
