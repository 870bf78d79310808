"""The client: a store behind HTTP, and the database manager over it."""

from __future__ import annotations

from scidbnet.client.manager import RemoteDatabaseManager, configure_remote_database
from scidbnet.client.store import HttpStore

__all__ = ["HttpStore", "RemoteDatabaseManager", "configure_remote_database"]
