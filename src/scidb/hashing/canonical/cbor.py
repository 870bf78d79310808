"""The container of the canonical encoding: deterministic CBOR (RFC 8949, section 4.2) and its one tag.

Every item says its own kind and length, so no sequence of items can be read in two ways. This module
knows bytes and numbers only, no kinds of values.
"""

from __future__ import annotations

import os
import struct
from functools import lru_cache
from hashlib import sha256
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "CHUNK",
    "NULL",
    "Parts",
    "array",
    "binary",
    "chunked",
    "digests",
    "head",
    "integer",
    "mapping",
    "payload",
    "payload_parts",
    "real",
    "text",
    "typed",
]

CHUNK: Final = 4 * 1024 * 1024
"""Payloads above this size enter as the digests of chunks of this size."""

NULL: Final = b"\xf6"

Parts: TypeAlias = "tuple[bytes | memoryview, ...]"
"""An encoding in parts, to be joined by whoever encodes what is around it."""

_PARALLEL: Final = 4 * CHUNK
_THREADS: Final = 2
_Chunk = TypeVar("_Chunk")

_TAG: Final = b"\xdascdb"
_NAN: Final = b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00"
_real = struct.Struct(">Bd").pack
_BYTE: Final = tuple(bytes((number,)) for number in range(256))  # to make one takes as long as all the rest


def head(major: int, number: int) -> bytes:
    """Return the shortest head of a CBOR item: its major type and its argument."""
    kind = major << 5
    if number < 24:
        return _BYTE[kind | number]
    if number < 0x100:
        return bytes((kind | 24, number))
    if number < 0x10000:
        return struct.pack(">BH", kind | 25, number)
    if number < 0x100000000:
        return struct.pack(">BI", kind | 26, number)
    return struct.pack(">BQ", kind | 27, number)


def integer(value: int) -> bytes:
    """Encode an integer of any size."""
    major, number = (0, value) if value >= 0 else (1, -1 - value)
    if number < 24:
        return _BYTE[major << 5 | number]
    if number < 1 << 64:
        return head(major, number)
    return bytes((0xC2 + major,)) + binary(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def real(value: float) -> bytes:
    """Encode a float as 64 bits; every NaN is the same NaN, -0.0 keeps its sign."""
    return _real(0xFB, value) if value == value else _NAN  # noqa: PLR0124


def binary(value: bytes) -> bytes:
    """Encode a byte string."""
    return head(2, len(value)) + value


def text(value: str) -> bytes:
    """Encode text as UTF-8; text with lone surrogates, which UTF-8 cannot hold, as a kind of its own."""
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        return typed("str.surrogates", 1) + binary(value.encode("utf-8", "surrogatepass"))
    size = len(raw)
    return (_BYTE[0x60 | size] if size < 24 else head(3, size)) + raw


def array(items: Iterable[bytes]) -> bytes:
    """Encode an array of items that are encoded already."""
    parts = list(items)
    return head(4, len(parts)) + b"".join(parts)


def mapping(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Encode a map whose pairs are encoded and sorted already."""
    return head(5, len(pairs)) + b"".join(chain.from_iterable(pairs))


@lru_cache(maxsize=512)
def typed(kind: str, fields: int) -> bytes:
    """Return what stands before the `fields` fields of a typed item of this kind."""
    return _TAG + head(4, fields + 1) + text(kind)


def payload(data: bytes | bytearray | memoryview) -> bytes:
    """Encode raw contents: as a byte string, or as the digests of its chunks when it is large.

    Any contiguous buffer is read in place.
    """
    return b"".join(payload_parts(data))


def payload_parts(data: bytes | bytearray | memoryview) -> Parts:
    """Return what `payload` encodes as parts that are not joined yet, so that nothing is copied."""
    view = memoryview(data).cast("B")
    if view.nbytes <= CHUNK:
        return head(2, view.nbytes), view
    chunks = (view[start : start + CHUNK] for start in range(0, view.nbytes, CHUNK))
    return (chunked(view.nbytes, digests(lambda chunk: sha256(chunk).digest(), chunks, view.nbytes)),)


def digests(digest: Callable[[_Chunk], bytes], chunks: Iterator[_Chunk], size: int) -> list[bytes]:
    """Return the digest of each chunk, in order, on two cores where that pays for the threads."""
    if size < _PARALLEL or (os.cpu_count() or 1) == 1:
        return [digest(chunk) for chunk in chunks]
    from concurrent.futures import ThreadPoolExecutor

    done: list[bytes] = []
    batch: list[_Chunk] = []
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            # A few at a time: a chunk may be a copy, and all of them at once would be a copy of the value.
            while batch := list(islice(chunks, 4 * _THREADS)):
                done += list(pool.map(digest, batch))
    except RuntimeError:
        # An interpreter that is shutting down starts no more threads.
        done += [digest(chunk) for chunk in chain(batch, chunks)]
    return done


def chunked(size: int, parts: list[bytes]) -> bytes:
    """Encode contents of `size` bytes that are known by the digests of their chunks."""
    fields = typed("chunks", 2 + len(parts)) + integer(size) + integer(CHUNK)
    return fields + b"".join(map(binary, parts))
