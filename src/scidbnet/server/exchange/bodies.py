"""Bodies of requests: received whole, in memory or in a temporary file, before anybody waits for them."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import mmap
import tempfile
from contextlib import asynccontextmanager, contextmanager
from typing import IO, TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from scidb.exceptions import LimitExceededError, SerializationError
from scidbnet.wire.batches import batch_digest
from scidbnet.wire.compression import ZSTD, Decompressed
from scidbnet.wire.framing import PARTS_TYPE, new_memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

    from scidbnet.server.settings import ServerSettings
    from scidbnet.wire.framing import Bytes, Filling

__all__ = ["Body", "Spool"]


# How many bodies of the greatest length that may stand in memory do so at once; more wait in files.
_IN_MEMORY: Final = 2
# A body of unknown length is moved to a file from here on.
_UNKNOWN: Final = 16 * 2**20
# What is written to a file at once.
_WRITTEN: Final = 2**20
# How many bodies are decompressed at once, each with a window of up to 128 MiB.
_DECOMPRESSING: Final = 4
# How much of one is, between two looks at the limits.
_STEP: Final = 4 * 2**20


class Body:
    """A body that was received: its bytes, which nobody changes."""

    def __init__(self, data: memoryview, *, in_parts: bool = False) -> None:
        self.data = data
        self._in_parts = in_parts

    @functools.cached_property
    def digest(self) -> str:
        """What tells it from another body; of a long batch, see `batch_digest`."""
        if self._in_parts:
            return batch_digest(self.data)
        return hashlib.sha256(self.data).hexdigest()


class Spool:
    """Where bodies wait until they are whole: in memory, from some length on in a file, all within a quota."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._waiting = 0
        self._in_memory = 0
        self._decompressing = asyncio.Semaphore(_DECOMPRESSING)

    @property
    def waiting(self) -> int:
        """How many bytes wait now."""
        return self._waiting

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Body]:
        """Give a body once it is whole, as it was before it was compressed.

        Raises
        ------
        LimitExceededError
            When it is too long, by what it claims, by what comes or by what that is decompressed, or too much is being
            received.
        SerializationError
            When it stops before its end, or is not compressed as it says.

        """
        headers = request.headers
        in_parts = headers.get("content-type", "").startswith(PARTS_TYPE)
        async with self._received(request) as came:
            if headers.get("content-encoding", "").strip().lower() != ZSTD:
                yield Body(came.whole(), in_parts=in_parts)
                return
            async with self._decompressed(came.whole()) as plain:
                self._free(came)
                yield Body(plain.whole(), in_parts=in_parts)

    @asynccontextmanager
    async def _received(self, request: Request) -> AsyncIterator[_Receiving]:
        claimed = _claimed(request)
        self._check(claimed or 0)
        with self._place(claimed) as place:
            async for piece in _pieces(request, self._settings.idle_timeout):
                self._waiting += len(piece)
                self._check(place.length + len(piece))
                if place.add(piece):
                    await run_in_threadpool(place.roll)
            yield place

    @asynccontextmanager
    async def _decompressed(self, whole: memoryview) -> AsyncIterator[_Receiving]:
        with self._place(None) as place:
            async with self._decompressing:
                source = Decompressed(whole)
                del whole
                while count := await run_in_threadpool(place.fill, source, _STEP):
                    self._waiting += count
                    self._check(place.length)
            del source  # and with it what was compressed
            yield place

    @contextmanager
    def _place(self, claimed: int | None) -> Iterator[_Receiving]:
        room = self._room(claimed)
        self._in_memory += room
        place = _Receiving(room, of_known_length=claimed is not None)
        try:
            yield place
        finally:
            self._free(place)

    def _free(self, place: _Receiving) -> None:
        """Keep nothing of what waited there, which may be done twice."""
        self._in_memory -= place.room
        self._waiting -= place.length
        place.close()

    def _room(self, claimed: int | None) -> int:
        """Return how much of a body may stand in memory: all or, when it waits in a file, nothing."""
        length = min(_UNKNOWN, self._settings.memory_limit) if claimed is None else claimed
        longest = self._settings.memory_limit
        return length if length <= longest and self._in_memory + length <= _IN_MEMORY * longest else 0

    def _check(self, length: int) -> None:
        limit = self._settings.body_limit
        if length > limit:
            raise LimitExceededError(f"A body of {length} bytes or more is longer than {limit} bytes.", limit=limit)
        if self._waiting > self._settings.spool_limit:
            raise LimitExceededError("The server is receiving too much at once. Try again later.")


def _claimed(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else None


async def _pieces(request: Request, idle_timeout: float) -> AsyncIterator[bytes]:
    has_more = True
    while has_more:
        try:
            async with asyncio.timeout(idle_timeout):
                message = await request.receive()
        except TimeoutError as error:
            raise SerializationError(f"Nothing more of the request came for {idle_timeout:g} s.") from error
        if message["type"] == "http.disconnect":
            raise SerializationError("The client went away before its request was whole.")
        has_more = message.get("more_body", False)
        yield message.get("body", b"")


class _Receiving:
    """A body on its way: into memory that is taken once, or into a file."""

    def __init__(self, room: int, *, of_known_length: bool) -> None:
        self._memory: memoryview | bytearray = new_memory(room) if of_known_length and room else bytearray()
        self.room = room
        self._file: IO[bytes] | None = None
        self.length = 0

    def add(self, piece: Bytes) -> bool:
        """Take a piece, and say whether it is time to `roll`."""
        start, self.length = self.length, self.length + len(piece)
        if isinstance(self._memory, memoryview):
            self._memory[start : self.length] = piece
            return False
        self._memory += piece
        return self.length > self.room and len(self._memory) >= _WRITTEN

    def roll(self) -> None:
        """Move what is in memory to the file."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="scidb-")  # noqa: SIM115 - closed by close()
        self._file.write(self._memory)
        self._memory = bytearray()

    def fill(self, source: Filling, most: int) -> int:
        """Take what a source gives, some of it, and say how much; nothing only at its end."""
        start = self.length
        room = memoryview(bytearray(_WRITTEN))
        while self.length - start < most and (count := source.readinto(room)):
            if self.add(room[:count]):
                self.roll()
        return self.length - start

    def whole(self) -> memoryview:
        """Return all of it."""
        if self._file is None:
            return memoryview(self._memory)[: self.length]
        self.roll()
        self._file.flush()
        # Can be written to without reaching the file, which spares whoever looks at its numbers a copy.
        return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY))

    def close(self) -> None:
        """Forget it. Whoever looks into it keeps it: the map itself goes with the last table."""
        if self._file is not None:
            self._file.close()
        self._memory = bytearray()
        self._file, self.room, self.length = None, 0, 0
