"""Packs: files with many pieces of bytes, each found by its SHA-256; written once, never changed.

A pack is a mark, the pieces one after the other (with zstd where that pays), an index as JSON, and the length and
digest of the index. It gets its name when it is whole and on the disk, so what a killed process leaves is no pack.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

import pyarrow as pa

from scidb.exceptions import CorruptDatabaseError
from scidb.maintenance.backups.files import create, publish
from scidb.store.disk import DRAFT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Pack", "PackWriter", "Place"]

_BEGIN: Final = b"SciDBpk1"
_END: Final = b"1kpBDicS"
_TAIL: Final = 8 + 32 + len(_END)
_SUFFIX: Final = ".pack"
# Few enough files for any file system, and little to write again when a part of one is not needed any more.
_LARGEST: Final = 64 * 2**20
# What is hardly smaller is quicker to read as it is.
_WORTH: Final = 0.9
_ZSTD: Final = pa.Codec("zstd", compression_level=1)


class Place(NamedTuple):
    """Where a piece lies in a pack: what is stored, and how long the piece itself is."""

    offset: int
    stored: int
    nbytes: int


class Pack:
    """A pack that is there, with its index."""

    def __init__(self, path: Path, places: Mapping[str, Place]) -> None:
        self.path = path
        self.places = places

    @classmethod
    def open(cls, path: Path) -> Pack:
        """Read the index of a pack.

        Raises
        ------
        CorruptDatabaseError
            When the file is damaged.

        """
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            tail = file.read(_TAIL)
            length = int.from_bytes(tail[:8], "big")
            start = size - _TAIL - length
            if len(tail) != _TAIL or tail[-len(_END) :] != _END or start < len(_BEGIN):
                raise _damaged(path, "it is cut, or its end was changed")
            file.seek(start)
            index = file.read(length)
        if hashlib.sha256(index).digest() != tail[8:40]:
            raise _damaged(path, "its index was changed")
        return cls(path, {digest: Place(*place) for digest, *place in json.loads(index)})

    @classmethod
    def all_in(cls, folder: Path) -> tuple[list[Pack], list[CorruptDatabaseError]]:
        """Return the packs of a folder, and what is wrong with those that cannot be read."""
        packs, damaged = [], []
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            try:
                packs.append(cls.open(path))
            except CorruptDatabaseError as error:
                damaged.append(error)
        return packs, damaged

    def read(self, digest: str) -> bytes:
        """Return a piece.

        Raises
        ------
        CorruptDatabaseError
            When it is not what it was.

        """
        place = self.places[digest]
        stored = self.read_stored(digest)
        try:
            data = stored if place.stored == place.nbytes else _ZSTD.decompress(stored, place.nbytes, asbytes=True)
        except (OSError, ValueError, pa.ArrowException):
            data = b""
        if hashlib.sha256(data).hexdigest() != digest:
            raise _damaged(self.path, f"block {digest[:12]} was changed", block=digest)
        return data

    def read_stored(self, digest: str) -> bytes:
        """Return the bytes that stand for a piece."""
        place = self.places[digest]
        with self.path.open("rb") as file:
            file.seek(place.offset)
            return file.read(place.stored)


class PackWriter:
    """Packs that are being written into a folder: one after the other, each whole before it is seen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._draft = folder
        self._index: list[tuple[str, int, int, int]] = []
        self._added: set[str] = set()
        self._paths: list[Path] = []
        self.written = 0
        self.blocks = 0

    def __contains__(self, digest: str) -> bool:
        return digest in self._added

    def add(self, digest: str, data: bytes | memoryview) -> None:
        """Add a piece."""
        packed = _ZSTD.compress(data, asbytes=True)
        self.add_stored(digest, packed if len(packed) < _WORTH * len(data) else data, len(data))

    def add_stored(self, digest: str, stored: bytes | memoryview, nbytes: int) -> None:
        """Add a piece by the bytes that stand for it."""
        if self._file is None:
            self._draft = self._folder / f"{uuid4().hex}{DRAFT}"
            self._file = create(self._draft)
            self._file.write(_BEGIN)
        self._index.append((digest, self._file.tell(), len(stored), nbytes))
        self._added.add(digest)
        self._file.write(stored)
        self.blocks += 1
        if self._file.tell() >= _LARGEST:
            self.finish()

    def finish(self) -> None:
        """Bring the pack onto the disk, and give it its name."""
        if self._file is None:
            return
        index = json.dumps(self._index, separators=(",", ":")).encode()
        with self._file as file:
            file.write(index + len(index).to_bytes(8, "big") + hashlib.sha256(index).digest() + _END)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        self._file = None
        path = self._draft.with_suffix(_SUFFIX)
        publish(self._draft, path)
        self._paths.append(path)
        self._index = []
        self.written += size

    def drop(self) -> None:
        """Give up the pack that is not finished."""
        if self._file is not None:
            self._file.close()
            self._file = None
            with suppress(OSError):
                self._draft.unlink()

    def undo(self) -> None:
        """Remove the packs that were finished, too."""
        for path in self._paths:
            path.unlink(missing_ok=True)


def _damaged(path: Path, what: str, **details: Any) -> CorruptDatabaseError:
    return CorruptDatabaseError(
        f"The backup is damaged: {what} in {path}. Restore another point in time, or another backup. If the database "
        "itself is whole, move that file away and back up again: what it had is then written anew.",
        path=str(path),
        **details,
    )
