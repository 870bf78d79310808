"""Bodies of requests: received whole, in memory or in a temporary file, before anybody waits for them."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import tempfile
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from scidb.exceptions import LimitExceededError, SerializationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from scidbnet.server.settings import ServerSettings

__all__ = ["Body", "Spool"]


class Body:
    """A body that was received: its bytes, which nobody changes, and their digest."""

    def __init__(self, data: memoryview, digest: str) -> None:
        self.data, self.digest = data, digest


class Spool:
    """Where bodies wait until they are whole: in memory, from some length on in a file, all within a quota."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many bytes wait now."""
        return self._waiting

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Body]:
        """Give a body once it is whole.

        Raises
        ------
        LimitExceededError
            When it is too long, by what it claims or by what comes, or too much is being received.
        SerializationError
            When it stops before its end.

        """
        receiving = _Receiving(self._settings)
        try:
            self._check(_claimed(request))
            async for piece in _pieces(request, self._settings.idle_timeout):
                self._waiting += len(piece)
                self._check(receiving.length + len(piece))
                await receiving.add(piece)
            yield receiving.whole()
        finally:
            self._waiting -= receiving.length
            receiving.close()

    def _check(self, length: int) -> None:
        limit = self._settings.body_limit
        if length > limit:
            raise LimitExceededError(f"A body of {length} bytes or more is longer than {limit} bytes.", limit=limit)
        if self._waiting > self._settings.spool_limit:
            raise LimitExceededError("The server is receiving too much at once. Try again later.")


def _claimed(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


async def _pieces(request: Request, idle_timeout: float) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(idle_timeout):
                piece = await anext(stream, None)
        except ClientDisconnect as error:
            raise SerializationError("The client went away before its request was whole.") from error
        except TimeoutError as error:
            raise SerializationError(f"Nothing more of the request came for {idle_timeout:g} s.") from error
        if piece is None:
            return
        yield piece


class _Receiving:
    """A body on its way."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._mapped: Any = None
        self._digest = hashlib.sha256()
        self.length = 0

    async def add(self, piece: bytes) -> None:
        self.length += len(piece)
        self._digest.update(piece)
        self._memory += piece
        if len(self._memory) > self._settings.memory_limit:
            await run_in_threadpool(self._roll)

    def _roll(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="scidb-")  # noqa: SIM115 - closed by close()
        self._file.write(self._memory)
        self._memory = bytearray()

    def whole(self) -> Body:
        if self._file is None:
            return Body(memoryview(self._memory).toreadonly(), self._digest.hexdigest())
        self._roll()
        self._file.flush()
        self._mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return Body(memoryview(self._mapped), self._digest.hexdigest())

    def close(self) -> None:
        # The map itself goes with the last table that looks into it.
        if self._file is not None:
            self._file.close()
