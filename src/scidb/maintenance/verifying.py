"""Whether records are what they claim to be: their content, and the id that follows from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from scidb.exceptions import SciDBError, SerializationError
from scidb.hashing import ids
from scidb.records import stored_values
from scidb.store.model import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.store.model import Record

__all__ = ["contents", "expected_id", "parts", "stored_contents"]

_AT_ONCE: Final = 32 * 2**20
# What reading values can come to that a codec did not write: an encoding that is no JSON, data that do not fit it.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    MemoryError,
    pa.ArrowException,
)


def parts(chunk: Chunk) -> Iterator[Chunk]:
    """Cut a chunk into pieces whose values are not too much to have at once.

    They may keep the memory of the table: nobody gets them, and so nobody changes them.

    Raises
    ------
    SerializationError
        When the chunk has not one row for each of its records, all of one encoding.

    """
    table, count = chunk.table, len(chunk.records)
    if table is None or table.num_rows != count or len({record.encoding for record in chunk.records}) > 1:
        raise SerializationError("A chunk has one row for each of its records, all of one encoding; this has not.")
    # How large it is takes a walk through its columns.
    step = 1 if count == 1 else max(1, count * _AT_ONCE // max(1, table.nbytes))
    for start in range(0, count, step):
        yield Chunk(chunk.records[start : start + step], table.slice(start, step), given=True)


def contents(chunk: Chunk) -> list[object]:
    """Return the values of a chunk in stored form.

    Raises
    ------
    SerializationError
        When they are not what the encoding says, or the encoding is unknown here (code ``unknown_encoding``).

    """
    try:
        return stored_values(chunk)
    except SerializationError as error:
        if "codec" in error.details:
            raise SerializationError(str(error), **error.details, code="unknown_encoding") from error
        raise
    except _UNREADABLE as error:
        raise SerializationError(
            f"The values of {chunk.records[0].variable} cannot be read as what they are said to be "
            f"({type(error).__name__}). Is the client of another version of SciDB?",
            variable=chunk.records[0].variable,
        ) from error


def stored_contents(chunk: Chunk) -> list[str]:
    """Return the content hash of each value of a chunk.

    Raises
    ------
    SerializationError
        As `contents` does, or when a value is none that could have been stored.

    """
    try:
        return [ids.content_hash(value) for value in contents(chunk)]
    except SerializationError:
        raise
    except (SciDBError, *_UNREADABLE) as error:
        raise SerializationError(f"A value that was never stored so: {error}") from error


def expected_id(record: Record, identity: str) -> str:
    """Return the id that follows from the parts of a record.

    Raises
    ------
    SerializationError
        When its version keys are none.

    """
    try:
        version = json.loads(record.version_keys)
        return ids.record_id(identity, record.schema_version, record.content_hash, record.schema, version)
    except (ValueError, TypeError, AttributeError, SciDBError) as error:
        raise SerializationError(f"A record without proper version keys: {record.version_keys[:80]!r}.") from error
