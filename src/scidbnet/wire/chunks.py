"""Chunks as parts: their Arrow IPC bytes in slices, their records in the header of the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from scidb.exceptions import SerializationError
from scidb.store.model import Chunk
from scidbnet.wire.framing import part
from scidbnet.wire.records import records_from_json, records_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scidbnet.wire.framing import Bytes, Envelope

__all__ = ["PART_BYTES", "chunk_parts", "chunks_from", "table_bytes", "table_from"]

PART_BYTES: Final = 2**20
"""How long a slice of Arrow data is."""


def chunk_parts(chunk: Chunk, part_bytes: int = PART_BYTES) -> Iterator[list[Bytes]]:
    """Return a chunk as the parts of a stream."""
    header: dict[str, Any] = {"kind": "chunk", "records": records_to_json(chunk.records)}
    if chunk.table is None:
        yield part(header)
        return
    data = table_bytes(chunk.table)
    header |= {"format": "arrow", "nbytes": len(data)}
    for start in range(0, len(data), part_bytes):
        continued = start + part_bytes < len(data)
        yield part({**header, "continued": continued}, data[start : start + part_bytes])
        header = {"kind": "more"}


def table_bytes(table: pa.Table) -> memoryview:
    """Return a table as one Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def table_from(data: Bytes) -> pa.Table:
    """Return the table of an Arrow IPC stream, checked, without copying it.

    Raises
    ------
    SerializationError
        When it is none.

    """
    try:
        table = pa.ipc.open_stream(pa.py_buffer(data)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, ValueError, TypeError, OSError, IndexError, MemoryError) as error:
        raise SerializationError(f"The data are no Arrow stream: {str(error).splitlines()[0][:200]}.") from error
    return table


def chunks_from(parts: Iterable[Envelope], *, given: bool = False) -> Iterator[Chunk]:
    """Return the chunks that parts hold.

    Parameters
    ----------
    parts
        As `chunk_parts` writes them.
    given
        Whether a value may keep the memory of its table, which nobody else holds.

    Raises
    ------
    SerializationError
        When they hold something else.

    """
    waiting = iter(parts)
    for first in waiting:
        if first.kind != "chunk":
            raise SerializationError(f"A part of kind {first.kind!r} came where a chunk begins.")
        records = records_from_json(first.header.get("records"))
        if first.header.get("format") is None:
            yield Chunk(records, None)
            continue
        yield Chunk(records, table_from(_whole(first, waiting)), given=given)


def _whole(first: Envelope, waiting: Iterator[Envelope]) -> Bytes:
    """Join the slices of one Arrow stream; a single one is not copied."""
    nbytes = first.header.get("nbytes")
    if first.header.get("format") != "arrow" or type(nbytes) is not int:
        raise SerializationError("A chunk without the format arrow and its size in bytes.")
    if not first.header.get("continued"):
        whole: Bytes = first.body
    else:
        whole = bytearray(first.body)
        continued: object = True
        while continued:
            following = next(waiting, None)
            if following is None or following.kind != "more":
                raise SerializationError("A value that goes on in another part has none.")
            whole += following.body
            continued = following.header.get("continued")
    if len(whole) != nbytes:
        raise SerializationError(f"{len(whole)} bytes came of a value of {nbytes} bytes.")
    return whole
