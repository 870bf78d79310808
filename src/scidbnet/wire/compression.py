"""zstd on the way, where both ends want it: bytes in, bytes out, some at a time. Arrow brings the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from scidb.exceptions import SciDBError, SerializationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scidbnet.wire.framing import Bytes, Filling

__all__ = ["COMPRESSED_FROM", "ZSTD", "Compressor", "Decompressed", "can_compress", "compressed", "wants_zstd"]

ZSTD: Final = "zstd"
"""The name of the encoding in the headers of HTTP."""

COMPRESSED_FROM: Final = 2**10
"""Fewer bytes are sent as they are."""


def can_compress() -> bool:
    """Say whether the Arrow that is installed has zstd; it may have been built without."""
    return bool(pa.Codec.is_available(ZSTD))


def wants_zstd(accepted: str) -> bool:
    """Say whether the header ``Accept-Encoding`` asks for zstd by name.

    Examples
    --------
    >>> wants_zstd("gzip, zstd;q=0.5"), wants_zstd("zstd;q=0"), wants_zstd("*")
    (True, False, False)

    """
    for one in accepted.lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() == ZSTD:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


class Compressor:
    """One stream of zstd: takes pieces, and gives what is ready to be sent."""

    def __init__(self) -> None:
        self._ready: list[bytes] = []
        self._stream = pa.CompressedOutputStream(pa.PythonFile(_Sink(self._ready), "w"), ZSTD)

    def add(self, piece: Bytes) -> list[bytes]:
        """Compress a piece; what it gives may come with a later one."""
        self._stream.write(memoryview(piece).cast("B"))
        return self._taken()

    def end(self) -> list[bytes]:
        """Return the rest."""
        self._stream.close()
        return self._taken()

    def _taken(self) -> list[bytes]:
        taken = self._ready[:]
        self._ready.clear()
        return taken


def compressed(pieces: Iterable[Bytes]) -> Iterator[bytes]:
    """Return pieces as one stream of zstd.

    Examples
    --------
    >>> whole = b"".join(compressed([b"a" * 1000, b"b" * 1000]))
    >>> Decompressed(memoryview(whole)).readinto(memoryview(bytearray(4000)))
    2000

    """
    compressor = Compressor()
    for piece in pieces:
        yield from compressor.add(piece)
    yield from compressor.end()


class Decompressed:
    """What a stream of zstd holds, in one frame or several, read into memory that is given: no more at once.

    Parameters
    ----------
    source
        What was compressed: as it comes, or all of it.

    """

    def __init__(self, source: Filling | memoryview) -> None:
        if isinstance(source, memoryview):
            raw: Any = pa.BufferReader(pa.py_buffer(source))
        else:
            raw = pa.PythonFile(_Source(source), "r")
        self._stream = pa.CompressedInputStream(raw, ZSTD)

    def readinto(self, room: memoryview) -> int:
        """Fill memory with what comes next, and return how much that was: less than there is room for at the end.

        Raises
        ------
        SerializationError
            When it is no zstd, or was cut.

        """
        try:
            return int(self._stream.readinto(room))
        except SciDBError:  # of the source
            raise
        except (OSError, pa.ArrowException) as error:
            raise SerializationError(
                f"What was sent as zstd cannot be decompressed: {str(error).splitlines()[0][:200]}."
            ) from error


class _File:
    """A file as Arrow wants one, which is never closed: who made it may still need what is in it."""

    closed = False

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class _Sink(_File):
    def __init__(self, kept: list[bytes]) -> None:
        self._kept = kept

    def write(self, piece: Any) -> int:
        """Keep a piece; its memory is used again for the next one."""
        self._kept.append(bytes(piece))
        return len(piece)


class _Source(_File):
    def __init__(self, source: Filling) -> None:
        self._source = source

    def read(self, length: int) -> bytes:
        """Return so many bytes, or fewer; nothing only at the end."""
        room = bytearray(length)
        return bytes(memoryview(room)[: self._source.readinto(memoryview(room))])
