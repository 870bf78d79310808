"""A database as it is at one instant, read from its file in pieces while others write."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING, Final, Literal

import duckdb

from scidb.store.duck.tables import FORMAT_VERSION
from scidb.store.model import Piece, Snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Generator
    from pathlib import Path

    from scidb.store.duck.held import Held

__all__ = ["snapshot_of"]

# DuckDB's blocks, and what stands before the first: so a piece is the same as long as its block is.
_BLOCK: Final = 2**18
_HEAD: Final = 3 * 4096
# What is added to the log changes its last piece.
_LOG_PIECE: Final = 2**16
_ORIGIN: Final = (
    "SELECT chain FROM (SELECT timestamp, seq, chain FROM _record_metadata "
    "UNION ALL SELECT timestamp, seq, chain FROM _erased) ORDER BY timestamp, seq LIMIT 1"
)


def snapshot_of(held: Held, path: Path, taken: str, known: Collection[str]) -> Snapshot:
    """Return what a held file contains; it is let go of at the end of the pieces, or when nobody wants more of them."""
    try:
        origin = held.rows(_ORIGIN)
        counts = held.counts()
        pieces = _pieces(held, known)
        # Begun, so that it lets go also when it is thrown away unread.
        next(pieces)
    except BaseException:
        held.close()
        raise
    return Snapshot(
        target=str(path),
        taken=taken,
        origin=origin[0][0] if origin else None,
        format_version=FORMAT_VERSION,
        duckdb_version=duckdb.__version__,
        nbytes=held.database_bytes + held.log_bytes,
        counts=counts,
        pieces=pieces,
    )


def _pieces(held: Held, known: Collection[str]) -> Generator[Piece, None, None]:
    with closing(held):
        yield Piece("database", "", 0)
        end = held.database_bytes
        starts = [0, *range(_HEAD, end, _BLOCK)]
        for start, stop in zip(starts, [*starts[1:], end], strict=True):
            yield _piece("database", held.read_database(start, stop - start), known)
        for start in range(0, held.log_bytes, _LOG_PIECE):
            yield _piece("log", held.read_log(start, min(_LOG_PIECE, held.log_bytes - start)), known)
        held.check_still()


def _piece(part: Literal["database", "log"], data: bytes, known: Collection[str]) -> Piece:
    digest = hashlib.sha256(data).hexdigest()
    return Piece(part, digest, len(data), None if digest in known else data)
