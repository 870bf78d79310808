"""The database manager of a remote database: the one class, over another store."""

from __future__ import annotations

from scidb import current
from scidb.database import DatabaseManager
from scidbnet.client.requests import RETRY_FOR
from scidbnet.client.store import HttpStore

__all__ = ["RemoteDatabaseManager", "configure_remote_database"]


class RemoteDatabaseManager(DatabaseManager):
    """A database that a server keeps. All methods are those of `DatabaseManager`."""


def configure_remote_database(
    base_url: str, token: str | None = None, timeout: float = 30.0, *, retry_for: float = RETRY_FOR
) -> RemoteDatabaseManager:
    """Connect to a database that a server keeps, and make it the current one.

    Whether results may rest on values that were never saved is as the owner of the server set it; `scidb.open` takes
    an address, too, and a ``lineage_mode`` of one's own.

    Parameters
    ----------
    base_url
        Where the server is, such as ``http://lab:8765``.
    token
        What proves who asks; without one, the environment variable ``SCIDB_TOKEN``.
    timeout
        Seconds to wait for the server.
    retry_for
        Seconds for which a request is tried again when the connection breaks or the server is not there just now.

    Raises
    ------
    NetworkError
        When it cannot be reached.
    PermissionDeniedError
        When the token is missing, unknown or expired.
    FormatVersionError
        When the server is of another version.

    """
    store = HttpStore.open(base_url, token=token, timeout=timeout, retry_for=retry_for)
    database = RemoteDatabaseManager(store, lineage_mode=store.lineage_mode)
    current.set_default(database)
    return database
