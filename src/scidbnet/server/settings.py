"""What the owner of a server may set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ServerSettings"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Limits and permissions of a server; sizes in bytes, times in seconds."""

    allow_sql: bool = False
    lineage_mode: Literal["strict", "ephemeral"] = "strict"  # may results rest on what was never saved
    sql_rows: int = 1_000_000  # of the result of one query
    sql_seconds: float = 20.0  # for one query; less than a client waits for an answer
    body_limit: int = 8 * 2**30
    memory_limit: int = 256 * 2**20  # of one body; a longer one, and a third at once, waits in a temporary file
    spool_limit: int = 64 * 2**30  # of all bodies that are being received
    idle_timeout: float = 60.0  # between two pieces of a body
    time_limit: float = 4 * 3600.0  # of one request with its answer
    header_limit: int = 64 * 2**10  # of the address and all headers
    header_count: int = 100
    requests_per_token: int = 256  # at once
    strangers: int = 100  # connections from one address without a valid request so far
    failed_logins: int = 10  # a minute, from one address with one token
    write_timeout: float = 20.0  # that a write which comes again waits for its first coming
