"""Chunks as parts: their Arrow IPC bytes in slices, their records in the header of the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from scidb.exceptions import SerializationError
from scidb.store.columns import RecordColumns
from scidb.store.gather import Elements, gathered_type
from scidb.store.model import Chunk
from scidb.store.unread import NotInPieces, Unread
from scidbnet.wire.framing import new_memory, part
from scidbnet.wire.records import records_from_columns, records_from_json, records_to_columns, records_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scidbnet.wire.framing import Bytes, Envelope

__all__ = ["PART_BYTES", "chunk_parts", "chunks_from", "table_bytes", "table_from", "table_pieces"]

PART_BYTES: Final = 2**28
"""How long a part is at most; a longer value goes on in the next one, and is put together with one more copy."""


def chunk_parts(chunk: Chunk, part_bytes: int = PART_BYTES, *, by_column: bool = False) -> Iterator[list[Bytes]]:
    """Return a chunk as the parts of a stream; they look into the memory of its table.

    Many records may come as Arrow before their data, `by_column`, where nobody has to know them from the header alone.

    A large value that has not been read yet comes in its elements, as they are read. When it turns out that they do
    not come in order, a part of kind ``again`` says so, and then it comes like all others.
    """
    if isinstance(chunk, Unread):
        try:
            yield from _element_parts(chunk, part_bytes)
        except NotInPieces:
            yield part({"kind": "again"})
        else:
            return
    yield from _table_parts(chunk, part_bytes, by_column=by_column)


def _element_parts(chunk: Unread, part_bytes: int) -> Iterator[list[Bytes]]:
    missing = chunk.value.count()
    header = {"kind": "chunk", "records": records_to_json(chunk.records), "format": "elements", "count": missing}
    yield part({**header, "continued": missing > 0}, *table_pieces(chunk.value.schema().empty_table()))
    for batch in chunk.value.pieces():
        if batch.nbytes > part_bytes:
            raise NotInPieces
        missing -= batch.num_rows
        yield part({"kind": "more", "continued": missing > 0}, *table_pieces(pa.Table.from_batches([batch])))


def _table_parts(chunk: Chunk, part_bytes: int, *, by_column: bool) -> Iterator[list[Bytes]]:
    header: dict[str, Any] = {"kind": "chunk"}
    if chunk.table is None:
        yield part(header | {"records": records_to_json(chunk.records)})
        return
    pieces: list[memoryview] = []
    if by_column and isinstance(chunk.records, RecordColumns) and len(chunk.records) >= _MANY:
        described, table = records_to_columns(chunk.records)
        pieces += table_pieces(table)
        header["records"] = described | {"nbytes": sum(map(len, pieces))}
    else:
        header["records"] = records_to_json(chunk.records)
    pieces += table_pieces(chunk.table)
    missing = sum(map(len, pieces))
    header |= {"format": "arrow", "nbytes": missing}
    for body in _slices(pieces, part_bytes):
        missing -= sum(map(len, body))
        yield part({**header, "continued": missing > 0}, *body)
        header = {"kind": "more"}


def _slices(pieces: Iterable[memoryview], length: int) -> Iterator[list[memoryview]]:
    """Cut bytes that are in pieces into slices of one length, the last one shorter."""
    body: list[memoryview] = []
    room = length
    for piece in pieces:
        rest = piece
        while len(rest) > room:
            yield [*body, rest[:room]]
            body, rest, room = [], rest[room:], length
        body.append(rest)
        room -= len(rest)
    yield body


def table_pieces(table: pa.Table) -> list[memoryview]:
    """Return a table as one Arrow IPC stream, in pieces that look into the memory of the table."""
    sink = _Collected()
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), table.schema) as writer:
        writer.write_table(table)
    return sink.joined()


def table_bytes(table: pa.Table) -> memoryview:
    """Return a table as one Arrow IPC stream."""
    pieces = table_pieces(table)
    return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))


class _Collected:
    """A file as Arrow writes one, which keeps what it is given instead of copying it."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[memoryview] = []

    def write(self, piece: bytes | pa.Buffer) -> int:
        """Keep a piece, which nobody changes."""
        view = memoryview(piece)
        self._pieces.append(view)
        return len(view)

    def flush(self) -> None:
        """Do nothing; all is there."""

    def close(self) -> None:
        """Do nothing; what was written is still needed."""

    def joined(self) -> list[memoryview]:
        """Return what was written; small pieces that follow each other are one."""
        joined: list[memoryview] = []
        small: list[memoryview] = []
        for piece in self._pieces:
            if len(piece) < _SMALL:
                small.append(piece)
                continue
            if small:
                joined.append(memoryview(b"".join(small)))
                small = []
            joined.append(piece)
        return [*joined, memoryview(b"".join(small))] if small else joined


_SMALL: Final = 2**14
# To read a table takes as long as the JSON of so many records.
_MANY: Final = 32
_TEXTS: Final = (pa.large_string(), pa.large_binary())


def table_from(data: Bytes) -> pa.Table:
    """Return the table of an Arrow IPC stream, checked, without copying it.

    Its numbers can be written to if the data can be: a value that may keep its memory need not copy them.

    Raises
    ------
    SerializationError
        When it is none.

    """
    memory = pa.py_buffer(data)
    try:
        table = pa.ipc.open_stream(memory).read_all()
        table.validate(full=True)
    except (pa.ArrowException, ValueError, TypeError, OSError, IndexError, MemoryError) as error:
        raise SerializationError(f"The data are no Arrow stream: {str(error).splitlines()[0][:200]}.") from error
    if not memory.is_mutable:
        return table
    columns = [[_in_place(part, memory) for part in column.chunks] for column in table.columns]
    chunked = [pa.chunked_array(parts, field.type) for parts, field in zip(columns, table.schema, strict=True)]
    return pa.Table.from_arrays(chunked, schema=table.schema) if chunked else table


