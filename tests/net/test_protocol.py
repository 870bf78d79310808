"""What comes before there is a request: endless, slow or without sense, it takes neither memory nor a connection."""

from __future__ import annotations

import asyncio
import functools
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from scidb.exceptions import LimitExceededError
from scidb.store.memory import MemoryStore
from scidbnet.server import store_app
from scidbnet.server.guard.protocol import LimitedProtocol, Strangers, limited
from scidbnet.server.settings import ServerSettings
from scidbnet.wire.versions import PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LIMIT = 4_000  # and what the protocol grants beyond it
HEAD = f"GET {PREFIX}/health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = f"POST {PREFIX}/store/register HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def _talk(sent: Callable[[], AsyncIterator[bytes]], seconds: float = 20.0) -> tuple[bytes, int]:
    """Return what a server answered until it hung up, and how many bytes it took until then."""

    async def talk() -> tuple[bytes, int]:
        config = uvicorn.Config(
            store_app(MemoryStore([]), ServerSettings(header_limit=LIMIT)),
            http=limited(LIMIT, seconds),
            ws="none",
            log_level="critical",
            lifespan="on",
        )
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        listener = socket.create_server(("127.0.0.1", 0))
        await server.startup(sockets=[listener])
        try:
            return await asyncio.wait_for(_exchange(listener.getsockname()[1], sent), 30)
        finally:
            await server.shutdown(sockets=[listener])

    return asyncio.run(talk())


async def _exchange(port: int, sent: Callable[[], AsyncIterator[bytes]]) -> tuple[bytes, int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = 0
    answer = asyncio.create_task(_until_the_end(reader))
    try:
        async for data in sent():
            writer.write(data)
            await asyncio.wait_for(writer.drain(), 10)
            taken += len(data)
    except ConnectionError:
        pass
    found = await answer
    writer.close()
    return found, taken


async def _until_the_end(reader: asyncio.StreamReader) -> bytes:
    found = b""
    try:
        while piece := await reader.read(65_536):
            found += piece
    except ConnectionError:
        pass
    return found


def _code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize(
    "start",
    [
        "GET /" + 10 * "a",
        HEAD + "X-Long: ",
        HEAD + "X-Name",
        POST + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Trailer: ",
        POST + "Transfer-Encoding: chunked\r\n\r\n2;extension=",
    ],
)
def test_what_never_ends_is_cut_off(start: str) -> None:
    """N5: an address, a header, a trailer or a chunk without end: the connection is closed after little."""

    async def endless() -> AsyncIterator[bytes]:
        yield start.encode()
        for _ in range(2_000):
            yield 16_384 * b"a"
            await asyncio.sleep(0)

    _, taken = _talk(endless)
    assert taken < 16_000_000  # of 32, most of it in buffers of the system


def test_headers_without_end_are_refused() -> None:
    """N5: many short headers are as much as a long one; the answer says why."""

    async def many() -> AsyncIterator[bytes]:
        yield HEAD.encode()
        for _ in range(1_000):
            yield 100 * b"X-One: 1\r\n"

    answer, _ = _talk(many)
    assert answer == b"" or _code(answer) == (431, "headers_too_large")


def test_a_slow_request_is_refused() -> None:
    """Whoever connects and sends nothing, or a letter now and then, is told so and cut off."""
    first = f"{HEAD}\r\n"

    async def slow(begin: str) -> AsyncIterator[bytes]:
        yield begin.encode()
        await asyncio.sleep(0.1)
        for letter in HEAD:
            yield letter.encode()
            await asyncio.sleep(0.03)

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    for sent in (nothing, functools.partial(slow, ""), functools.partial(slow, first)):
        answer, _ = _talk(sent, seconds=0.2)
        assert _code(answer[answer.rindex(b"HTTP/1.1") :]) == (408, "time_limit")


def test_what_is_right_passes() -> None:
    """One connection carries several requests, with bodies longer than any head may be."""
    body = json.dumps({"name": "Force", "description": 200_000 * "a"}).encode()

    async def two() -> AsyncIterator[bytes]:
        yield f"{POST}Content-Length: {len(body)}\r\n\r\n".encode() + body
        await asyncio.sleep(0.2)
        yield (
            f"{POST}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\nX-End: 1\r\n\r\n"
        )
        await asyncio.sleep(0.2)
        yield f"{HEAD}Connection: close\r\n\r\n".encode()

    assert _talk(two)[0].count(b"HTTP/1.1 200 OK") == 3


def test_a_head_that_is_somewhat_too_long_is_answered_as_others_are() -> None:
    """The application says so itself, with the audit and all."""

    async def long() -> AsyncIterator[bytes]:
        yield f"{HEAD}X-Long: {LIMIT * 'a'}\r\nConnection: close\r\n\r\n".encode()

    assert _code(_talk(long)[0]) == (431, "headers_too_large")


def test_limits_are_those_of_each_server() -> None:
    """Two servers in one process do not share a limit."""
    one, other = limited(1_000), limited(2_000, 1.0)
    found: list[Any] = [(kind.limit - 2**16, kind.seconds) for kind in (one, other)]

    assert found == [(1_000, LimitedProtocol.seconds), (2_000, 1.0)]


class _Connection:
    """A connection as far as it is counted."""

    def __init__(self, *, is_known: bool = False) -> None:
        self.is_known = is_known


def test_strangers_are_counted_by_network() -> None:
    """Whoever has shown that he may ask does not count; one network does not take the places of another."""
    strangers: Any = Strangers(2)
    first, second = _Connection(), _Connection()
    for one in (first, second):
        strangers.add(one, "192.0.2.7")
    with pytest.raises(LimitExceededError, match="2 connections"):
        strangers.add(_Connection(), "192.0.2.7")
    strangers.add(_Connection(), "192.0.2.8")
    first.is_known = True
    third = _Connection()
    strangers.add(third, "192.0.2.7")
    with pytest.raises(LimitExceededError):
        strangers.add(_Connection(), "192.0.2.7")
    strangers.remove(third, "192.0.2.7")
    strangers.add(_Connection(), "192.0.2.7")


def test_connections_that_say_nothing_are_limited_in_number() -> None:
    """The one too many is told so and cut off; those who ask are answered, also on more connections than that."""

    async def talk() -> tuple[list[bytes], bytes]:
        config = uvicorn.Config(store_app(MemoryStore([])), http=limited(LIMIT, strangers=3), log_level="critical")
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        listener = socket.create_server(("127.0.0.1", 0))
        await server.startup(sockets=[listener])
        port = listener.getsockname()[1]
        answers, writers = [], []
        try:
            for _ in range(8):  # each stays open
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(f"{HEAD}\r\n".encode())
                answers.append(await asyncio.wait_for(reader.readuntil(b"}"), 20))
                writers.append(writer)
            writers += [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(3)]
            await asyncio.sleep(0.1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            return answers, await asyncio.wait_for(_until_the_end(reader), 20)
        finally:
            for writer in writers:
                writer.close()
            await server.shutdown(sockets=[listener])

    answers, refused = asyncio.run(talk())

    assert all(b" 200 OK" in one for one in answers)
    assert _code(refused) == (429, "too_many_requests")
