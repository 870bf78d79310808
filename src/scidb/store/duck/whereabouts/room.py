"""Room on the disk for what is about to be written, looked at only where it can matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scidb.store.disk import require_room

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scidb.store.model import Chunk

__all__ = ["LARGE", "check_room"]

# Smaller batches are written without a look: the log of DuckDB may take as much at any time.
LARGE: Final = 16 * 2**20
# Lines of the log and of the tables beside the values, in the file and in DuckDB's own log.
_A_RECORD: Final = 1024
# Measured on arrays of random numbers, the growth of the file was 1 to 1.3 times their size.
_GROWTH: Final = 1.3


def check_room(path: Path, chunks: Sequence[Chunk]) -> None:
    """Refuse a large batch for which the disk has no room, before anything is written.

    Raises
    ------
    StorageError
        Saying how much is needed, and how much is free.

    """
    size = sum((0 if one.table is None else one.table.nbytes) + _A_RECORD * len(one.records) for one in chunks)
    if size < LARGE:
        return
    require_room(path, int(_GROWTH * size), "this", "Make room, or save less at once.")
