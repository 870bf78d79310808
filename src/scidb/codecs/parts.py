"""Arrays and tables inside a container, as bytes beside its text.

The bytes are Arrow IPC streams end to end, one for the parts of each encoding, with the encoding and the
numbers of the parts in the metadata of the schema: any Arrow library reads them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.ipc

from scidb.codecs.base import decode, encode
from scidb.codecs.tagged import inside
from scidb.exceptions import SerializationError, UnsupportedValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.codecs.tagged import Part

__all__ = ["read_parts", "write_parts"]

_ENCODING: Final = b"scidb.encoding"
_NUMBERS: Final = b"scidb.parts"


def write_parts(parts: Sequence[Part]) -> pa.Buffer:
    """Return the bytes from which `read_parts` restores the values of the parts."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    for encoded in _encode(parts):
        said = {_ENCODING: encoded.encoding.encode(), _NUMBERS: json.dumps(encoded.positions).encode()}
        table = encoded.table.replace_schema_metadata(said)
        with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
            stream.write_table(table)
    return sink.getvalue()


def read_parts(data: pa.Buffer) -> list[Any]:
    """Restore the values of parts.

    Raises
    ------
    SerializationError
        When the bytes are not what `write_parts` made.

    """
    found: dict[int, Any] = {}
    source = pa.BufferReader(data)
    try:
        while source.tell() < data.size:
            table = pa.ipc.open_stream(source).read_all()
            table.validate(full=True)  # a list that claims to be longer than its items would read foreign memory
            found.update(_restore(table))
    except OSError as error:
        raise SerializationError(f"The arrays and tables in a stored value cannot be read: {error}.") from error
    return [found[number] for number in range(len(found))]


def _restore(table: pa.Table) -> zip[tuple[int, Any]]:
    said = table.schema.metadata or {}
    encoding = said[_ENCODING].decode()
    if json.loads(encoding).get("codec") == "nested":
        # A container is never a part of another, so that nothing can be nested without end.
        raise SerializationError("A stored value has a container where an array or a table was expected.")
    return zip(json.loads(said[_NUMBERS]), decode(encoding, table.replace_schema_metadata(None)), strict=True)


def _encode(parts: Sequence[Part]) -> list[Any]:
    try:
        return encode([part.value for part in parts])
    except UnsupportedValueError:
        for part in parts:
            try:
                encode([part.value])
            except UnsupportedValueError as error:
                raise inside(error, part.path) from None
        raise
