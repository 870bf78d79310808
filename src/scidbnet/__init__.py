"""The network layer of SciDB: a server for several people, and its client.

Examples
--------
On the machine that keeps the file::

    scidb serve study.duckdb

and on any other one::

    db = scidbnet.configure_remote_database("http://lab:8765", token="scidb_...")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from scidbnet.client import HttpStore, RemoteDatabaseManager, configure_remote_database
    from scidbnet.server import create_app, store_app

__all__ = ["HttpStore", "RemoteDatabaseManager", "configure_remote_database", "create_app", "store_app"]

# Imported when they are asked for: a client does without the libraries of a server, and the other way round.
_HOMES: Final = {
    "HttpStore": "scidbnet.client",
    "RemoteDatabaseManager": "scidbnet.client",
    "configure_remote_database": "scidbnet.client",
    "create_app": "scidbnet.server",
    "store_app": "scidbnet.server",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
