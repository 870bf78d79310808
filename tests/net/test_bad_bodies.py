"""Bodies that are not what they say (N5): refused with a code, in bounded time and memory, while others are served."""

from __future__ import annotations

import functools
import json
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.net.serving import serve

from scidb.store.model import Batch, SchemaKey, Tagged, Tags
from scidbnet.client import HttpStore
from scidbnet.wire.batches import batch_bytes
from scidbnet.wire.framing import PARTS_TYPE, end, part

if TYPE_CHECKING:
    from collections.abc import Iterable

WHOLE = b"".join(batch_bytes(Batch(events=(Tagged("submitted"),))))
PARTS = b"".join(piece for piece in part({"kind": "chunk", "records": None}, b"x" * 50))


@functools.cache
def address() -> str:
    """Return a database that takes little and is not patient, for all tests of this page."""
    return serve([SchemaKey("subject", "int")], body_limit=2**20, idle_timeout=0.5)


@pytest.fixture(autouse=True)
def _still_serving() -> Iterable[None]:
    """Find the server there after each test, and nothing stored."""
    yield
    with closing(HttpStore(address())) as store:
        assert store.find(Tags()) == []


def answer(body: bytes, *headers: str, verb: str = "write", ends: bool = False) -> tuple[int, str]:
    """Send a request by hand and return the status and the code of what is answered; nothing is (0, "")."""
    parts = urlsplit(address())
    said = [
        f"POST {parts.path}/api/v1/store/{verb} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Content-Type: {PARTS_TYPE if verb == 'write' else 'application/json'}",
        *headers,
    ]
    with closing(socket.create_connection((parts.hostname, parts.port), timeout=10)) as connection:
        connection.sendall("\r\n".join([*said, "", ""]).encode() + body)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        read = b""
        while b"\r\n\r\n" not in read or not read.endswith((b"}", b"received.")):
            more = connection.recv(65536)
            if not more:
                break
            read += more
    if not read:
        return 0, ""
    head, _, text = read.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(text)["code"] if text.startswith(b"{") else ""


def length(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


@pytest.mark.parametrize(
    "body",
    [
        WHOLE[:-1],
        WHOLE[:7],
        WHOLE[:2],
        b"",
        WHOLE + b"x",
        b"\xff" * 100,
        b"\xff\xff\xff\xff{}",
        b"\x00\x00\x00\x02{}" + PARTS,
        b"\x00\x00\x00\x02{}" + PARTS + b"".join(end(1)),
        b"\x00\x00\x00\x02[]" + b"".join(end(0)),
        b"\x00\x00\x00\x02{}" + b"".join(end(1)),
        b"\x00\x00\x00\x02{}\xff\xff\xff\xff",
        b"\x00\x00\x00\x02{}\x00\x00\x00\x08\xff\xff\xff\xff{}{}",
    ],
)
def test_garbage_is_refused(body: bytes) -> None:
    """A body that is cut, goes on too long, or holds something else is an error of the client's (N5)."""
    assert answer(body, length(body))[0] in {400, 413}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000, b'{"kind":"Latest","match":1}']
)
def test_a_question_that_is_none_is_refused(body: bytes) -> None:
    """What is no JSON, or not that of a question, is an error of the client's (N5)."""
    assert answer(body, length(body), verb="find") == (400, "serialization")


def test_a_body_that_is_too_long_is_refused_before_it_comes() -> None:
    """5 GiB that are announced, and a length that no machine has, are refused at once (N5)."""
    for claimed in (5 * 2**30, 10**18):
        assert answer(b"", f"Content-Length: {claimed}") == (413, "limit_exceeded")


@pytest.mark.parametrize("claimed", ["-1", "x", "0x10", "1e3", "9" * 40])
def test_a_length_that_is_none_is_refused(claimed: str) -> None:
    """A length that is no number never begins a body: what is not HTTP comes to nobody (N5)."""
    assert answer(b"", f"Content-Length: {claimed}") == (400, "")


def test_a_body_without_an_end_is_cut_off() -> None:
    """Chunks that never end are refused once they are more than may come (N5)."""
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"

    assert answer(chunk * 17, "Transfer-Encoding: chunked") == (413, "limit_exceeded")


def test_a_body_that_stops_coming_is_not_waited_for() -> None:
    """After the idle time the client hears that nothing more came, whatever length it announced (N5)."""
    started = time.monotonic()

    assert answer(WHOLE[:-1], length(WHOLE)) == (400, "serialization")

    assert time.monotonic() - started < 8


def test_a_body_that_is_cut_leaves_nothing() -> None:
    """Who goes away in the middle of a body gets no answer that counts, and nothing of it stays (N5)."""
    assert answer(WHOLE[:-1], length(WHOLE), ends=True)[0] in {0, 400}
