"""Writes that came under a key of the caller's own, in the file."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from scidb.exceptions import ConflictError
from scidb.store.duck.insert import insert_rows
from scidb.store.duck.tables import TABLES
from scidb.store.model import Answer

if TYPE_CHECKING:
    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State
    from scidb.store.model import Answered, Answers

__all__ = ["answer_once", "find_answers"]

_KEPT: Final = dt.timedelta(days=1)
# So that forgetting keeps up with what comes, costs little on average, and never takes long.
_EVERY: Final = 64
_MOST: Final = 1_000


def answer_once(connection: Connection, draft: State, event: Answered, stamp: str) -> None:
    """Note that a batch came under a key; refuse one that is there."""
    if draft.keyed_writes % _EVERY == 0:
        _forget(connection, stamp)
    draft.keyed_writes += 1
    try:
        # Only the index knows whether a key is there without a look at every line; ON CONFLICT takes twice as long.
        insert_rows(connection, TABLES["_requests"], [(event.user_id or "", event.key, event.digest, stamp)])
    except ConflictError as error:
        raise ConflictError(
            f"What was asked for under the key {event.key[:64]!r} is stored already.", key=event.key
        ) from error


def _forget(connection: Connection, stamp: str) -> None:
    """Forget the oldest of those that are older than a day."""
    before = (dt.datetime.fromisoformat(stamp) - _KEPT).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    connection.execute(
        "DELETE FROM _requests WHERE rowid IN (SELECT rowid FROM _requests WHERE timestamp < ? "
        f"ORDER BY timestamp LIMIT {_MOST})",
        [before],
    )


def find_answers(connection: Connection, query: Answers) -> list[Answer]:
    """Return what was stored under a key."""
    rows = connection.rows(
        "SELECT body_sha256, timestamp FROM _requests WHERE token_name = ? AND request_key = ?",
        [query.user_id or "", query.key],
    )
    return [Answer(query.key, digest, query.user_id, stamp) for digest, stamp in rows]
