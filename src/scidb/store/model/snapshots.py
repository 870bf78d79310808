"""A database as it was at one instant, as pieces of bytes; the backups that were noted, and copies of the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from scidb.store.model.asked import Query

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["BackedUp", "Backup", "Backups", "KeptCopies", "KeptCopy", "Piece", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a file, named by their SHA-256. Pieces follow one another without a gap."""

    part: Literal["database", "log"]  # the log: what was written since DuckDB last put its file in order
    digest: str
    nbytes: int
    data: bytes | memoryview | None = None  # None: whoever asked has them


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a database held at one instant; what is written meanwhile is not in it."""

    target: str
    taken: str
    origin: str | None  # what all copies of one database share: the first link of its chain
    format_version: int
    duckdb_version: str
    nbytes: int
    counts: Mapping[str, int]  # the rows of each table
    pieces: Generator[Piece, None, None] = field(compare=False, repr=False)  # closed when no more are wanted


@dataclass(frozen=True, slots=True)
class BackedUp:
    """The database was copied into a backup folder."""

    path: str
    nbytes: int  # of the database
    written: int  # into the folder
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made, as noted; nobody knows whether it is still there."""

    path: str
    timestamp: str
    nbytes: int
    written: int
    user_id: str | None


@dataclass(frozen=True, slots=True)
class Backups(Query[Backup]):
    """The backups that were made, in the order of making."""


@dataclass(frozen=True, slots=True)
class KeptCopy:
    """A copy of the file as it was, beside it: made before a migration or a repair, or left by a killed process."""

    path: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class KeptCopies(Query[KeptCopy]):
    """The copies beside the file that are there now, by path."""
