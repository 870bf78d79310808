"""How bytes are marked off: envelopes, and streams of parts that end with a part that says so.

An envelope is a header and a body: 4 bytes with the length of the header (big-endian), the header as JSON, the body.
A stream is a sequence of parts, each 4 bytes with its length and an envelope. The last part is of kind ``end`` and says
how many there were before it, so that a cut stream is noticed; a part of kind ``error`` says why there is no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from scidb.exceptions import LimitExceededError, SerializationError
from scidbnet.wire.coding import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "HEADER_LIMIT",
    "PARTS_TYPE",
    "PART_LIMIT",
    "Bytes",
    "Envelope",
    "Parts",
    "end",
    "envelope_from",
    "envelope_to",
    "part",
]

Bytes: TypeAlias = bytes | bytearray | memoryview

PARTS_TYPE: Final = "application/vnd.scidb.parts"
"""The media type of a stream of parts."""

HEADER_LIMIT: Final = 64 * 2**20
PART_LIMIT: Final = 2**30
_LENGTH: Final = 4


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
    if len(view) < _LENGTH or length > len(view) - _LENGTH:
        raise SerializationError(f"An envelope of {len(view)} bytes cannot hold a header of {length} bytes.")
    if length > header_limit:
        raise LimitExceededError(f"A header of {length} bytes is longer than {header_limit} bytes.")
    header = from_text(view[_LENGTH : _LENGTH + length], "The header of an envelope")
    if not isinstance(header, dict):
        raise SerializationError("The header of an envelope is no JSON object.")
    return Envelope(header, view[_LENGTH + length :])


def part(header: Mapping[str, Any], body: Bytes = b"") -> list[Bytes]:
    """Return the bytes of one part of a stream, in pieces."""
    pieces = envelope_to(header, body)
    return [sum(len(piece) for piece in pieces).to_bytes(_LENGTH, "big") + pieces[0], *pieces[1:]]


def end(count: int) -> list[Bytes]:
    """Return the bytes of the part that ends a stream of so many parts."""
    return part({"kind": "end", "count": count})


class Parts:
    """The parts of a stream of bytes that arrives in pieces of any length."""

    def __init__(self, pieces: Iterable[Bytes], part_limit: int = PART_LIMIT) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")
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
            length = int.from_bytes(self._take(_LENGTH), "big")
            if length > self._limit:
                raise LimitExceededError(f"A part of {length} bytes is longer than {self._limit} bytes.")
            envelope = envelope_from(self._take(length))
            if envelope.kind == "end":
                self._check_end(envelope, count)
                return
            yield envelope
            count += 1

    def _check_end(self, envelope: Envelope, count: int) -> None:
        if envelope.header.get("count") != count:
            raise SerializationError(f"{count} parts came of a stream of {envelope.header.get('count')!r}.")
        if len(self._rest) or any(len(piece) for piece in self._pieces):
            raise SerializationError("More came after the end of a stream.")

    def _take(self, length: int) -> Bytes:
        """Return the next bytes; copied only where they came in several pieces."""
        if length <= len(self._rest):
            taken, self._rest = self._rest[:length], self._rest[length:]
            return taken
        # Grows with what arrives: a length is only what somebody claims.
        whole = bytearray(self._rest)
        while len(whole) < length:
            piece = next(self._pieces, None)
            if piece is None:
                raise SerializationError("The stream was cut: it ended within a part, or without its last one.")
            missing = length - len(whole)
            whole += piece[:missing]
            self._rest = memoryview(piece)[missing:]
        return whole
