"""zstd, when both ends want it: the same values in fewer bytes, and a bomb is refused before it goes off."""

from __future__ import annotations

import functools
import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pyarrow as pa
import pytest
from tests.net.inprocess import Client
from tests.net.serving import serve

import scidb
from scidb import BaseVariable, DatabaseManager
from scidb.exceptions import NetworkError, SerializationError
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, Latest, Match, SchemaKey, Tagged, Tags
from scidbnet.client import HttpStore
from scidbnet.client.transport import Transport
from scidbnet.server import store_app
from scidbnet.wire.batches import batch_bytes
from scidbnet.wire.compression import ZSTD, Decompressed, compressed, wants_zstd
from scidbnet.wire.framing import PARTS_TYPE
from scidbnet.wire.messages import FETCHED
from scidbnet.wire.plain import to_text

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = [SchemaKey("subject", "int")]
JSON = {"Content-Type": "application/json"}
LIMIT = 2**20


class Smooth(BaseVariable):
    """Values that compress well."""


@functools.cache
def address() -> str:
    """Return a server that takes bodies of 1 MiB."""
    return serve(KEYS, body_limit=LIMIT)


def squeezed(*pieces: bytes) -> bytes:
    return b"".join(compressed(pieces))


def ask(body: bytes, headers: Mapping[str, str], verb: str = "find") -> httpx.Response:
    return httpx.post(f"{address()}/api/v1/store/{verb}", content=body, headers={**JSON, **headers}, timeout=30)


TAGS = b'{"kind": "Tags"}'
LONG = TAGS + b" " * 100_000


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("zstd", True),
        ("gzip, ZSTD;q=0.5", True),
        ("", False),
        ("*", False),
        ("identity", False),
        ("zstd; q=0", False),
        ("xzstd", False),
    ],
)
def test_who_asks_by_name_gets_zstd(asked: str, wanted: bool) -> None:
    """The header is read as HTTP has it."""
    assert wants_zstd(asked) is wanted


def test_values_travel_compressed_both_ways() -> None:
    """A client that compresses sends and gets the same values in fewer bytes, large and small ones."""
    target = serve(KEYS)
    with scidb.open(target) as plain, DatabaseManager(HttpStore.open(target, compress=True)) as small:
        value = np.round(np.sin(np.arange(500_000) / 1000), 3)
        Smooth.save(value, subject=1, db=small)
        Smooth.save(1.5, subject=2, db=small)
        for db in (plain, small):
            assert np.array_equal(Smooth.load(subject=1, db=db).data, value)
            assert Smooth.load(subject=2, db=db).data == 1.5


def fetched(*, compress: bool) -> tuple[Mapping[str, str], int]:
    """Return the headers of a long answer, and its length on the way."""
    headers = {**JSON, "Accept-Encoding": ZSTD if compress else "identity"}
    body = to_text(FETCHED.write(Latest(Match(variables=("Smooth",)))))
    with httpx.stream("POST", f"{filled()}/api/v1/store/fetch", content=body, headers=headers) as answer:
        return answer.headers, sum(map(len, answer.iter_raw()))


@functools.cache
def filled() -> str:
    target = serve(KEYS)
    with scidb.open(target) as db:
        Smooth.save(np.zeros(1_000_000), subject=1, db=db)
    return target


def test_a_long_answer_is_compressed_for_who_asks() -> None:
    """8 MB of zeros are a few kB on the way; caches are told by what they differ."""
    headers, length = fetched(compress=True)

    assert headers["Content-Encoding"] == ZSTD
    assert headers["Vary"] == "Accept-Encoding"
    assert length < 100_000


def test_who_does_not_ask_gets_it_as_it_is() -> None:
    """Neither curl nor an old client is sent what it cannot read."""
    headers, length = fetched(compress=False)

    assert "Content-Encoding" not in headers
    assert length > 8_000_000


def test_a_short_answer_is_not_compressed() -> None:
    """An error, or a few rows, would get no shorter."""
    answer = ask(TAGS, {"Accept-Encoding": ZSTD})

    assert answer.json() == {"rows": []}
    assert "Content-Encoding" not in answer.headers


def test_no_answer_is_compressed_on_the_same_machine_unless_asked() -> None:
    """To compress costs more there than to send; to another machine it is the other way round."""
    assert "Accept-Encoding" not in Transport("http://127.0.0.1:8765", None, 1.0)._headers
    assert "Accept-Encoding" not in Transport("http://lab:8765", None, 1.0, compress=False)._headers
    assert Transport("https://lab:8765", None, 1.0)._headers["Accept-Encoding"] == ZSTD


# ------------------------------------------------------------------ requests


@pytest.mark.parametrize(
    "body",
    [
        squeezed(LONG),
        squeezed(LONG[:50_000]) + squeezed(LONG[50_000:]),
        b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + squeezed(LONG),
    ],
    ids=["one frame", "two frames", "a frame to skip"],
)
def test_a_compressed_request_is_read(body: bytes) -> None:
    """In one frame or several, and whatever stands between them."""
    assert ask(body, {"Content-Encoding": ZSTD}).json() == {"rows": []}


