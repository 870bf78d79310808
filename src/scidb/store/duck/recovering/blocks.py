"""The bytes of a DuckDB file: headers and blocks, each with a checksum over the rest of it.

Only ever used on a copy. Of a block in which one byte is wrong the checksum mostly tells which, and what it was. To
give another damaged block a checksum that fits lets DuckDB read it all the same: what comes out may be wrong, so
whoever does so compares every value with its hash.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["Damage", "cut_log", "find_damage", "seal", "use_older_header"]

_HEADER: Final = 4_096
_FIRST_BLOCK: Final = 3 * _HEADER
_MAGIC: Final = b"DUCK"
_FACTOR: Final = np.uint64(0xBF58476D1CE4E5B9)
_SEED: Final = 5_381
_FIELDS: Final = struct.Struct(
    "<5Q"
)  # iteration, first block of the catalogue, free list, number of blocks, their size
_AT: Final = re.compile(r"entry at byte position (\d+)")
_ENTRY: Final = 16  # size and checksum of an entry of the log


class _Part(NamedTuple):
    """A header or a block."""

    start: int
    size: int


class Damage(NamedTuple):
    """What of a file is not as DuckDB wrote it."""

    headers: tuple[int, ...]  # of the three, by number
    blocks: tuple[int, ...]  # by number
    missing: int  # bytes at the end

    def __bool__(self) -> bool:
        return bool(self.headers or self.blocks or self.missing)

    def words(self) -> str:
        """Describe it for people."""
        parts = []
        if self.headers:
            parts.append(f"{len(self.headers)} of 3 headers damaged")
        if self.blocks:
            shown = ", ".join(str(_FIRST_BLOCK + one * 2**18) for one in self.blocks[:5])
            more = ", ..." if len(self.blocks) > 5 else ""
            parts.append(f"{len(self.blocks):,} blocks damaged (at byte {shown}{more})")
        if self.missing:
            parts.append(f"{self.missing:,} bytes missing at the end")
        return "; ".join(parts) or "every block is as it was written"


def find_damage(path: Path) -> Damage:
    """Compare every header and every block with its checksum."""
    size = path.stat().st_size
    with path.open("rb") as file:
        headers = tuple(n for n, part in enumerate(_headers()) if part.start < size and not _fits(file, part))
        if size >= 12 and not _has_magic(file) and 0 not in headers:
            headers = (0, *headers)
        count, block = _layout(file)
        blocks = tuple(n for n, part in enumerate(_blocks(count, block)) if part.start + part.size <= size
                       and not _fits(file, part))  # fmt: skip
    return Damage(headers, blocks, max(0, _FIRST_BLOCK + count * block - size))


def seal(path: Path, sound: Path) -> int:
    """Give everything a checksum that fits; return how many headers and blocks are as they were then.

    `sound` is an empty file of the same DuckDB, from which the first header is taken where it cannot be mended.
    """
    mended = 0
    damage = find_damage(path)
    with path.open("r+b") as file:
        if damage.missing:
            file.seek(0, 2)
            file.truncate(file.tell() + damage.missing)
        count, block = _layout(file)
        for part in (*_headers(), *_blocks(count, block)):
            if _fits(file, part):
                continue
            file.seek(part.start)
            data = file.read(part.size)
            whole = _mended(data)
            if whole is not None:
                mended += 1
            elif part.start == 0:
                whole = sound.read_bytes()[:_HEADER]
            else:
                whole = struct.pack("<Q", _checksum(data[8:])) + data[8:]
            file.seek(part.start)
            file.write(whole)
    return mended


def use_older_header(path: Path) -> bool:
    """Have the file be as it was at the checkpoint before the last one; say whether there was one."""
    with path.open("r+b") as file:
        iterations = [_fields(file, number)[0] for number in (1, 2)]
        older, newer = (1, 2) if iterations[0] < iterations[1] else (2, 1)
        if not min(iterations):
            return False
        file.seek(older * _HEADER)
        data = file.read(_HEADER)
        file.seek(newer * _HEADER)
        file.write(data)
    return True


def cut_log(log: Path, said: str) -> int:
    """Cut the log of writes at the entry that DuckDB complains of, or all of it; return how many bytes are gone."""
    size = log.stat().st_size
    found = _AT.search(said)
    if found is None or not _ENTRY < int(found[1]) <= size:
        log.unlink()
        return size
    kept = int(found[1]) - _ENTRY
    with log.open("r+b") as file:
        file.truncate(kept)
    return size - kept


def _headers() -> list[_Part]:
    return [_Part(number * _HEADER, _HEADER) for number in range(3)]


def _blocks(count: int, size: int) -> Iterator[_Part]:
    for number in range(count):
        yield _Part(_FIRST_BLOCK + number * size, size)


def _has_magic(file: BinaryIO) -> bool:
    file.seek(8)
    return file.read(4) == _MAGIC


def _fits(file: BinaryIO, part: _Part) -> bool:
    file.seek(part.start)
    data = file.read(part.size)
    if len(data) < part.size:
        return False
    [stored] = struct.unpack_from("<Q", data)
    return bool(stored == _checksum(data[8:]))


def _checksum(data: bytes) -> int:
    with np.errstate(over="ignore"):
        return int(np.bitwise_xor.reduce(np.frombuffer(data, "<u8") * _FACTOR)) ^ _SEED


def _mended(data: bytes) -> bytes | None:
    """Return a header or block as it was before one byte of it changed; None if that is not all, or not clear.

    A change in the upper bytes of a word leaves few traces in the sum, so that several would explain it.
    """
    [stored] = struct.unpack_from("<Q", data)
    words = np.frombuffer(data[8:], "<u8")
    if not words.any():
        return None  # nothing was ever there
    found: list[tuple[int, int]] = []
    with np.errstate(over="ignore"):
        products = words * _FACTOR
        wanted = np.uint64(stored ^ _checksum(data[8:]))
        for place in range(56, -8, -8):
            for turned in range(1, 256):
                pattern = turned << place
                fits = np.flatnonzero(((words ^ np.uint64(pattern)) * _FACTOR) ^ products == wanted)
                found += [(int(at), pattern) for at in fits[:2]]
                if len(found) > 1:
                    return None
    if not found:
        return None
    [(at, pattern)] = found
    whole = words.copy()
    whole[at] ^= np.uint64(pattern)
    return data[:8] + whole.tobytes()


def _fields(file: BinaryIO, number: int) -> tuple[int, ...]:
    file.seek(number * _HEADER + 8)
    data = file.read(_FIELDS.size)
    return _FIELDS.unpack(data) if len(data) == _FIELDS.size else (0,) * 5


def _layout(file: BinaryIO) -> tuple[int, int]:
    """Return how many blocks the file has, and their size."""
    file.seek(0, 2)
    present = max(0, file.tell() - _FIRST_BLOCK)
    for _, _, _, count, size in sorted((_fields(file, number) for number in (1, 2)), reverse=True):
        # A header that is damaged itself may say anything.
        if size in {2**power for power in range(14, 19)} and count * size <= 4 * present + 2**26:
            return max(count, present // size), size
    return present // 2**18, 2**18
