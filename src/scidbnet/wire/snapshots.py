"""A snapshot as parts of a stream: what it is, then its pieces, some to a part."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import SerializationError
from scidb.store.model import Piece, Snapshot
from scidbnet.wire.framing import part

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator

    from scidbnet.wire.framing import Bytes, Envelope

__all__ = ["KNOWN_TYPE", "digests_from", "digests_to", "snapshot_from", "snapshot_parts"]

KNOWN_TYPE: Final = "application/octet-stream"
"""The media type of digests: 32 bytes each, without anything between them."""

_DIGEST: Final = 32
_PART_BYTES: Final = 2**20
# So that a client which has nearly all hears something while the file is read.
_PART_PIECES: Final = 64


def digests_to(digests: Collection[str]) -> bytes:
    """Return digests as bytes."""
    return bytes.fromhex("".join(digests))


def digests_from(data: Bytes) -> frozenset[str]:
    """Return the digests that bytes hold.

    Raises
    ------
    SerializationError
        When they hold something else.

    """
    if len(data) % _DIGEST:
        raise SerializationError(f"{len(data)} bytes are no SHA-256 digests of {_DIGEST} bytes each.")
    return frozenset(data[start : start + _DIGEST].hex() for start in range(0, len(data), _DIGEST))


def snapshot_parts(snapshot: Snapshot) -> Iterator[list[Bytes]]:
    """Return a snapshot as the parts of a stream."""
    said = {field.name: getattr(snapshot, field.name) for field in fields(Snapshot) if field.name != "pieces"}
    yield part({"kind": "snapshot", **said, "counts": dict(snapshot.counts)})
    some: list[Piece] = []
    for piece in snapshot.pieces:
        some.append(piece)
        if len(some) >= _PART_PIECES or sum(len(one.data or b"") for one in some) >= _PART_BYTES:
            yield _part(some)
            some = []
    if some:
        yield _part(some)


def _part(pieces: list[Piece]) -> list[Bytes]:
    listed = [[one.part, one.digest, one.nbytes, one.data is not None] for one in pieces]
    return part({"kind": "pieces", "pieces": listed}, *(one.data for one in pieces if one.data is not None))


def snapshot_from(parts: Iterable[Envelope]) -> Snapshot:
    """Return the snapshot that parts hold; its pieces are read from them one after the other.

    Raises
    ------
    SerializationError
        When they hold something else.

    """
    rest = iter(parts)
    first = next(rest, None)
    said: dict[str, Any] = {} if first is None else dict(first.header)
    if said.pop("kind", None) != "snapshot":
        raise SerializationError("The answer of the server is no snapshot. Is it of another version of SciDB?")
    try:
        return Snapshot(**said, pieces=_pieces(rest))
    except TypeError as error:
        raise SerializationError(f"The answer of the server is no snapshot: {error}.") from error


def _pieces(parts: Iterator[Envelope]) -> Generator[Piece, None, None]:
    for envelope in parts:
        at = 0
        for name, digest, nbytes, is_there in _listed(envelope):
            data = envelope.body[at : at + nbytes] if is_there else None
            at += nbytes if is_there else 0
            if data is not None and hashlib.sha256(data).hexdigest() != digest:
                raise SerializationError(f"Block {digest[:12]} was changed on its way here. Make the backup again.")
            yield Piece(name, digest, nbytes, data)


def _listed(envelope: Envelope) -> list[Any]:
    listed = envelope.header.get("pieces")
    if envelope.kind == "pieces" and isinstance(listed, list) and all(map(_is_piece, listed)):
        return listed
    raise SerializationError("A part of a snapshot is none. Is the server of another version of SciDB?")


def _is_piece(one: object) -> bool:
    match one:
        case ["database" | "log", str(digest), int(nbytes), bool()]:
            return len(digest) == 2 * _DIGEST and nbytes >= 0
    return False
