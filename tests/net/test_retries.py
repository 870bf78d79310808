"""What a client tries again, how long, and with what it gives up."""

from __future__ import annotations

import datetime as dt
import email.utils
from typing import TYPE_CHECKING, Any, cast

import pytest

from scidb.exceptions import NetworkError, NotFoundError, SciDBError, ServerError
from scidbnet.client import requests
from scidbnet.client.requests import Requests
from scidbnet.wire.errors import error_to_json
from scidbnet.wire.plain import to_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from scidbnet.client.transport import Transport


class Answered:
    """An answer that is there already."""

    def __init__(self, status: int, body: bytes = b"{}", retry_after: str | None = None) -> None:
        self.status, self._body = status, body
        self.headers = {} if retry_after is None else {"Retry-After": retry_after}

    def read(self) -> bytes:
        return self._body


class Scripted:
    """A transport that answers or breaks as it was told, and keeps what was sent."""

    def __init__(self, *script: Answered | SciDBError) -> None:
        self.script = list(script)
        self.sent: list[Any] = []

    def send(self, *asked: Any) -> Answered:
        self.sent.append(asked)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, SciDBError):
            raise step
        return step


class Time:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Let the client live in a time of its own."""
    time = Time()
    monkeypatch.setattr(requests, "time", time)
    return time


OK = Answered(200, b'{"done":true}')
BROKEN = NetworkError("It broke.", sent=True)
ABSENT = NetworkError("Nobody there.", sent=False)


def ask(*script: Answered | SciDBError, **options: Any) -> tuple[Scripted, Callable[[], Any]]:
    """Return a transport, and a request over it by a client that has met the server before."""
    transport = Scripted(OK, *script)
    client = Requests(cast("Transport", transport), patience=60.0)
    client.json("GET", "/health", {})
    transport.sent.clear()
    headers = {"Idempotency-Key": "k"}
    return transport, lambda: client.json("POST", "/x", headers, [b"body"], **options)[0]


@pytest.mark.parametrize("trouble", [BROKEN, ABSENT, *(Answered(status) for status in (502, 503, 504))])
def test_what_is_tried_again(time: Time, trouble: Any) -> None:
    """A broken connection, and a server that is not there just now; each time with the very same headers and body."""
    transport, request = ask(trouble, trouble, trouble, OK)

    assert request() == {"done": True}
    assert transport.sent == [transport.sent[0]] * 4
    assert transport.sent[0][2] == {"Idempotency-Key": "k"}
    assert time.waits == sorted(time.waits)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 429, 500, 507])
def test_what_is_not_tried_again(time: Time, status: int) -> None:
    """Whatever the server has decided."""
    transport, request = ask(Answered(status, to_text(error_to_json(NotFoundError("No.")))))

    with pytest.raises(NotFoundError, match=r"No\."):
        request()
    assert len(transport.sent) == 1


def test_what_may_be_sent_once_only(time: Time) -> None:
    """A request that is given one try is never sent again."""
    transport, request = ask(BROKEN, OK, tries=1)

    with pytest.raises(NetworkError):
        request()
    assert len(transport.sent) == 1


def test_a_server_says_when_to_come_back(time: Time) -> None:
    """In seconds or as the time of day; what cannot be read is as if it were not there."""
    later = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=20), usegmt=True)
    _, request = ask(
        Answered(503, retry_after="7"),
        Answered(503, retry_after=later),
        Answered(429, retry_after="2"),
        Answered(503, retry_after="soon"),
        OK,
    )
    request()

    assert time.waits[0] == 7
    assert 15 < time.waits[1] <= 20
    assert time.waits[2] == 2
    assert time.waits[3] <= 5


def test_the_end_of_patience(time: Time) -> None:
    """A server that was there is waited for for a minute, longer and longer, and no longer."""
    transport, request = ask(ABSENT)
    with pytest.raises(NetworkError, match=r"^Nobody there\.$"):
        request()

    assert 50 < time.now <= 60
    assert len(transport.sent) < 40
    assert max(time.waits) <= 5


def test_what_took_long_before_it_broke(time: Time) -> None:
    """Patience counts from the first failure: work of hours that is cut off is asked for again."""
    transport, request = ask(BROKEN, OK)
    send = transport.send

    def slowly(*asked: Any) -> Answered:
        time.now += 3_600
        return send(*asked)

    transport.send = slowly  # type: ignore[method-assign]
    assert request() == {"done": True}
    assert len(transport.sent) == 2


def test_a_server_that_was_never_there(time: Time) -> None:
    """A wrong address is said within seconds."""
    client = Requests(cast("Transport", Scripted(ABSENT)), patience=60.0)
    with pytest.raises(NetworkError):
        client.json("GET", "/health", {})
    assert time.now <= 3


def test_a_pause_that_is_too_long(time: Time) -> None:
    """Who is told to come back after his patience ends gives up at once."""
    _, request = ask(Answered(503, to_text(error_to_json(ServerError("Closed."))), "3600"))
    with pytest.raises(ServerError, match="Closed"):
        request()
    assert time.now == 0


@pytest.mark.parametrize(
    ("script", "stored", "said"),
    [
        ([ABSENT], False, "Nothing was stored"),
        ([ABSENT, BROKEN, ABSENT], None, "not known whether"),
        ([Answered(504, b"<html>Gateway Timeout</html>"), ABSENT], None, "not known whether"),
    ],
)
def test_what_became_of_a_write(time: Time, script: list[Any], stored: bool | None, said: str) -> None:
    """The last error says whether any of all tries can have arrived."""
    _, request = ask(*script, stores=True)
    with pytest.raises(SciDBError, match=said) as caught:
        request()
    assert caught.value.stored is stored
