"""Answers that flow: chunks as they are found, no faster than they are read."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from scidb.exceptions import SciDBError
from scidbnet.wire.chunks import chunk_parts
from scidbnet.wire.errors import error_to_json
from scidbnet.wire.framing import PARTS_TYPE, end, part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping

    from scidb.store.model import Chunk
    from scidbnet.wire.framing import Bytes

__all__ = ["answer_flowing", "answer_in_parts"]

# What is given to a connection at once; it is asked for more when that is on its way.
_PIECE: Final = 2**22
# Less than this is not worth a way to a thread and back.
_HELD_BACK: Final = 2**18


async def answer_in_parts(chunks: Callable[[], Iterator[Chunk]], headers: Mapping[str, str]) -> Response:
    """Answer with chunks, which are asked for in threads, one window of them after the other.

    No thread waits for whoever reads: between two windows this is a few bytes in the loop of events, and so more
    readers may be slow than there are threads.
    """
    return await answer_flowing(lambda: _parts_of(chunks()), headers)


async def answer_flowing(
    parts: Callable[[], Iterator[list[Bytes]]],
    headers: Mapping[str, str],
    held_back: int = _HELD_BACK,
    patience: float | None = None,
) -> Response:
    """Answer with parts of any kind, likewise; what goes wrong before the first one is the answer.

    Who takes nothing for so many seconds (`patience`) gets no more: what is held for him hinders others.
    """
    flowing = _gathered(parts, held_back)
    first = await run_in_threadpool(next, flowing)
    if sum(map(len, first)) < held_back:  # then it is all
        return Response(b"".join(first), media_type=PARTS_TYPE, headers=dict(headers))
    return StreamingResponse(_sent(first, flowing, patience), media_type=PARTS_TYPE, headers=dict(headers))


async def _sent(
    first: list[Bytes], flowing: Generator[list[Bytes], None, None], patience: float | None
) -> AsyncIterator[bytes | memoryview]:
    pieces: list[Bytes] | None = first
    del first
    try:
        while pieces is not None:
            for piece in pieces:
                for start in range(0, len(piece), _PIECE):
                    with _closed_after(flowing, patience):
                        yield memoryview(piece)[start : start + _PIECE]
            del piece, pieces  # as below
            pieces = await run_in_threadpool(next, flowing, None)
    finally:
        # Whoever went away must not keep what was held for him.
        flowing.close()


@contextmanager
def _closed_after(flowing: Generator[list[Bytes], None, None], patience: float | None) -> Iterator[None]:
    """Let nothing more flow when this takes longer; without its end, a stream was cut."""
    timer = None if patience is None else asyncio.get_running_loop().call_later(patience, flowing.close)
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()


def _gathered(parts: Callable[[], Iterator[list[Bytes]]], held_back: int) -> Generator[list[Bytes], None, None]:
    """Return the bytes of parts, some at once; only the last ones may be few."""
    held: list[Bytes] = []
    size = 0
    for pieces in _ended(parts()):
        held += pieces
        size += sum(map(len, pieces))
        del pieces
        if size >= held_back:
            yield held
            held, size = [], 0
    if held:
        yield held


def _parts_of(chunks: Iterator[Chunk]) -> Iterator[list[Bytes]]:
    while (chunk := next(chunks, None)) is not None:
        waiting = chunk_parts(chunk, by_column=True)
        del chunk  # the memory of a window must not be held while the next one is read
        for pieces in waiting:
            yield pieces
            del pieces
        del waiting


def _ended(parts: Iterator[list[Bytes]]) -> Iterator[list[Bytes]]:
    """Return parts and their end; what goes wrong once they have begun to flow is said in a part of its own."""
    count = 0
    try:
        while (pieces := next(parts, None)) is not None:
            yield pieces
            del pieces
            count += 1
    except SciDBError as error:
        yield part({"kind": "error", "error": error_to_json(error)})
        return
    yield end(count)
