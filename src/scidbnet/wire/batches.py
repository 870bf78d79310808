"""What one write stores, as a body: its metadata, then its chunks as parts; and what is answered."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import LimitExceededError, SerializationError
from scidb.store.columns import column_of
from scidb.store.model import Batch, Call, Edge
from scidbnet.wire.chunks import chunk_parts, chunks_from
from scidbnet.wire.coding import coder_of
from scidbnet.wire.framing import HEADER_LIMIT, Parts, end
from scidbnet.wire.messages import EVENTS
from scidbnet.wire.plain import from_text, to_text
from scidbnet.wire.records import folded, unfolded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.store.model import Record
    from scidbnet.wire.framing import Bytes

__all__ = ["answer_of_records", "batch_bytes", "batch_digest", "batch_from", "records_of_answer"]

# As long as can be said: what is sent is not read before it is whole, and a value in one part is not copied again.
_PART_BYTES: Final = 2**32 - HEADER_LIMIT - 64
_PART_LIMIT: Final = 2**32
_LENGTH: Final = 4
_SMALL: Final = 2**20
# A record that is there keeps its form; a server knows who asks.
_MAY_DIFFER: Final = ("encoding", "nbytes", "user_id")
_CALLS: Final = coder_of(tuple[Call, ...])
_EDGES: Final = coder_of(tuple[Edge, ...])


def batch_bytes(batch: Batch) -> list[Bytes]:
    """Return a batch as the body of a request, in pieces."""
    meta = {
        "calls": _CALLS.write(batch.calls),
        "edges": _EDGES.write(batch.edges),
        "events": [EVENTS.write(event) for event in batch.events],
    }
    text = to_text({name: part for name, part in meta.items() if part})
    text += b" " * (-(_LENGTH + len(text)) % 8)  # so that what follows begins at a multiple, as parts do
    pieces: list[Bytes] = [len(text).to_bytes(_LENGTH, "big") + text]
    count = 0
    for chunk in batch.chunks:
        for one in chunk_parts(chunk, _PART_BYTES):
            pieces += one
            count += 1
    return [*pieces, *end(count)]


def batch_from(body: memoryview) -> Batch:
    """Return the batch that a body holds; its tables share the body's memory.

    Raises
    ------
    SerializationError
        When it holds something else.
    LimitExceededError
        When its metadata are too long.

    """
    length = int.from_bytes(body[:_LENGTH], "big")
    if length > HEADER_LIMIT:
        raise LimitExceededError(f"Metadata of {length} bytes are longer than {HEADER_LIMIT} bytes.")
    if len(body) < _LENGTH + length:
        raise SerializationError(f"A body of {len(body)} bytes cannot hold metadata of {length} bytes.")
    meta = from_text(body[_LENGTH : _LENGTH + length], "The metadata of a write")
    if not isinstance(meta, dict) or not meta.keys() <= {"calls", "edges", "events"}:
        raise SerializationError("The metadata of a write hold calls, edges and events; these do not.")
    chunks = tuple(chunks_from(Parts([body[_LENGTH + length :]], _PART_LIMIT)))
    events = meta.get("events", [])
    if not isinstance(events, list):
        raise SerializationError("The events of a write are a list; these are not.")
    return Batch(
        chunks,
        _CALLS.read(meta.get("calls", []), "calls"),
        _EDGES.read(meta.get("edges", []), "edges"),
        tuple(EVENTS.read(event, f"event {number}") for number, event in enumerate(events)),
    )


def batch_digest(body: memoryview) -> str:
    """Return what tells a body from another one that holds another batch, without reading all its data.

    Whatever is stored by way of a body is what its records say by their hashes, or it is refused. So their headers
    stand for the data, of which a digest would take as long as storing them.

    Raises
    ------
    SerializationError
        When the body holds something else.

    """
    if len(body) <= _SMALL:
        return hashlib.sha256(body).hexdigest()
    length = int.from_bytes(body[:_LENGTH], "big")
    digest = hashlib.sha256(body[: _LENGTH + length])
    for one in Parts([body[_LENGTH + length :]], _PART_LIMIT):
        digest.update(to_text([one.header, len(one.body)]))
    return digest.hexdigest()


def answer_of_records(batch: Batch, stored: Sequence[Record]) -> dict[str, Any]:
    """Return what a client does not know of its records before they are stored: when, and what differs."""
    sent = _in_order(batch)
    differ = {}
    for name in _MAY_DIFFER:
        now = column_of(stored, name)
        if now != column_of(sent, name):
            differ[name] = folded(now)
    return {"count": len(stored), "timestamp": stored[0].timestamp if stored else "", "differ": differ}


def records_of_answer(batch: Batch, data: Any) -> list[Record]:
    """Return the records of a batch as they are stored.

    Raises
    ------
    SerializationError
        When the answer is of another batch.

    """
    sent = _in_order(batch)
    match data:
        case {"count": int(count), "timestamp": str(stamp), "differ": dict(differ)} if count == len(
            sent
        ) and differ.keys() <= set(_MAY_DIFFER):
            pass
        case _:
            raise SerializationError(f"The server did not answer what became of {len(sent)} records.")
    columns = {name: unfolded(name, column, count) for name, column in differ.items()}
    rows = zip(*columns.values(), strict=True) if columns else iter([()] * count)
    return [
        replace(record, timestamp=stamp, **dict(zip(columns, row, strict=True)))
        for record, row in zip(sent, rows, strict=True)
    ]


def _in_order(batch: Batch) -> list[Record]:
    return sorted((record for chunk in batch.chunks for record in chunk.records), key=lambda record: record.seq)
