"""Answers that flow: chunks as they are found, no faster than they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from scidb.exceptions import SciDBError
from scidbnet.wire.chunks import chunk_parts
from scidbnet.wire.errors import error_to_json
from scidbnet.wire.framing import PARTS_TYPE, end, part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from scidb.store.model import Chunk
    from scidbnet.wire.framing import Bytes

__all__ = ["answer_in_parts"]

# What is given to a connection at once; it is asked for more when that is on its way.
_PIECE: Final = 2**22
# Less than this is not worth a way to a thread and back.
_HELD_BACK: Final = 2**18


async def answer_in_parts(chunks: Callable[[], Iterator[Chunk]], headers: Mapping[str, str]) -> Response:
    """Answer with chunks, which are asked for in threads, one window of them after the other.

    No thread waits for whoever reads: between two windows this is a few bytes in the loop of events, and so more
    readers may be slow than there are threads.
    """
    flowing = _gathered(chunks)
    first = await run_in_threadpool(next, flowing)
    if sum(map(len, first)) < _HELD_BACK:  # then it is all
        return Response(b"".join(first), media_type=PARTS_TYPE, headers=dict(headers))
    return StreamingResponse(_sent(first, flowing), media_type=PARTS_TYPE, headers=dict(headers))


async def _sent(first: list[Bytes], flowing: Iterator[list[Bytes]]) -> AsyncIterator[bytes | memoryview]:
    pieces: list[Bytes] | None = first
    del first
    while pieces is not None:
        for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                yield memoryview(piece)[start : start + _PIECE]
        del piece, pieces  # as below
        pieces = await run_in_threadpool(next, flowing, None)


def _gathered(chunks: Callable[[], Iterator[Chunk]]) -> Iterator[list[Bytes]]:
    """Return the bytes of chunks, some at once; only the last ones may be few."""
    held: list[Bytes] = []
    size = 0
    for pieces in _parts(chunks()):
        held += pieces
        size += sum(map(len, pieces))
        del pieces
        if size >= _HELD_BACK:
            yield held
            held, size = [], 0
    yield held


def _parts(chunks: Iterator[Chunk]) -> Iterator[list[Bytes]]:
    """Return the parts of chunks; what goes wrong once they have begun to flow is said in a part of its own."""
    count = 0
    try:
        while (chunk := next(chunks, None)) is not None:
            waiting = chunk_parts(chunk)
            del chunk  # the memory of a window must not be held while the next one is read
            for pieces in waiting:
                yield pieces
                del pieces
                count += 1
            del waiting
    except SciDBError as error:
        yield part({"kind": "error", "error": error_to_json(error)})
        return
    yield end(count)