def _in_place(column: pa.Array, memory: pa.Buffer) -> pa.Array:
    """Return a column whose numbers are the memory itself, where Arrow reads them as what nobody may change."""
    kind = column.type
    if pa.types.is_large_list(kind):
        missing, offsets = column.buffers()[:2]
        inner = [_in_place(column.values, memory)]
        return pa.Array.from_buffers(kind, len(column), [missing, offsets], column.null_count, column.offset, inner)
    if not pa.types.is_integer(kind) and not pa.types.is_floating(kind):
        return column
    missing, numbers = column.buffers()
    at = -1 if numbers is None else numbers.address - memory.address
    if at < 0 or at + numbers.size > memory.size:  # it was compressed, or there is nothing
        return column
    own = pa.py_buffer(memoryview(memory)[at : at + numbers.size])
    return pa.Array.from_buffers(kind, len(column), [missing, own], column.null_count, column.offset)


def chunks_from(parts: Iterable[Envelope], *, given: bool = False) -> Iterator[Chunk]:
    """Return the chunks that parts hold.

    Parameters
    ----------
    parts
        As `chunk_parts` writes them.
    given
        Whether a value may keep the memory of its table, which nobody else holds; such a value may come in elements,
        and its records by column.

    Raises
    ------
    SerializationError
        When they hold something else.

    """
    waiting = iter(parts)
    for first in waiting:
        if first.kind != "chunk":
            raise SerializationError(f"A part of kind {first.kind!r} came where a chunk begins.")
        described = first.header.get("records")
        if given and isinstance(described, dict) and "nbytes" in described:
            yield _by_column(described, memoryview(_whole(first, waiting)))
            continue
        records = records_from_json(described)
        if first.header.get("format") is None:
            yield Chunk(records, None)
            continue
        if first.header["format"] == "elements" and given:
            gathered = _from_elements(first, waiting)
            if gathered is not None:
                yield Chunk(records, gathered, given=True)
            continue
        yield Chunk(records, table_from(_whole(first, waiting)), given=given)


def _by_column(described: dict[str, Any], whole: memoryview) -> Chunk:
    """Return a chunk whose records come as Arrow before its data."""
    nbytes = described["nbytes"]
    if type(nbytes) is not int or not 0 <= nbytes <= len(whole):
        raise SerializationError("Records as Arrow do not say how many bytes they are.")
    records = records_from_columns(described, table_from(whole[:nbytes]))
    return Chunk(records, table_from(whole[nbytes:]), given=True)


def _from_elements(first: Envelope, waiting: Iterator[Envelope]) -> pa.Table | None:
    """Put a value together from its elements; None when it is to come again."""
    count, schema = first.header.get("count"), table_from(first.body).schema
    kinds = [gathered_type(_element_type(field.type)) for field in schema]
    if type(count) is not int or count < 0:
        raise SerializationError("A value in elements does not say how many there are.")
    elements = _room_for(kinds, count)
    one, came = first, 0
    while one.header.get("continued"):
        following = next(waiting, None)
        if following is not None and following.kind == "again":
            return None
        if following is None or following.kind != "more":
            raise SerializationError("A value that goes on in another part has none.")
        one, piece = following, table_from(following.body)
        if [gathered_type(kind) for kind in piece.schema.types] != kinds:
            raise SerializationError("Elements of other types than announced came.")
        for batch in piece.to_batches():
            elements.extend(batch.columns)
            came += batch.num_rows
    lists = elements.lists()
    if lists is None:
        raise SerializationError(f"{came} elements came of a value of {count}.")
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(lists, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _element_type(kind: pa.DataType) -> pa.DataType:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise SerializationError(f"A value in elements has a column of {kind}, which has none.")
    return kind.value_type


def _room_for(kinds: Sequence[pa.DataType], count: int) -> Elements:
    for kind in kinds:
        if not (pa.types.is_primitive(kind) or kind in _TEXTS):
            raise SerializationError(f"Elements of the type {kind} cannot be put together.")
    try:
        return Elements(np.zeros(1, np.int64), kinds, count)
    except (MemoryError, ValueError) as error:
        raise SerializationError(f"There is no room for a value of {count} elements.") from error


def _whole(first: Envelope, waiting: Iterator[Envelope]) -> Bytes:
    """Join the slices of one Arrow stream; a single one is not copied."""
    nbytes = first.header.get("nbytes")
    if first.header.get("format") != "arrow" or type(nbytes) is not int:
        raise SerializationError("A chunk without the format arrow and its size in bytes.")
    if not first.header.get("continued"):
        whole: Bytes = first.body
        count = len(whole)
    else:
        whole, count = _joined(first, waiting, nbytes)
    if count != nbytes:
        raise SerializationError(f"{count} bytes came of a value of {nbytes} bytes.")
    return whole


def _joined(first: Envelope, waiting: Iterator[Envelope], nbytes: int) -> tuple[Bytes, int]:
    whole, count = new_memory(nbytes), 0
    one = first
    while True:
        length = len(one.body)
        if length > nbytes - count:
            raise SerializationError(f"{count + length} bytes or more came of a value of {nbytes} bytes.")
        whole[count : count + length] = one.body
        count += length
        if not one.header.get("continued"):
            return whole, count
        following = next(waiting, None)
        if following is None or following.kind != "more":
            raise SerializationError("A value that goes on in another part has none.")
        one = following
