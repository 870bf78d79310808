"""How bytes are marked off: envelopes, and streams of parts that end with a part that says so.

An envelope is a header and a body: 4 bytes with the length of the header (big-endian), the header as JSON, the body.
A stream is a sequence of parts, each 4 bytes with its length and an envelope. The last part is of kind ``end`` and says
how many there were before it, so that a cut stream is noticed; a part of kind ``error`` says why there is no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np

from scidb.exceptions import LimitExceededError, SerializationError
from scidbnet.wire.plain import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "HEADER_LIMIT",
    "PARTS_TYPE",
    "PART_LIMIT",
    "Bytes",
    "Envelope",
    "Filling",
    "Parts",
    "end",
    "envelope_from",
    "envelope_to",
    "new_memory",
    "part",
]

Bytes: TypeAlias = bytes | bytearray | memoryview

PARTS_TYPE: Final = "application/vnd.scidb.parts"
"""The media type of a stream of parts."""

HEADER_LIMIT: Final = 64 * 2**20
PART_LIMIT: Final = 2**30
_LENGTH: Final = 4
_ALIGNED: Final = 8


class Filling(Protocol):
    """Bytes that arrive, read into memory that is given."""

    def readinto(self, room: memoryview, /) -> int:
        """Fill memory, or some of it, and return how much; nothing only at the end."""
        ...


def new_memory(length: int) -> memoryview:
    """Return memory that is not touched before it is written, so that a length that is a lie takes none.

    Raises
    ------
    SerializationError
        When there cannot be so much.

    """
    try:
        return memoryview(np.empty(length, np.uint8).data)
    except (MemoryError, ValueError) as error:
        raise SerializationError(f"There is no room for {length} bytes.") from error


@dataclass(frozen=True, slots=True)
class Envelope:
    """A header and a body."""

    header: Mapping[str, Any]
    body: memoryview

    @property
    def kind(self) -> object:
        """What kind of part it is."""
        return self.header.get("kind")


def envelope_to(header: Mapping[str, Any], body: Bytes = b"") -> list[Bytes]:
    r"""Return the bytes of an envelope, in pieces, so that the body is not copied.

    Examples
    --------
    >>> b"".join(envelope_to({"format": "none"}))
    b'\x00\x00\x00\x11{"format":"none"}'

    """
    text = to_text(header)
    return [len(text).to_bytes(_LENGTH, "big") + text, body]


def envelope_from(data: Bytes, header_limit: int = HEADER_LIMIT) -> Envelope:
    """Return the envelope that bytes hold.

    Raises
    ------
    SerializationError
        When they hold something else.
    LimitExceededError
        When the header is longer than the limit.

    """
    view = memoryview(data)
    length = int.from_bytes(view[:_LENGTH], "big")
    if len(view) < _LENGTH:
        raise SerializationError(f"{len(view)} bytes are no envelope.")
    header = _header(length, len(view) - _LENGTH, lambda length: view[_LENGTH : _LENGTH + length], header_limit)
    return Envelope(header, view[_LENGTH + length :])


def _header(length: int, room: int, take: Callable[[int], Bytes], limit: int) -> Mapping[str, Any]:
    if length > room:
        raise SerializationError(f"An envelope of {_LENGTH + room} bytes cannot hold a header of {length} bytes.")
    if length > limit:
        raise LimitExceededError(f"A header of {length} bytes is longer than {limit} bytes.")
    header = from_text(take(length), "The header of an envelope")
    if not isinstance(header, dict):
        raise SerializationError("The header of an envelope is no JSON object.")
    return header


def part(header: Mapping[str, Any], *body: Bytes) -> list[Bytes]:
    """Return the bytes of one part of a stream, in pieces.

    Blanks behind the header keep a body where numbers of 8 bytes can be used without being moved.
    """
    text = to_text(header)
    text += b" " * (-len(text) % _ALIGNED)
    length = _LENGTH + len(text) + sum(len(piece) for piece in body)
    return [length.to_bytes(_LENGTH, "big") + len(text).to_bytes(_LENGTH, "big") + text, *body]


def end(count: int) -> list[Bytes]:
    """Return the bytes of the part that ends a stream of so many parts."""
    return part({"kind": "end", "count": count})


class Parts:
    """The parts of a stream of bytes, which arrive in pieces of any length or are read into memory."""

    def __init__(self, source: Iterable[Bytes] | Filling, part_limit: int = PART_LIMIT) -> None:
        self._source = _Pieces(source) if isinstance(source, Iterable) else _Read(source)
        self._limit = part_limit

    def __iter__(self) -> Iterator[Envelope]:
        """Return the parts without the last one.

        Raises
        ------
        SerializationError
            When the stream is cut, or goes on after its end.
        LimitExceededError
            When a part is longer than the limit.

        """
        count = 0
        while True:
            length = int.from_bytes(self._source.take(_LENGTH), "big")
            if length > self._limit:
                raise LimitExceededError(f"A part of {length} bytes is longer than {self._limit} bytes.")
            envelope = self._envelope(length)
            if envelope.kind == "end":
                self._check_end(envelope, count)
                return
            yield envelope
            count += 1

    def _envelope(self, length: int) -> Envelope:
        """Read header and body on their own, so that a body begins where its memory does."""
        if length < _LENGTH:
            raise SerializationError(f"A part of {length} bytes holds no envelope.")
        described = int.from_bytes(self._source.take(_LENGTH), "big")
        header = _header(described, length - _LENGTH, self._source.take, HEADER_LIMIT)
        return Envelope(header, memoryview(self._source.take(length - _LENGTH - described)))

    def _check_end(self, envelope: Envelope, count: int) -> None:
        if envelope.header.get("count") != count:
            raise SerializationError(f"{count} parts came of a stream of {envelope.header.get('count')!r}.")
        if not self._source.is_at_end():
            raise SerializationError("More came after the end of a stream.")


class _Pieces:
    """Bytes that come in pieces."""

    def __init__(self, pieces: Iterable[Bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def take(self, length: int) -> Bytes:
        """Return the next bytes; copied only where they came in several pieces."""
        if length <= len(self._rest):
            taken, self._rest = self._rest[:length], self._rest[length:]
            return taken
        # Grows with what arrives: a length is only what somebody claims.
        whole = bytearray(self._rest)
        while len(whole) < length:
            piece = next(self._pieces, None)
            if piece is None:
                raise _cut()
            missing = length - len(whole)
            whole += piece[:missing]
            self._rest = memoryview(piece)[missing:]
        return whole

    def is_at_end(self) -> bool:
        """Say whether nothing follows."""
        return not len(self._rest) and not any(len(piece) for piece in self._pieces)


class _Read:
    """Bytes that are read into memory, copied no more than this once."""

    def __init__(self, source: Filling) -> None:
        self._source = source

    def take(self, length: int) -> Bytes:
        """Return the next bytes."""
        whole = new_memory(length)
        at = 0
        while at < length:
            count = self._source.readinto(whole[at:])
            if not count:
                raise _cut()
            at += count
        return whole

    def is_at_end(self) -> bool:
        """Say whether nothing follows."""
        return not self._source.readinto(memoryview(bytearray(1)))


def _cut() -> SerializationError:
    return SerializationError("The stream was cut: it ended within a part, or without its last one.")