@pytest.mark.parametrize("encoding", ["identity", ""])
def test_a_request_as_it_is_is_read(encoding: str) -> None:
    """Also when it says so."""
    assert ask(TAGS, {"Content-Encoding": encoding}).json() == {"rows": []}


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd, zstd", "gzip, zstd", "deflate", "x" * 1000])
def test_another_encoding_is_refused(encoding: str) -> None:
    """415, and what would be taken."""
    answer = ask(TAGS, {"Content-Encoding": encoding})

    assert answer.status_code == 415
    assert answer.json()["code"] == "content_encoding"
    assert answer.headers["Accept-Encoding"] == ZSTD


@pytest.mark.parametrize(
    "body",
    [
        squeezed(LONG)[:-3],
        squeezed(LONG)[:1],
        squeezed(LONG) + squeezed(LONG)[:20],
        squeezed(LONG) + b"xx",
        b"garbage" * 100,
        TAGS,
        squeezed(LONG)[:9] + b"\xff" * 30,
    ],
    ids=["cut", "one byte", "cut in the second", "trailing", "garbage", "not compressed", "damaged"],
)
def test_what_is_not_zstd_is_refused(body: bytes) -> None:
    """Cut or garbage: 400, never a shorter request that would do something else."""
    answer = ask(body, {"Content-Encoding": ZSTD})

    assert answer.status_code == 400
    assert answer.json()["class"] == "serialization"


def test_an_empty_compressed_request_is_an_empty_one() -> None:
    """Which no question is."""
    assert ask(b"", {"Content-Encoding": ZSTD}).status_code == 400


def bomb(times: int) -> bytes:
    """Return a few kB that are that many MiB."""
    return squeezed(*[bytes(2**20)] * times)


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    """1 GiB in 34 kB against a limit of 1 MiB: refused at once, in every route that has a body."""
    body = squeezed(*[bytes(2**26)] * 16)
    assert len(body) < LIMIT
    for verb, media in {"find": "application/json", "write": PARTS_TYPE}.items():
        answer = ask(body, {"Content-Encoding": ZSTD, "Content-Type": media}, verb)

        assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")
        assert answer.elapsed.total_seconds() < 5


def test_limits_count_what_is_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as the limit is taken, one byte more is not; what waited is given back either way."""
    app = store_app(MemoryStore(KEYS))
    spool = app.state.served.spool
    monkeypatch.setattr(spool, "_settings", replace(spool._settings, body_limit=LIMIT))
    for length, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        body = squeezed(TAGS.ljust(length))
        answer = Client(app).post("/api/v1/store/find", content=body, headers={**JSON, "Content-Encoding": ZSTD})

        assert answer.status_code == status
        assert (spool.waiting, spool._in_memory) == (0, 0)


def test_a_write_is_the_same_one_compressed_or_not() -> None:
    """Sent again under its key the other way, it is known, and stored once."""
    target = serve(KEYS)
    body = b"".join(batch_bytes(Batch(events=tuple(Tagged(f"tag {number}") for number in range(100)))))
    headers = {"Content-Type": PARTS_TYPE, "Idempotency-Key": "k"}
    for sent, encoding in ((squeezed(body), ZSTD), (body, "identity")):
        url = f"{target}/api/v1/store/write"
        httpx.post(url, content=sent, headers={**headers, "Content-Encoding": encoding}).raise_for_status()

    with closing(HttpStore(target)) as store:
        assert len(store.find(Tags())) == 100


def test_a_server_without_zstd_is_sent_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Arrow was built without: the client is told, and from then on does not compress."""
    monkeypatch.setattr("scidbnet.server.guard.security.can_compress", lambda: False)
    app = store_app(MemoryStore(KEYS))

    refused = Client(app).post("/api/v1/store/find", content=LONG, headers={**JSON, "Content-Encoding": ZSTD})

    assert refused.status_code == 415
    assert refused.headers["Accept-Encoding"] == "identity"


def test_a_client_goes_on_without_where_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request that was refused is sent again as it is."""
    monkeypatch.setattr("scidbnet.client.transport.ZSTD", "other")
    transport = Transport(address(), None, 5.0, compress=True)
    answer = transport.send("POST", "/api/v1/store/find", JSON, [LONG])

    assert json.loads(answer.read()) == {"rows": []}
    assert not transport._compress


# ------------------------------------------------------------------ answers


class _Breaking:
    """A body whose connection breaks."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def readinto(self, room: memoryview) -> int:
        if not self._data:
            raise NetworkError("It broke.")
        room[: len(self._data)] = self._data
        count, self._data = len(self._data), b""
        return count


def test_a_connection_that_breaks_is_said_as_such() -> None:
    """What reads compressed bytes does not take the place of what went wrong below it."""
    source = Decompressed(_Breaking(squeezed(b"x" * 100)[:10]))

    with pytest.raises(NetworkError, match="It broke"):
        source.readinto(memoryview(bytearray(1000)))


def test_what_is_cut_is_noticed() -> None:
    """Of every length but the whole one."""
    whole = squeezed(b"some bytes" * 20)
    for length in range(1, len(whole)):
        with pytest.raises(SerializationError):
            Decompressed(memoryview(whole)[:length]).readinto(memoryview(bytearray(1000)))


def test_memory_is_bounded_whatever_comes_out() -> None:
    """256 MiB of zeros are read into the room that there is, and Arrow holds little more."""
    source = Decompressed(memoryview(bomb(256)))
    before, room, total = pa.total_allocated_bytes(), memoryview(bytearray(2**20)), 0
    while count := source.readinto(room):
        total += count
        assert pa.total_allocated_bytes() - before < 2**23

    assert total == 2**28
