"""HTTP as it arrives: what a stranger sends before there is a request is limited in length and time.

The library that parses it keeps whatever comes until a header is whole, however long that takes.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from scidb.exceptions import LimitExceededError, SciDBError
from scidbnet.server.callers import CALLER
from scidbnet.server.guard.limits import network_of
from scidbnet.wire.errors import error_to_json, status_of
from scidbnet.wire.plain import to_text

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["HEAD_SECONDS", "LimitedProtocol", "Strangers", "limited"]

HEAD_SECONDS: Final = 30.0
"""How long the head of a request may take."""

_SLACK: Final = 2**16
"""Somewhat too long a head still becomes a request, and gets its answer where all others get theirs."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection. What it keeps of a request without a body does not grow beyond its limit."""

    limit = 2**17
    seconds = HEAD_SECONDS
    strangers: Strangers

    _unparsed = 0  # bytes that came since the last header that was whole, or the last piece of a body
    _headers_length = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        """Wait for a request, but not for ever, and not with any number of others from there."""
        super().connection_made(transport)
        try:
            self.strangers.add(self, "" if self.client is None else network_of(self.client[0]))
        except LimitExceededError as error:
            self._refuse(error)
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        self.strangers.remove(self, "" if self.client is None else network_of(self.client[0]))
        super().connection_lost(exc)

    @property
    def is_known(self) -> bool:
        """Whether its last request was that of somebody who may ask."""
        # Made with the first request; whoever admits that notes the caller in it.
        scope: Any = getattr(self, "scope", None) or {}
        return CALLER in scope.get("state", {})

    def data_received(self, data: bytes) -> None:
        """Take what came, unless that is too much of nothing."""
        if self.transport.is_closing():
            return
        self._unparsed += len(data)
        # What comes at once is there already, and is looked at first.
        if self._unparsed - len(data) > self.limit:
            self._refuse(_too_long(self.limit))
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._headers_length = 0
        self._wait()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or one that stands behind a body."""
        self._unparsed = 0
        self._headers_length += len(name) + len(value)
        if self._headers_length > self.limit:
            self._refuse(_too_long(self.limit))
        elif not self.transport.is_closing():
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request on."""
        self._unparsed = 0
        self._wait_no_more()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand a piece of a body on."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._unparsed = 0
        super().on_message_complete()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._too_slow)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        self._refuse(LimitExceededError(f"No request was whole after {self.seconds:g} s.", code="time_limit"))

    def _refuse(self, error: SciDBError) -> None:
        """Answer, when no other answer is under way, and hang up."""
        answering: RequestResponseCycle | None = self.cycle
        if answering is None or answering.response_complete:
            text, status = to_text(error_to_json(error)), HTTPStatus(status_of(error.code))
            head = f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/json\r\nConnection: close\r\n"
            self.transport.write(f"{head}Content-Length: {len(text)}\r\n\r\n".encode("ascii") + text)
        self.transport.close()


class Strangers:
    """Open connections on which nobody has shown yet that he may ask, by the network from which they came.

    Used by one event loop, so no lock is needed.

    Parameters
    ----------
    limit
        How many there may be from one network; None is any number.

    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._open: dict[str, set[LimitedProtocol]] = {}

    def add(self, connection: LimitedProtocol, network: str) -> None:
        """Note a new connection.

        Raises
        ------
        LimitExceededError
            When there are too many.

        """
        if self._limit is None:
            return
        here = self._open.setdefault(network, set())
        if len(here) >= self._limit:
            # Looked at only now: a connection does not say when its caller becomes known.
            here.difference_update([one for one in here if one.is_known])
        if len(here) >= self._limit:
            raise LimitExceededError(
                f"{self._limit} connections without a valid request are open from there. Close some.",
                code="too_many_requests",
                limit=self._limit,
            )
        here.add(connection)

    def remove(self, connection: LimitedProtocol, network: str) -> None:
        """Forget a connection that was closed, or was never noted."""
        here = self._open.get(network)
        if here is not None:
            here.discard(connection)
            if not here:
                del self._open[network]


def limited(header_limit: int, seconds: float = HEAD_SECONDS, strangers: int | None = None) -> type[LimitedProtocol]:
    """Return connections on which a request has so many bytes of headers, and so much time for them.

    So many of them may be `strangers`, from one network: without a valid request so far.
    """
    settings = {"limit": header_limit + _SLACK, "seconds": seconds, "strangers": Strangers(strangers)}
    return type("LimitedProtocol", (LimitedProtocol,), settings)


def _too_long(limit: int) -> LimitExceededError:
    return LimitExceededError(
        f"The address and headers of a request are longer than {limit} bytes.", code="headers_too_large", limit=limit
    )
