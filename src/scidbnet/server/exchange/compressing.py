"""Answers as zstd, for whoever asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders

from scidbnet.wire.compression import COMPRESSED_FROM, ZSTD, Compressor, can_compress, wants_zstd

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from scidbnet.wire.framing import Bytes

__all__ = ["Compressing"]

# Compressing less takes less time than a way to a thread and back.
_AT_ONCE: Final = 2**15


class Compressing:
    """A middleware that compresses the answer when the request accepts zstd by name, and when there is enough of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._can = can_compress()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and compress what comes back."""
        if scope["type"] == "http" and self._can and wants_zstd(Headers(scope=scope).get("accept-encoding", "")):
            send = _Answer(send).send
        await self._app(scope, receive, send)


class _Answer:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._compressor: Compressor | None = None

    async def send(self, message: Message) -> None:
        """Keep the start of an answer until it is known whether to compress, and then pass all on."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, has_more = message.get("body", b""), message.get("more_body", False)
        if self._start and not has_more and len(body) < COMPRESSED_FROM:
            await self._begin()
            await self._send(message)
            return
        compressor = self._compressor = self._compressor or Compressor()
        if len(body) < _AT_ONCE:
            ready = _compressed(compressor, body, has_more=has_more)
        else:
            ready = await run_in_threadpool(_compressed, compressor, body, has_more=has_more)
        if self._start:
            await self._begin(None if has_more else len(ready), is_compressed=True)
        if ready or not has_more:
            await self._send({"type": "http.response.body", "body": ready, "more_body": has_more})

    async def _begin(self, length: int | None = None, *, is_compressed: bool = False) -> None:
        headers = MutableHeaders(raw=list(self._start["headers"]))
        headers.add_vary_header("Accept-Encoding")
        if is_compressed:
            headers["Content-Encoding"] = ZSTD
            del headers["Content-Length"]
            if length is not None:
                headers["Content-Length"] = str(length)
        start, self._start = {**self._start, "headers": headers.raw}, {}
        await self._send(start)


def _compressed(compressor: Compressor, body: Bytes, *, has_more: bool) -> bytes:
    ready = compressor.add(body)
    return b"".join(ready if has_more else [*ready, *compressor.end()])
